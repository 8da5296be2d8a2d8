import ArgumentParser
import Basics
import Training

/// `swiftlet generate`
struct GenerateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate", abstract: "Continue a prompt with a trained model.",
        usage: "swiftlet generate --checkpoint <path> --prompt <text> [<options>]",
        discussion: """
            Of a prompt longer than the context its last tokens are seen, as many as fit. When the context is full, the older \
            half of it is forgotten and the newer half is read again from its start.
            """)

    @OptionGroup var given: TableOptions<TextGeneration.Options, 0>

    func run() throws {
        let options = try given.settings()
        let warn = ConsoleReporter().warning
        try TextGeneration.run(options, warn: warn, write: StandardStreams.write)
        try StandardStreams.print("")
    }
}
