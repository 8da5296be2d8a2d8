import ArgumentParser
import Basics

/// `swiftlet manual`: for `make install` alone, so the help does not list it.
struct ManualCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "manual", abstract: "Write the manual pages of this program.", shouldDisplay: false)

    @Option(help: "Directory for the pages; made if need be.", completion: .directory)
    var output: String

    func run() throws {
        let folder = try FilePath(argument: output)
        try LocalFileSystem().makeDirectories(folder)
        for (name, text) in try ManualPages(dump: Swiftlet._dumpHelp()).pages {
            try LocalFileSystem().replaceFile(folder.appending(name), with: Array(text.utf8))
        }
    }
}
