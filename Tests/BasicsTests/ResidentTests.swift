import Basics
import Testing

/// What lies in memory: of this process, and files that lie there alone.
@Suite struct ResidentTests {
    @Test("what a process has in memory, and had at most") func resident() throws {
        let directory = try TemporaryDirectory()
        let system = LocalFileSystem()
        let folder = FilePath(directory.path.string + "/proc/self")
        try system.makeDirectories(folder)
        let text = "Name:\tswiftlet\nVmHWM:\t    5000 kB\nVmRSS:\t    4000 kB\nVmSwap:\t 1 kB\n"
        try system.replaceFile(folder.appending("status"), with: Array(text.utf8))
        let machine = Machine(root: directory.path.string)
        #expect(machine.residentBytes == 4000 * 1024 && machine.peakResidentBytes == 5000 * 1024)
        #expect(Machine(root: directory.path.string + "/none").residentBytes == nil)
        let (now, most) = (try #require(Machine().residentBytes), try #require(Machine().peakResidentBytes))
        #expect(now > 1 << 20 && most >= now)
    }

    @Test("a file in memory has the bytes, and another one has others") func anonymous() throws {
        let paths = try [[UInt8](), [1, 2, 3], [UInt8](repeating: 7, count: 3 << 20)].map {
            ($0, try anonymousFile($0))
        }
        for (bytes, path) in paths {
            let file = try InputFile(path)
            #expect(file.size == bytes.count)
            #expect(try file.bytes(bytes.count, at: 0) == bytes)
        }
        #expect(Set(paths.map { $0.1 }).count == 3)
    }
}
