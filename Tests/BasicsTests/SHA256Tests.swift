import Basics
import Testing

/// SHA-256 against its published examples (FIPS 180-2): in one piece, in many, and of files longer than one read.
@Suite struct SHA256Tests {
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func examples(text: String, expected: String) throws {
        #expect(try SHA256.hash(Array(text.utf8)) == expected)
    }

    @Test func aMillionLettersInPieces() throws {
        let digest = try SHA256()
        let piece = [UInt8](repeating: 0x61, count: 999)
        for _ in 0..<1001 { try digest.update(piece.span.bytes) }
        try digest.update(piece.span.bytes.extracting(0..<1))
        #expect(try digest.value() == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }

    @Test(arguments: [0, 1, 1 << 20 - 1, 1 << 20, 1 << 20 + 1, 3 << 20 + 7])
    func files(size: Int) throws {
        let directory = try TemporaryDirectory()
        let text = String(decoding: (0..<size).map { UInt8($0 * 31 % 127) }, as: UTF8.self)
        let file = try InputFile(directory.file("a", text))
        #expect(try SHA256.hash(file) == SHA256.hash(Array(text.utf8)))
    }
}
