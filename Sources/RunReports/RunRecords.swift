import Basics

/// A line of `starts.jsonl`: a start of a run, or an end of one.
package struct StartRecord: Sendable {
    /// In UTC, as it stands in the file.
    package let time: String
    /// Steps that were made before it.
    package let step: Int
    /// `finished`, `stopped` or `failed`; nil for a start.
    package let outcome: String?
    /// Why it failed.
    package let reason: String?
    /// Of this start.
    package let ranks: Int?
    /// Of each rank.
    package let threads: Int?
    /// Version, precision, host, cpu, command and what carried the messages, by the members' names.
    private let texts: [String: String]

    init?(_ json: JSON) {
        guard let step = json["step"]?.int, step >= 0, let time = json["time"]?.string else { return nil }
        self.step = step
        self.time = time
        outcome = json["outcome"]?.string
        reason = json["reason"]?.string
        ranks = json["ranks"]?.int
        threads = json["threads"]?.int
        let names = ["version", "precision", "host", "cpu", "command", "mpi"]
        texts = Dictionary(uniqueKeysWithValues: names.compactMap { name in json[name]?.string.map { (name, $0) } })
    }

    /// A text of this start by the member's name, empty where there is none.
    package subscript(name: String) -> String { texts[name] ?? "" }

    /// What it is on the axis.
    package var kind: String {
        switch outcome {
        case nil: step == 0 ? "started" : "resumed"
        case let outcome?: outcome
        }
    }
}

/// A line of `samples.jsonl`: what the model wrote at a step.
package struct SampleRecord: Sendable {
    /// Steps that the model had made.
    package let step: Int
    /// What it was to go on with.
    package let prompt: String
    /// What it wrote.
    package let text: String

    init?(_ json: JSON) {
        guard let step = json["step"]?.int, let text = json["text"]?.string else { return nil }
        self.step = step
        self.text = text
        prompt = json["prompt"]?.string ?? ""
    }
}
