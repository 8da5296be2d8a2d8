import Basics
import Foundation
import RunReports
import Testing

/// One line of metrics, read fast and read by the general parser: the same numbers.
@Suite struct LineScannerTests {
    private static let line =
        #"{"step":2000,"epoch":5,"lr":0.0,"train_loss":0.9621713012456894,"grad_norm":0.9251391479054589,"tokens":4096000,"tokens_per_second":12681.882452808088,"step_ms":161.490221,"val_loss":1.79467880546581,"val_ppl":6.01754160989702}"#

    /// The fields that the fast pass reads of a line, or nil where it leaves the line to the parser.
    private func scan(_ line: String) -> [MetricField: Double]? {
        var scanner = LineScanner()
        let bytes = Array((line + "\n").utf8) + [0]
        guard let next = scanner.scan(bytes.span, from: 0) else { return nil }
        #expect(next == bytes.count - 1)
        return fields(scanner)
    }

    private func parse(_ line: String) -> [MetricField: Double]? {
        var scanner = LineScanner()
        return scanner.read(Array(line.utf8)) ? fields(scanner) : nil
    }

    private func fields(_ scanner: LineScanner) -> [MetricField: Double] {
        var found: [MetricField: Double] = [:]
        for field in MetricField.allCases { found[field] = scanner.value(field) }
        return found
    }

    private func expectSame(_ line: String, location: SourceLocation = #_sourceLocation) throws {
        let (fast, slow) = (try #require(scan(line), "\(line)"), try #require(parse(line), "\(line)"))
        #expect(Set(fast.keys) == Set(slow.keys), "\(line)", sourceLocation: location)
        for (field, value) in slow {
            let found = fast[field] ?? -1
            let isSame = value.isNaN ? found.isNaN : (found - value).magnitude <= 1e-15 * value.magnitude
            #expect(isSame, "\(field) of \(line): \(found), not \(value)", sourceLocation: location)
        }
    }

    @Test func aLineOfOurs() throws {
        try expectSame(Self.line)
        let found = try #require(scan(Self.line))
        #expect(found.count == 10)
        #expect(
            found[.step] == 2000 && found[.trainLoss] == 0.9621713012456894
                && found[.validationLoss] == 1.79467880546581)
    }

    @Test(arguments: [
        #"{"step":1,"epoch":1,"lr":3e-05,"train_loss":null,"grad_norm":-1.5e+3,"tokens":8,"tokens_per_second":1e22,"step_ms":0.25}"#,
        #"{"step":7,"train_loss":123456789012345678901234567890.5,"step_ms":1e-30}"#,
        #"{"step":7,"train_loss":0.00000000000000000000123456789012345678901,"step_ms":5E-300}"#,
        #"{"step":9,"lr":0.5,"muon_lr":0.02,"sequence_length":64,"ceiling_share":0.75,"val_loss":3.5,"val_ppl":33.1,"val_bpb":1.25}"#,
        #"{"step":9,"lr":0.5,"new":17,"word":"x y","other":null,"val_loss":2.0,"last":-0.5}"#,
        #"{"step":3}"#, #"{"step":4294967295,"tokens":900719925474099312}"#,
    ])
    func otherNumbersAndFields(line: String) throws { try expectSame(line) }

    @Test func randomNumbers() throws {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            let value = Double(bitPattern: UInt64.random(in: 0..<0x7FF0_0000_0000_0000, using: &generator))
            guard value > 1e-290, value < 1e290 else { continue }
            let near = Double.random(in: -10...10, using: &generator)
            try expectSame(#"{"step":5,"lr":\#(near),"train_loss":\#(near / 1000)}"#)
            let found = try #require(scan(#"{"step":5,"train_loss":\#(value)}"#)?[.trainLoss])
            #expect((found / value - 1).magnitude < 1e-13, "\(value)")
        }
    }

    /// What the fast pass does not know goes to the parser, which knows it.
    @Test(arguments: [
        #"{"epoch":1,"step":5}"#, #"{"step":5,"lr":0.5,"epoch":1}"#, #"{ "step": 5 }"#, #"{"step":5,"a":{"b":1}}"#,
        #"{"step":5,"a":"x\"y"}"#, #"{"step":5,"a":[1,2]}"#, #"{"step":5,"a":true}"#,
    ])
    func otherForms(line: String) throws {
        #expect(scan(line) == nil)
        #expect(parse(line)?[.step] == 5)
    }

    @Test(arguments: [
        "", "{}", "{", #"{"step""#, #"{"step":"#, #"{"step":5"#, #"{"step":-}"#, #"{"step":5.}"#, "null", "[5]",
        #"{"epoch":5}"#,
    ])
    func noLines(line: String) {
        #expect(scan(line) == nil)
        #expect(parse(line)?[.step] == nil)
    }

    /// A line that is cut anywhere is none, and nothing beyond the bytes is looked at.
    @Test func everyCut() {
        let bytes = Array(Self.line.utf8)
        for count in 0...bytes.count {
            var scanner = LineScanner()
            let cut = Array(bytes[..<count]) + [0]
            #expect(scanner.scan(cut.span, from: 0) == nil, "\(count)")
        }
    }
}
