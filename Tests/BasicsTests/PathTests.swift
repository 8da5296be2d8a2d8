import Basics
import Glibc
import Testing

/// Paths are bytes and mean the same everywhere.
@Suite struct PathTests {
    private static let home = getenv("HOME").map { String(cString: $0) } ?? ""

    @Test(
        "S1: a leading ~ alone or before / is the home directory",
        arguments: [
            ("~", home), ("~/r", home + "/r"), ("~//r/", home + "/r"), ("./~", "./~"), ("a/~", "a/~"), ("./~b", "./~b"),
            ("a~", "a~"), ("r/", "r"), ("a//b", "a/b"), ("-", "-"), ("/", "/"),
        ])
    func tilde(argument: String, path: String) throws {
        #expect(try FilePath(argument: argument) == FilePath(path))
    }

    @Test(
        "S1: what no path can be is refused with a word",
        arguments: [
            ("~name", "./~name"), ("~name/r", "./~name"), ("", "empty"), ("a\0b", "NUL"),
        ])
    func refusals(argument: String, word: String) throws {
        let error = try #require(throws: ExitError.self) { try FilePath(argument: argument) }
        #expect(error.description.contains(word) && error.exitCode == .usage)
        #expect(!error.description.contains("\0"))
    }

    @Test("S1: every byte of a path survives the way through text") func everyByte() throws {
        for first in UInt8(1)...255 {
            for second in [UInt8(ascii: "a"), 0x80, 0xBF, 0xC3, 0xE9, 0xF4, 0xFF] where first != UInt8(ascii: "~") {
                let bytes = [UInt8(ascii: "r"), first, second]
                #expect(CommandLineText.bytes(of: CommandLineText.decoding(bytes)) == bytes)
                if first != UInt8(ascii: "/") {
                    #expect(try FilePath(argument: CommandLineText.decoding(bytes)).bytes == bytes)
                }
            }
        }
        // Text stays what it was, and the scalars that stand for bytes do too.
        #expect(CommandLineText.decoding(Array("rè😀".utf8)) == "rè😀")
        let reserved = Array("\u{10FF7F}\u{10FF80}\u{10FFFF}".utf8)
        #expect(CommandLineText.bytes(of: CommandLineText.decoding(reserved)) == reserved)
        #expect(CommandLineText.decoding([0x72, 0xE9]) == "r\u{10FFE9}")
    }

    @Test func isShownOnOneLine() {
        let path = FilePath(platformString: [0x72, CChar(bitPattern: 0xE9), 0x0A, 0x1B, 0x20, 0])
        #expect(path.shown == #"r\xe9\x0a\x1b "#)
        #expect(FilePath("é😀").shown == "é😀")
        #expect(FilePath("a\u{202E}b\u{85}").shown == #"a\u{202e}b\x85"#)
        #expect(printable(String(repeating: "a", count: 300)).count == 201)
    }

    @Test func hexadecimalHasAllDigits() {
        #expect(hexadecimal(UInt8(0)) == "00" && hexadecimal(UInt64(0xAB)) == "00000000000000ab")
        #expect(hexadecimal(UInt64.max) == "ffffffffffffffff")
    }

    @Test(
        "T2: numbers as text never trap",
        arguments: [
            (9.3e12, "9300000000000.000000"), (1.7976931348623157e308, nil), (.nan, "nan"), (-.nan, "nan"),
            (.infinity, "inf"), (-.infinity, "-inf"), (3e-4, "0.000300"), (0, "0.000000"), (-1e-9, nil),
        ] as [(Double, String?)])
    func fixedNumbers(value: Double, text: String?) {
        #expect(text.map { $0 == fixed(value, 6) } ?? !fixed(value, 6).isEmpty)
    }
}
