import Basics

/// The names inside `checkpoints/`. Only names that match exactly are ever read, and only names that this program
/// makes are ever removed.
package enum CheckpointName {
    /// `step-00000100`, at least eight digits.
    package static func directory(step: Int) -> String { "step-" + padded("\(step)", to: 8) }

    /// The link to the checkpoint of the lowest validation loss, and what it is made under.
    static let best = "best"
    private static let newBest = ".best.new"

    /// A checkpoint in the making: `step-00000100.tmp-0123456789abcdef`.
    static func temporary(step: Int) -> String { directory(step: step) + ".tmp-" + randomDigits() }

    /// A checkpoint on its way out: `.trash-step-00000100-0123456789abcdef`.
    static func trash(step: Int) -> String { ".trash-" + directory(step: step) + "-" + randomDigits() }

    /// The step of `step-` and 1 to 12 digits, or nil for any other name.
    static func step(_ name: some StringProtocol) -> Int? {
        guard name.hasPrefix("step-") else { return nil }
        let digits = name.dropFirst(5)
        guard (1...12).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return Int(digits)
    }

    /// True for what an interrupted save or removal of ours left behind.
    static func isLeftover(_ name: String) -> Bool {
        if name == newBest { return true }
        return [(".trash-", "-"), ("", ".tmp-")].contains { prefix, middle in
            let start = name.dropFirst(prefix.count).dropLast(16)
            return name.hasPrefix(prefix) && start.hasSuffix(middle) && step(start.dropLast(middle.count)) != nil
                && isHexadecimal(name.suffix(16), 16)
        }
    }

    private static func randomDigits() -> String { hexadecimal(UInt64.random(in: .min ... .max)) }
}
