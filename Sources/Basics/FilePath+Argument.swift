import Glibc
import SystemPackage

extension FilePath {
    /// The path that an option, an argument or a configuration file names, the same everywhere: a leading `~` alone or
    /// before `/` is the home directory, and bytes that are no text come back as `CommandLineText` kept them.
    /// - Throws: exit code 64 for what cannot be a path.
    package init(argument: String) throws(ExitError) {
        var bytes = CommandLineText.bytes(of: argument)
        guard !bytes.isEmpty else { throw ExitError(.usage, "the path is empty; give one") }
        guard !bytes.contains(0) else {
            throw ExitError(.usage, "the path \(printable(argument)) holds a NUL byte, which no path can")
        }
        if bytes[0] == UInt8(ascii: "~") {
            let name = bytes.dropFirst().prefix { $0 != UInt8(ascii: "/") }
            guard name.isEmpty else {
                let shown = printable(String(decoding: name, as: UTF8.self))
                throw ExitError(
                    .usage,
                    "~\(shown): home directories of others are not looked up; write the whole path, "
                        + "or ./~\(shown) for a file of that name")
            }
            guard let home = getenv("HOME").map({ String(cString: $0).utf8CString.dropLast() }), !home.isEmpty else {
                throw ExitError(
                    .usage, "\(printable(argument)): HOME is not set, so ~ means nothing; write the whole path")
            }
            bytes.replaceSubrange(..<1, with: home.map { UInt8(bitPattern: $0) })
        }
        self.init(platformString: bytes.map { CChar(bitPattern: $0) } + [0])
    }

    /// The bytes of the path, without a NUL at the end.
    package var bytes: [UInt8] { withPlatformString { Array(UnsafeRawBufferPointer(start: $0, count: strlen($0))) } }

    /// The path for a message: control characters and bytes that are no text as `\x0a`, so that it stays on its line.
    package var shown: String { printable(CommandLineText.decoding(bytes), limit: 4096) }
}

/// Arguments as text that can be turned back into the bytes that were given. Swift itself repairs what is not UTF-8,
/// and a repaired path leads elsewhere.
///
/// A byte that is part of no character becomes a scalar of its own, U+10FF80 to U+10FFFF, from the end of Unicode's
/// private area; the same scalars in a text that was given become four of them.
package enum CommandLineText {
    private static let base: UInt32 = 0x10FF00

    /// The arguments of this process without its own name.
    package static func arguments() -> [String] {
        (1..<max(1, Int(CommandLine.argc))).compactMap { index in
            CommandLine.unsafeArgv[index].map {
                decoding(Array(UnsafeRawBufferPointer(start: $0, count: strlen($0))))
            }
        }
    }

    /// Bytes as text.
    package static func decoding(_ bytes: [UInt8]) -> String {
        var text = String.UnicodeScalarView()
        var rest = bytes[...]
        while !rest.isEmpty {
            var iterator = rest.makeIterator()
            var decoder = UTF8()
            if case .scalarValue(let scalar) = decoder.decode(&iterator), scalar.value < base + 0x80 {
                text.append(scalar)
                rest = rest.dropFirst(UTF8.width(scalar))
            } else {
                text.append(Unicode.Scalar(base + UInt32(rest.removeFirst())) ?? "\u{FFFD}")
            }
        }
        return String(text)
    }

    /// The bytes that `decoding` made a text of.
    package static func bytes(of text: String) -> [UInt8] {
        text.unicodeScalars.flatMap { scalar in
            scalar.value >= base + 0x80 ? [UInt8(scalar.value - base)] : Array(String(scalar).utf8)
        }
    }
}
