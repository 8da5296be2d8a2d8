import Foundation
import TestSupport
import Testing

/// `make install` of the executable that was built with these tests, below a folder of its own.
@Suite struct InstallTests {
    private let root = NSTemporaryDirectory() + "swiftlet-install-" + UUID().uuidString
    private let prefix = "/opt/a place"
    private var place: String { root + prefix }

    private func make(_ target: String) throws -> Subprocess.Outcome {
        try Subprocess.run(
            "/usr/bin/env",
            [
                "make", "-s", "-o", "build", target, "DESTDIR=\(root)", "PREFIX=\(prefix)",
                "SWIFTLET=\(BuildProducts.executable("swiftlet"))",
            ], environment: ["MAKEFLAGS": "", "MAKELEVEL": ""], workingDirectory: LaunchTree.repository)
    }

    private func files() -> Set<String> {
        let all = (try? FileManager.default.subpathsOfDirectory(atPath: place)) ?? []
        return Set(all.filter { (try? FileManager.default.contentsOfDirectory(atPath: place + "/" + $0)) == nil })
    }

    private func text(_ name: String) throws -> String {
        try String(contentsOfFile: place + "/" + name, encoding: .utf8)
    }

    @Test func everythingIsInItsPlaceAndGoesAwayAgain() throws {
        defer { try? FileManager.default.removeItem(atPath: root) }
        let outcome = try make("install")
        #expect(outcome.status == 0 && outcome.standardError.isEmpty, "\(outcome)")
        #expect(outcome.standardOutput.hasPrefix("installed in \(place): "), "\(outcome)")
        let names = files()
        for name in ["swiftlet", "swiftlet-local", "swiftlet-hosts", "swiftlet-slurm", "swiftlet-restart"] {
            #expect(names.contains("bin/" + name), "\(name)")
        }
        for name in try FileManager.default.contentsOfDirectory(atPath: LaunchTree.repository + "/launch")
        where !name.hasSuffix(".md") {
            #expect(names.contains("libexec/swiftlet/" + name), "\(name)")
        }
        try checkPrograms()
        try checkCompletions()
        try checkManual(names)

        try "mine".write(toFile: place + "/bin/other", atomically: true, encoding: .utf8)
        let gone = try make("uninstall")
        #expect(gone.status == 0 && gone.standardError.isEmpty, "\(gone)")
        #expect(files() == ["bin/other"])
    }

    private func checkPrograms() throws {
        let version = try Subprocess.run(place + "/bin/swiftlet", ["--version"])
        #expect(version.status == 0, "\(version)")
        // The wrappers know the executable by their own place, from any folder.
        let local = try Subprocess.run(
            place + "/bin/swiftlet-local", ["--version"], environment: ["SWIFTLET": ""], workingDirectory: "/")
        #expect(local.status == 0 && local.standardOutput == version.standardOutput, "\(local)")
        let run = try Subprocess.run(
            place + "/bin/swiftlet-local", ["-n", "1", "-u", "train", "--run-dir", root + "/run"],
            environment: ["SWIFTLET": ""], workingDirectory: "/", timeout: 120)
        #expect(run.status == 64, "\(run)")
        #expect(run.standardError.contains("swiftlet: error: --train-data is missing"), "\(run)")
        for script in ["swiftlet-hosts", "swiftlet-restart"] {
            let help = try Subprocess.run(place + "/bin/" + script, ["--help"], workingDirectory: "/")
            #expect(help.status == 0 && help.standardOutput.contains("launch/"), "\(help)")
        }
    }

    private func checkCompletions() throws {
        let bash = place + "/share/bash-completion/completions/swiftlet"
        #expect(try Subprocess.run("/bin/bash", ["-n", bash]).status == 0)
        for (file, words) in [
            ("bash-completion/completions/swiftlet", ["'--learning-rate')", "-W 'cosine'"]),
            ("zsh/site-functions/_swiftlet", ["#compdef swiftlet\n", "--learning-rate"]),
            ("fish/vendor_completions.d/swiftlet.fish", ["complete -c 'swiftlet'", "learning-rate"]),
        ] {
            let script = try text("share/" + file)
            for word in words { #expect(script.contains(word), "\(word) in \(file)") }
        }
    }

    /// A page for the program and one for each subcommand that the help lists, with every option of its.
    private func checkManual(_ names: Set<String>) throws {
        let help = try Subprocess.run(place + "/bin/swiftlet", ["--help"]).standardOutput
        let commands = (help.components(separatedBy: "SUBCOMMANDS:\n").last ?? "").split(separator: "\n")
            .filter { $0.hasPrefix("  ") && !$0.hasPrefix("   ") }.compactMap { $0.split(separator: " ").first }
            .filter { $0 != "See" }
        #expect(commands.count > 5)
        let pages = names.filter { $0.hasPrefix("share/man/man1/") }
        #expect(pages == Set(["swiftlet.1"] + commands.map { "swiftlet-\($0).1" }).map { "share/man/man1/" + $0 }.asSet)
        let program = try text("share/man/man1/swiftlet.1")
        for command in commands {
            #expect(program.contains("swiftlet\\-\(command)"), "\(command)")
            let page = try text("share/man/man1/swiftlet-\(command).1")
            let own = try Subprocess.run(place + "/bin/swiftlet", [String(command), "--help"]).standardOutput
            for match in own.matches(of: /(?m)^  --([a-z][a-z0-9-]*)/) {
                let name = match.1.replacing("-", with: "\\-")
                #expect(page.contains(".TP\n\\fB\\-\\-\(name)\\fR"), "--\(match.1) of \(command)")
            }
            for part in [".TH \"SWIFTLET-\(command.uppercased())\" 1", ".SH NAME", ".SH SYNOPSIS", ".SH OPTIONS"] {
                #expect(page.contains(part), "\(part) in \(command)")
            }
        }
        guard let man = Subprocess.find("man") ?? Subprocess.find("groff") else { return }
        let page = place + "/share/man/man1/swiftlet-train.1"
        let shown = try Subprocess.run(
            man, man.hasSuffix("man") ? ["-l", page] : ["-man", "-Tutf8", page], environment: ["MANPAGER": "cat"])
        #expect(shown.status == 0 && shown.standardOutput.contains("rate"), "\(shown)")
    }
}

extension Array where Element: Hashable {
    fileprivate var asSet: Set<Element> { Set(self) }
}
