import Glibc

extension CommandLineText {
    /// The value of an environment variable as text, in which bytes that are no text are kept as those of arguments are;
    /// nil where it is not set.
    package static func variable(_ name: String) -> String? {
        getenv(name).map { decoding(Array(UnsafeRawBufferPointer(start: $0, count: strlen($0)))) }
    }
}
