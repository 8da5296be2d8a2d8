import ArgumentParser
import Basics
import Collectives
import Training

/// `swiftlet bench`
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure this machine's ceilings, time a training step and say where its time goes.",
        usage: "swiftlet bench [<options>]",
        discussion: "Without options: the reference shape, 6 layers, 6 heads, 384, vocabulary 8192, context 256.")

    @OptionGroup var given: TableOptions<Benchmark.Options, 0>

    func run() throws {
        let options = try given.settings()
        try withCommunicator { communicator in
            let report = try Benchmark.run(options, communicator: communicator)
            if communicator.rank == 0 { try StandardStreams.print(options.json ? report.json : report.text) }
        }
    }
}
