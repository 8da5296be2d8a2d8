import CLibcrypto

/// SHA-256 of bytes that come in pieces, by the system's libcrypto (which uses the CPU's own instructions).
final class SHA256 {
    private let context: OpaquePointer

    private init(context: OpaquePointer) { self.context = context }

    /// Starts an empty digest; throws when libcrypto gives no memory or no SHA-256.
    convenience init() throws(TokenDataError) {
        guard let context = EVP_MD_CTX_new() else { throw Self.failure }
        self.init(context: context)
        guard EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else { throw Self.failure }
    }

    deinit { EVP_MD_CTX_free(context) }

    private static var failure: TokenDataError {
        TokenDataError(.internalError, "libcrypto cannot compute SHA-256; check the installation of OpenSSL")
    }

    /// Adds bytes.
    func update(_ bytes: RawSpan) throws(TokenDataError) {
        let result = bytes.withUnsafeBytes { EVP_DigestUpdate(context, $0.baseAddress, $0.count) }
        guard result == 1 else { throw Self.failure }
    }

    /// The 64 hexadecimal digits of everything added. Asked for once, after the last byte.
    func value() throws(TokenDataError) -> String {
        var digest = [UInt8](repeating: 0, count: 32)
        guard EVP_DigestFinal_ex(context, &digest, nil) == 1 else { throw Self.failure }
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// The digest of one piece, as 64 hexadecimal digits.
    static func hash(_ bytes: [UInt8]) throws(TokenDataError) -> String {
        let digest = try SHA256()
        try digest.update(bytes.span.bytes)
        return try digest.value()
    }
}
