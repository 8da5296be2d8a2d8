import Basics

/// What is wrong with a schedule: the option, its value and what was expected.
package enum ScheduleError: ExitCoded, Equatable {
    /// A value that no schedule can have (exit code 64).
    case invalid(option: String, value: String, expected: String)
    /// The run was started with another schedule than the one that is asked for now (exit code 64).
    case differs([ScheduleDifference])
    /// A saved state whose learning rate is not the one that its own schedule gives (exit code 65).
    case inconsistent(step: Int, saved: Double, computed: Double)
    /// A saved state that cannot be one (exit code 65).
    case corrupt(String)

    package var exitCode: ExitCode {
        switch self {
        case .invalid, .differs: .usage
        case .inconsistent, .corrupt: .badInput
        }
    }

    package var description: String {
        switch self {
        case .invalid(let option, let value, let expected):
            "\(option) is \(value), expected \(expected)"
        case .differs(let differences):
            "the checkpoint has another learning-rate schedule ("
                + differences.map(\.description).joined(separator: "; ")
                + "); use the saved values, or ask for the change with --extend-schedule (new --steps only) "
                + "or --rewarm N"
        case .inconsistent(let step, let saved, let computed):
            "the saved learning rate \(saved) of step \(step) is not what the saved schedule gives, \(computed); "
                + "the state is inconsistent, use another checkpoint"
        case .corrupt(let what):
            "the saved schedule cannot be used: \(what); use another checkpoint"
        }
    }
}

/// One value in which a saved schedule and the one asked for are not the same.
package struct ScheduleDifference: Equatable, Sendable, CustomStringConvertible {
    /// The option, such as `--steps`.
    package let option: String
    /// The value in the checkpoint.
    package let saved: String
    /// The value asked for now.
    package let requested: String

    package var description: String { "\(option): saved \(saved), asked for \(requested)" }
}
