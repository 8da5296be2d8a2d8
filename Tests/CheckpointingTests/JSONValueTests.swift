import Checkpointing
import Testing

/// The strict reader, the writer, and the bridge to Codable.
@Suite struct JSONValueTests {
    private func parse(_ text: String) throws -> JSONValue { try JSONValue.parse(Array(text.utf8)) }

    @Test func readsEveryKind() throws {
        let value = try parse(#" {"a": [null, true, false, -1, 2.5e3, "x\n\u00e9\ud83d\ude00"], "b": {}} "#)
        let object = try #require(value.object)
        #expect(object.members.map(\.name) == ["a", "b"])
        #expect(
            object["a"]?.array == [.null, .bool(true), .bool(false), .integer(-1), .double(2500), .string("x\né😀")])
        #expect(object["b"]?.object?.members.isEmpty == true)
        #expect(object["c"] == nil)
    }

    @Test func keepsWholeNumbersExactly() throws {
        #expect(try parse("9223372036854775807") == .integer(.max))
        #expect(try parse("-9223372036854775808") == .integer(.min))
        #expect(try parse("18446744073709551615") == .unsigned(.max))
        #expect(try parse("18446744073709551616") == .double(18446744073709551616))
        #expect(try parse("9007199254740993").int == 9_007_199_254_740_993)  // 2⁵³ + 1
        #expect(try parse("2.0").int == nil)
        #expect(try parse("-0") == .double(-0.0))
        #expect(try parse("1e-400") == .double(0))
    }

    @Test(arguments: [
        "", " ", "{", "[", "[1", "[1,]", "{\"a\":1,}", "{\"a\"}", "{a:1}", "{1:1}", "01", "-", "+1", ".5", "1.", "1e",
        "0x10", "NaN", "Infinity", "-Infinity", "nul", "truex", "1 2", "{} x", "'a'", "\"a", "\"\\x\"", "\"\\u12\"",
        "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\\ud800x\"", "\"a\u{1}b\"", "\"a\nb\"", "\u{FEFF}{}",
        "// c\n1", "1e999", "-1e999", "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}", "[1 2]", "{\"a\":1 \"b\":2}",
    ])
    func refuses(text: String) {
        #expect(throws: JSONError.self) { try parse(text) }
    }

    @Test func refusesWhatIsHostile() throws {
        for deep in ["[", "{\"a\":"] {
            let text = String(repeating: deep, count: 1_000_000)
            #expect(try #require(throws: JSONError.self) { try parse(text) }.reason.contains("nested"))
        }
        let allowed = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        #expect(throws: Never.self) { try parse(allowed) }
        #expect(throws: JSONError.self) { try parse("[" + allowed + "]") }
        #expect(throws: JSONError.self) { try parse(String(repeating: "9", count: 1_000_000)) }
        #expect(throws: JSONError.self) { try JSONValue.parse([0x22, 0xFF, 0x22]) }
        #expect(throws: JSONError.self) { try JSONValue.parse([0x22, 0xED, 0xA0, 0x80, 0x22]) }
        #expect(throws: JSONError.self) { try JSONValue.parse([0x31, 0x00]) }
        #expect(throws: JSONError.self) { try JSONValue.parse(Array("[1,2,3]".utf8), sizeLimit: 6) }
    }

    @Test func namesAreComparedByTheirBytes() throws {
        let object = try #require(try parse("{\"\u{E9}\":1,\"e\u{301}\":2}").object)  // é, written in two ways
        #expect(object["\u{E9}"] == .integer(1))
        #expect(object["e\u{301}"] == .integer(2))
    }

    @Test func manyNamesAreQuick() throws {
        let text = "{" + (0..<100_000).map { "\"t\($0)\":\($0)" }.joined(separator: ",") + "}"
        #expect(try parse(text).object?["t99999"] == .integer(99_999))
    }

    @Test func writesWhatItReads() throws {
        let text = #"{"a":[1,-2,0.1,1e-08,18446744073709551615,"q\"\\\n\u0001é"],"z":{},"b":[],"n":null,"t":true}"#
        let value = try parse(text)
        #expect(String(decoding: value.bytes(), as: UTF8.self) == text)
        #expect(try JSONValue.parse(value.bytes(pretty: true)) == value)
        let pretty = String(decoding: try parse(#"{"a":[1],"b":{}}"#).bytes(pretty: true), as: UTF8.self)
        #expect(pretty == "{\n  \"a\": [\n    1\n  ],\n  \"b\": {}\n}\n")
        #expect(JSONValue.double(.nan).bytes() == Array("null".utf8))
    }

    private struct Nested: Codable, Equatable {
        struct Inner: Codable, Equatable {
            var list: [UInt64]
            var text: String?
        }
        var inner: Inner
        var rate: Double
        var small: Int8
        var flags: [[Bool]]
    }

    @Test func carriesCodableValues() throws {
        let value = Nested(inner: .init(list: [.max, 0], text: nil), rate: 0.1, small: -7, flags: [[true], []])
        let json = try JSONValue.encoding(value)
        #expect(
            String(decoding: json.bytes(), as: UTF8.self)
                == #"{"inner":{"list":[18446744073709551615,0]},"rate":0.1,"small":-7,"flags":[[true],[]]}"#)
        #expect(try json.decode(Nested.self) == value)
    }

    @Test(arguments: [
        (#"{"inner":{"list":[]},"rate":1,"small":300,"flags":[]}"#, "small: a whole number, expected a whole number"),
        (#"{"inner":{"list":[]},"rate":"1","small":1,"flags":[]}"#, "rate: a string, expected a number"),
        (#"{"inner":{},"rate":1,"small":1,"flags":[]}"#, "inner.list: missing"),
        (#"{"inner":{"list":3},"rate":1,"small":1,"flags":[]}"#, "inner.list: a whole number, expected an array"),
    ])
    func namesTheMemberThatDoesNotFit(text: String, reason: String) throws {
        let error = try #require(throws: (any Error).self) { try parse(text).decode(Nested.self) }
        #expect(JSONValue.reason(of: error).hasPrefix(reason))
    }
}
