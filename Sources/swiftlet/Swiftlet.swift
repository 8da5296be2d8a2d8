import ArgumentParser

/// Trains GPT-style language models on CPUs, on one process or many.
@main
struct Swiftlet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "swiftlet",
        abstract: "Trains GPT-style language models on CPUs, on one process or many.",
        subcommands: [TokenizeCommand.self])
}
