import CLibcrypto

/// SHA-256 of bytes that come in pieces, by the system's libcrypto (which uses the CPU's own instructions).
package final class SHA256 {
    private let context: OpaquePointer

    /// Starts an empty digest.
    package init() throws(ExitError) {
        guard let context = EVP_MD_CTX_new() else { throw Self.failure }
        self.context = context
        guard EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else { throw Self.failure }
    }

    deinit { EVP_MD_CTX_free(context) }

    /// libcrypto gives no memory, or its configuration has no SHA-256.
    private static let failure = ExitError(
        .internalError, "libcrypto cannot compute SHA-256; check the installation of OpenSSL")

    /// Adds bytes.
    package func update(_ bytes: RawSpan) throws(ExitError) {
        let result = bytes.withUnsafeBytes { EVP_DigestUpdate(context, $0.baseAddress, $0.count) }
        guard result == 1 else { throw Self.failure }
    }

    /// The 64 hexadecimal digits of everything added. Asked for once, after the last byte.
    package func value() throws(ExitError) -> String {
        var digest = [UInt8](repeating: 0, count: 32)
        guard EVP_DigestFinal_ex(context, &digest, nil) == 1 else { throw Self.failure }
        return digest.map { hexadecimal($0) }.joined()
    }

    /// The digest of one piece, as 64 hexadecimal digits.
    package static func hash(_ bytes: [UInt8]) throws(ExitError) -> String {
        let digest = try SHA256()
        try digest.update(bytes.span.bytes)
        return try digest.value()
    }

    /// The digest of a whole file, as 64 hexadecimal digits.
    package static func hash(_ file: InputFile) throws -> String {
        let digest = try SHA256()
        let pieceLength = 1 << 20
        for offset in stride(from: 0, to: file.size, by: pieceLength) {
            let piece = try file.bytes(min(pieceLength, file.size - offset), at: offset)
            try digest.update(piece.span.bytes)
        }
        return try digest.value()
    }
}
