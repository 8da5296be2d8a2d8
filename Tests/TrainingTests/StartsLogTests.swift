import Basics
import Collectives
import Foundation
import TestSupport
import Testing
import Training

/// `starts.jsonl`: when and where a run was computed, through stops, failures and disks that take nothing.
@Suite struct StartsLogTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func configuration(steps: Int = 4, stopAfter: Int? = nil) throws -> TrainingConfiguration {
        var configuration = try Curve.configuration(runDirectory: directory.file("run"))
        (configuration.steps, configuration.warmupSteps) = (steps, 1)
        configuration.stopAfter = stopAfter
        return configuration
    }

    private func lines() throws -> [[String: Any]] {
        let text = try String(contentsOfFile: directory.file("run/starts.jsonl"), encoding: .utf8)
        return text.split(separator: "\n").compactMap { line in
            try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        }
    }

    @Test func startsAndEndsAreThere() throws {
        try train(configuration(stopAfter: 2), ranks: 2)
        try train(configuration(), ranks: 1)
        let found = try lines()
        #expect(found.map { $0["step"] as? Int } == [0, 2, 2, 4])
        #expect(found.map { $0["outcome"] as? String } == [nil, "stopped", nil, "finished"])
        #expect(found.map { $0["ranks"] as? Int } == [2, nil, 1, nil])
        #expect(found[0]["version"] as? String == swiftletVersion && found[0]["threads"] as? Int == 1)
        #expect(
            found[0]["precision"] as? String == "fp32"
                && (found[0]["command"] as? String)?.hasPrefix("swiftlet ") == true)
        #expect(
            found[0]["cpu"] as? String == Machine().processorName ?? ""
                && (found[0]["host"] as? String)?.isEmpty == false)
        for line in found {
            let time = line["time"] as? String ?? ""
            #expect(time.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ/) != nil, "\(time)")
        }
        // A run with nothing to do has not run.
        try train(configuration(), ranks: 1)
        #expect(try lines().count == 4)
    }

    @Test func aFailureSaysWhy() throws {
        var configuration = try configuration(steps: 40)
        (configuration.learningRate, configuration.gradClip, configuration.warmupSteps) = (1e30, 0, 0)
        #expect(throws: (any Error).self) { try train(configuration, ranks: 1) }
        let found = try lines()
        #expect(found.count == 2 && found[1]["outcome"] as? String == "failed")
        #expect(
            (found[1]["reason"] as? String)?.contains("not finite") == true
                || (found[1]["reason"] as? String)?.contains("is nan") == true, "\(found)")
    }

    /// What a power cut left of a line stays by itself.
    @Test func aTornLineIsNotGoneOnWith() throws {
        try train(configuration(stopAfter: 2), ranks: 1)
        let path = directory.file("run/starts.jsonl")
        let text = try String(contentsOfFile: path, encoding: .utf8)
        try String(text.dropLast(10)).write(toFile: path, atomically: true, encoding: .utf8)
        try train(configuration(), ranks: 1)
        #expect(try lines().map { $0["step"] as? Int } == [0, 2, 4])
    }

    @Test func aPlaceThatTakesNothingEndsNoRun() throws {
        try FileManager.default.createDirectory(
            atPath: directory.file("run/starts.jsonl"), withIntermediateDirectories: true)
        let outcome = try train(configuration(), ranks: 1)
        #expect(outcome == .finished)
    }
}
