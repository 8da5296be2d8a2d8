import ArgumentParser
import Foundation
import Training

/// `swiftlet generate`
struct GenerateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate", abstract: "Continue a prompt with a trained model.")

    @Option(help: "Checkpoint, run directory (its newest checkpoint) or Hugging Face model directory.")
    var checkpoint: String
    @Option(help: "The text to continue.")
    var prompt: String
    @Option(help: "Tokens to add.")
    var maxTokens = 200
    @Option(help: "Below 1: likelier tokens become likelier still; 0: always the likeliest.")
    var temperature = 0.8
    @Option(help: "Draw from this many of the likeliest tokens; 0: from all.")
    var topK = 50
    @Option(help: "Equal seeds give equal texts.")
    var seed: UInt64 = 1
    @Option(help: "Threads (auto: the allowed cores).")
    var threads: Int?

    func validate() throws {
        guard maxTokens >= 0 else { throw ValidationError("--max-tokens is \(maxTokens), expected 0 or more") }
        guard temperature.isFinite, temperature >= 0 else {
            throw ValidationError("--temperature is \(temperature), expected a number, 0 or more")
        }
        guard topK >= 0 else { throw ValidationError("--top-k is \(topK), expected 0 or more") }
        if let threads, threads < 1 { throw ValidationError("--threads is \(threads), expected 1 or more") }
    }

    func run() throws {
        let generation = try TextGeneration(checkpoint: checkpoint, threads: threads)
        try generation.run(
            prompt: prompt, maxTokens: maxTokens, temperature: temperature, topK: topK == 0 ? nil : topK, seed: seed
        ) { bytes in
            try? FileHandle.standardOutput.write(contentsOf: Data(bytes))
        }
        try? FileHandle.standardOutput.write(contentsOf: Data("\n".utf8))
    }
}
