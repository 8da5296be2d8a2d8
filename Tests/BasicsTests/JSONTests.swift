import Basics
import Testing

/// The strict reader and the writer.
@Suite struct JSONTests {
    private func parse(_ text: String) throws -> JSON { try JSON(Array(text.utf8)) }

    @Test func readsEveryKind() throws {
        let value = try parse(#" {"a": [null, true, false, -1, 2.5e3, "x\n\u00e9\ud83d\ude00\/"], "b": {}} "#)
        #expect(value.members?.map(\.name) == [Array("a".utf8), Array("b".utf8)])
        let list = try #require(value["a"]?.elements)
        #expect(list.map(\.kind) == [.null, .boolean, .boolean, .number, .number, .string])
        #expect(list[1].bool == true && list[2].bool == false && list[0].bool == nil)
        #expect(list[3].int == -1 && list[4].int == nil && list[4].number == 2500)
        #expect(list[5].string == "x\né😀/" && list[5].isString("x\né😀/") && list[3].string == nil)
        #expect(value["b"]?.members?.isEmpty == true && value["b"]?.elements == nil)
        #expect(value["c"] == nil && list[0]["a"] == nil)
        #expect(value["a"]?.source.hasPrefix("[null, true") == true)
        #expect(try parse(" [ ] ").elements?.isEmpty == true)
    }

    @Test func keepsWholeNumbersExactly() throws {
        #expect(try parse("9223372036854775807").int == .max)
        #expect(try parse("9223372036854775808").int == nil)
        #expect(try parse("-9223372036854775808").int == .min)
        #expect(try parse("18446744073709551615").integer() == UInt64.max)
        #expect(try parse("18446744073709551616").integer(UInt64.self) == nil)
        #expect(try parse("18446744073709551616").number == 18446744073709551616)
        #expect(try parse("9007199254740993").int == 9_007_199_254_740_993)  // 2⁵³ + 1
        #expect(try parse("300").integer(UInt8.self) == nil)
        for text in ["2.0", "2e0", "\"2\"", "true"] { #expect(try parse(text).int == nil) }
        #expect(try parse("1e-400").number == 0)
    }

    @Test(arguments: [
        "", " ", "{", "[", "[1", "[1,]", "{\"a\":1,}", "{\"a\"}", "{a:1}", "{1:1}", "01", "-", "+1", ".5", "1.", "1e",
        "0x10", "NaN", "Infinity", "-Infinity", "nul", "truex", "1 2", "{} x", "'a'", "\"a", "\"\\x\"", "\"\\u12\"",
        "\"\\u+123\"", "\"\\", "\"\\u", "\"\\ud800", "\"\\ud800\\",
        "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\\ud800x\"", "\"\\ud800\\n\"", "\"a\u{1}b\"", "\"a\nb\"",
        "\u{FEFF}{}", "// c\n1", "1e999", "-1e999", "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}", "[1 2]",
        "{\"a\":1 \"b\":2}", "{,}", "[,]", "]", "}", "[}", "{]", "[1}", "{\"a\":1]", "{\"a\":[1,{\"b\":0,\"b\":0}]}",
    ])
    func refuses(text: String) {
        #expect(throws: JSONError.self) { try parse(text) }
    }

    @Test func everyTruncationIsRefused() throws {
        let text = Array(#"{"a":[1,-2.5e-3,"q\"\\\n\u00e9\ud83d\ude00"],"b":{"c":null,"d":true}}"#.utf8)
        for count in 0..<text.count { #expect(throws: JSONError.self) { try JSON(Array(text[..<count])) } }
        #expect(throws: Never.self) { try JSON(text) }
    }

    @Test func refusesWhatIsHostile() throws {
        for deep in ["[", "{\"a\":"] {
            let text = String(repeating: deep, count: 1_000_000)
            #expect(try #require(throws: JSONError.self) { try parse(text) }.description.contains("nested"))
        }
        let allowed = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        #expect(throws: Never.self) { try parse(allowed) }
        #expect(throws: JSONError.self) { try parse("[" + allowed + "]") }
        #expect(throws: JSONError.self) { try parse(String(repeating: "9", count: 1_000_000)) }
        for bytes in [[0x22, 0xFF, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22], [0x31, 0x00]] as [[UInt8]] {
            #expect(throws: JSONError.self) { try JSON(bytes) }
        }
        #expect(throws: JSONError.self) { try JSON(Array("[1,2,3]".utf8), sizeLimit: 6) }
    }

    @Test func namesAreComparedByTheirBytes() throws {
        let value = try parse("{\"\u{E9}\":1,\"e\u{301}\":2}")  // é, written in two ways
        #expect(value["\u{E9}"]?.int == 1 && value["e\u{301}"]?.int == 2)
    }

    @Test func manyNamesAreQuick() throws {
        let text = "{" + (0..<100_000).map { "\"t\($0)\":\($0)" }.joined(separator: ",") + "}"
        let value = try parse(text)
        #expect(value["t99999"]?.int == 99_999)
        #expect(value.members?.count == 100_000)
        #expect(
            try #require(throws: JSONError.self) { try parse(text.dropLast() + ",\"t7\":0}") }.description.contains(
                "t7"))
    }

    @Test("W1: a Git LFS pointer and a byte-order mark are named") func namesWhatIsCommon() throws {
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n"
        #expect(try #require(throws: JSONError.self) { try parse(pointer) }.description.contains("git lfs pull"))
        #expect(
            try #require(throws: JSONError.self) { try parse("\u{FEFF}{}") }.description.contains("byte-order mark"))
    }

    @Test func writes() throws {
        let value = JSONText.object([
            ("a", .array([.number(1), .number(-2), .number(0.1), .number(1e-08), .number(UInt64.max)])),
            ("q\"\\\n\u{1}é", .array([])), ("z", .object([])), ("n", nil), ("t", true), ("s", "x/y"),
            ("nan", .number(.nan)), ("inf", .number(-Double.infinity)),
        ])
        let text =
            #"{"a":[1,-2,0.1,1e-08,18446744073709551615],"q\"\\\n\u0001é":[],"z":{},"n":null,"t":true,"s":"x/y","#
            + #""nan":null,"inf":null}"#
        #expect(value.text == text)
        #expect(throws: Never.self) { try JSON(value.pretty) }
        let sample = JSONText.object([
            ("a", .array([.number(1), "]{\\\"},:"])), ("b", .object([])), ("c", .object([("d", .array([]))])),
        ])
        #expect(
            String(decoding: sample.pretty, as: UTF8.self)
                == """
                {
                  "a": [
                    1,
                    "]{\\\\\\"},:"
                  ],
                  "b": {},
                  "c": {
                    "d": []
                  }
                }
                """)
    }
}
