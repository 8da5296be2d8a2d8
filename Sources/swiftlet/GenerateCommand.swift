import ArgumentParser
import Basics
import Training

/// `swiftlet generate`
struct GenerateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate", abstract: "Continue a prompt with a trained model.",
        usage: "swiftlet generate --checkpoint <path> --prompt <text> [<options>]",
        discussion: "A text longer than the context is seen in part: when it is full, its older half is forgotten.")

    @OptionGroup var given: TableOptions<TextGeneration.Options, 0>

    func run() throws {
        let options = try given.settings()
        let warn = ConsoleReporter(alwaysLive: false).warning
        try TextGeneration.run(options, warn: warn, write: StandardStreams.write)
        try StandardStreams.print("")
    }
}
