import Basics
import Optimization

/// Short sequences first (`--sequence-warmup`, Li et al. 2022, "The Stability-Efficiency Dilemma").
///
/// The tokens of a step and their order stay as they are: each sequence of the context's length is cut into pieces that do
/// not see each other, and positions start at 0 in each. The length of a step is a function of the step and of the run's
/// steps alone, so ranks, stops and resumes do not change it.
package struct SequenceWarmup: Equatable, Sendable {
    /// Pieces of `length` tokens until `share` of the run's steps are made.
    struct Stage: Equatable, Sendable {
        let length: Int
        let share: Double
    }

    /// Lengths and shares both grow.
    let stages: [Stage]
    /// The lengths of the pieces.
    package var lengths: [Int] { stages.map(\.length) }

    /// Reads `64:0.25,128:0.5`; nil for a text that is no such list, or whose lengths or shares do not grow.
    package init?(_ text: String) {
        var stages: [Stage] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let words = part.split(separator: ":", omittingEmptySubsequences: false)
            guard words.count == 2, let length = Int(words[0]), let share = Double(words[1]), length > 0,
                (0...1).contains(share), stages.last.map({ $0.length < length && $0.share < share }) ?? true
            else { return nil }
            stages.append(Stage(length: length, share: share))
        }
        self.stages = stages
    }

    /// The list as it is read.
    package var text: String { stages.map { "\($0.length):\($0.share)" }.joined(separator: ",") }

    /// The length of the pieces of update number `step`, from 0, in a run of `totalSteps`; nil when sequences are whole.
    package func length(at step: Int, of totalSteps: Int) -> Int? {
        stages.first { step < LearningRateSchedule.steps($0.share, of: totalSteps) }?.length
    }

    /// Checks that every length divides the context and is less.
    /// - Throws: `ExitError` (64) naming the first that does not.
    func requireFit(contextLength: Int) throws(ExitError) {
        for length in lengths where length >= contextLength || contextLength % length != 0 {
            throw .usage(
                "--sequence-warmup \(text) cuts sequences of \(contextLength) tokens into pieces of \(length); give lengths "
                    + "that are less than --context-length and divide it, or leave it out")
        }
    }

    /// What it does in a run, for people.
    func description(of totalSteps: Int, contextLength: Int) -> String {
        let parts = stages.map { stage in
            "\(stage.length) tokens until step \(LearningRateSchedule.steps(stage.share, of: totalSteps))"
        }
        return parts.joined(separator: ", ") + ", then \(contextLength)"
    }
}

extension OptionValue<SequenceWarmup> {
    /// Lengths and shares.
    static var sequenceWarmup: OptionValue {
        OptionValue(
            form: OptionForm(
                placeholder: "length:share,…",
                expected: "tokens and parts of the run such as 64:0.25,128:0.5, both growing, the parts from 0 to 1"),
            read: { SequenceWarmup($0) }, write: { $0.text })
    }
}
