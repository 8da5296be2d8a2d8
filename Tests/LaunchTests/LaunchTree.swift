import Foundation
import Glibc
import TestSupport
import Testing

/// A checkout of its own with a copy of launch/, where mpirun and swiftlet are stand-ins that write down how they were
/// called. It goes away with its owner.
final class LaunchTree: Sendable {
    /// What one call of a stand-in was given.
    struct Call: Equatable {
        let workingDirectory: String
        let arguments: [String]
        let environment: [String: String]
    }

    /// The folder of everything, and the checkout in it.
    let path: String
    let checkout: String

    /// The repository that these tests were built from.
    static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path

    /// - Parameters:
    ///   - name: the folder of the checkout.
    ///   - mpirun: what the stand-in does after it has written down its call, in bash; `$record` is its folder and
    ///     `$call` the number of this call.
    init(name: String = "checkout", mpirun: String = "exit 0") throws {
        path = NSTemporaryDirectory() + "swiftlet-launch-" + UUID().uuidString
        checkout = path + "/" + name
        for folder in ["bin", "record", name + "/.build/release"] {
            try FileManager.default.createDirectory(atPath: path + "/" + folder, withIntermediateDirectories: true)
        }
        try Subprocess.betweenStarts {
            try FileManager.default.copyItem(atPath: Self.repository + "/launch", toPath: checkout + "/launch")
        }
        // How busy the machine is while these tests run is no matter of theirs.
        try edit("cores.sh", "sleep 0.2", "sleep 0")
        try standIn("bin/mpirun", mpirun)
        try standIn(name + "/.build/release/swiftlet", "exit 0")
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Puts a program of bash at a path below `path` that writes its calls down under its own name. SIGUSR1, which the
    /// scripts have mpirun ignore until it has its own mind about it, is as in a fresh process.
    func standIn(_ place: String, _ body: String) throws {
        let name = (place as NSString).lastPathComponent
        let text = """
            #!/usr/bin/env -S --default-signal=USR1 bash -p
            record='\(path)/record'
            for ((call = 1; ; call++)); do mkdir "$record/\(name)-$call" 2>/dev/null && break; done
            printf '%s\\0' "$PWD" "$@" >"$record/\(name)-$call/arguments"
            env -0 >"$record/\(name)-$call/environment"
            \(body)
            """
        try write(place, text)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path + "/" + place)
    }

    /// A stand-in for mpirun that runs until it is signalled: `signals` gets a line for each, and `react` is bash that
    /// decides what then happens, with the name in `$signal`.
    static func listening(react: String) -> String {
        """
        heard() { local signal=$1; echo "$signal" >>"$record/signals"; \(react); }
        for signal in INT TERM HUP USR1; do trap "heard $signal" "$signal"; done
        touch "$record/ready"
        while :; do sleep 0.02; done
        """
    }

    @discardableResult
    func write(_ place: String, _ text: String) throws -> String {
        let file = path + "/" + place
        try FileManager.default.createDirectory(
            atPath: (file as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        try Subprocess.betweenStarts { try text.write(toFile: file, atomically: false, encoding: .utf8) }
        return file
    }

    /// Changes a script of this checkout.
    func edit(_ script: String, _ old: String, _ new: String) throws {
        let file = checkout + "/launch/" + script
        let text = try String(contentsOfFile: file, encoding: .utf8)
        try Subprocess.betweenStarts {
            try text.replacing(old, with: new).write(toFile: file, atomically: false, encoding: .utf8)
        }
    }

    /// Makes `tools`, a folder with the programs that the scripts cannot do without, and these.
    func linkTools(_ more: [String]) throws {
        let tools = path + "/tools/"
        try FileManager.default.createDirectory(atPath: tools, withIntermediateDirectories: true)
        let needed = ["bash", "env", "awk", "id", "dirname", "readlink", "sort", "wc", "cat", "sleep", "grep", "mkdir"]
        for tool in needed + more {
            let place = try #require(Subprocess.find(tool))
            try FileManager.default.createSymbolicLink(atPath: tools + tool, withDestinationPath: place)
        }
    }

    /// PATH with the stand-ins first.
    var variables: [String: String] {
        ["PATH": path + "/bin:" + (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"), "SWIFTLET": ""]
    }

    /// Starts a launch script by its name, in the checkout.
    func start(
        _ script: String, _ arguments: [String], environment: [String: String] = [:], workingDirectory: String? = nil
    ) throws -> Subprocess {
        try Subprocess(
            script.hasPrefix("/") ? script : checkout + "/launch/" + script, arguments,
            environment: variables.merging(environment) { $1 }, workingDirectory: workingDirectory ?? checkout)
    }

    func run(
        _ script: String, _ arguments: [String], environment: [String: String] = [:], workingDirectory: String? = nil
    ) throws -> Subprocess.Outcome {
        try start(script, arguments, environment: environment, workingDirectory: workingDirectory).wait()
    }

    /// Runs some bash in the checkout.
    func bash(_ text: String, environment: [String: String] = [:]) throws -> Subprocess.Outcome {
        try Subprocess.run(
            "/bin/bash", ["-c", text], environment: variables.merging(environment) { $1 }, workingDirectory: checkout)
    }

    /// The calls of a stand-in, in their order.
    func calls(_ name: String = "mpirun") throws -> [Call] {
        var found: [Call] = []
        while let text = read("record/\(name)-\(found.count + 1)/arguments") {
            let words = text.split(separator: "\0", omittingEmptySubsequences: false).dropLast().map(String.init)
            let variables = (read("record/\(name)-\(found.count + 1)/environment") ?? "").split(separator: "\0").map {
                $0.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            }
            found.append(
                Call(
                    workingDirectory: words.first ?? "", arguments: Array(words.dropFirst()),
                    environment: Dictionary(variables.map { ($0[0], $0.last ?? "") }) { $1 }))
        }
        return found
    }

    /// The signals that a listening stand-in has had.
    var signals: [String] { (read("record/signals") ?? "").split(separator: "\n").map(String.init) }

    func read(_ place: String) -> String? { try? String(contentsOfFile: path + "/" + place, encoding: .utf8) }

    /// Waits until a listening stand-in listens.
    func waitUntilReady() -> Bool { waitUntil { read("record/ready") != nil } }
}

extension Subprocess.Outcome {
    /// The lines that the launch scripts say, without their word for it.
    var launchLines: [String] {
        standardError.split(separator: "\n").filter { $0.hasPrefix("launch: ") }.map { String($0.dropFirst(8)) }
    }
}
