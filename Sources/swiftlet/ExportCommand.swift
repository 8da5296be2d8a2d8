import ArgumentParser
import Basics
import Training

/// `swiftlet export`
struct ExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write a model as transformers, llama.cpp or llm.c read it.",
        usage: "swiftlet export --checkpoint <path> --output <path> --format huggingface|gguf|llm.c [<options>]",
        discussion: "What the other program would compute differently is refused by name.")

    @OptionGroup var given: TableOptions<ModelExport.Options, 0>

    func run() throws {
        let options = try given.settings()
        try StandardStreams.print(ModelExport.run(options, warn: ConsoleReporter().warning))
    }
}
