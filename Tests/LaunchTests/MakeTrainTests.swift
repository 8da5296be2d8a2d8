import Foundation
import TestSupport
import Testing

/// `make train` with a stand-in for swiftlet: what is made, made again, or refused.
@Suite struct MakeTrainTests {
    /// A checkout with two texts of one name, and a swiftlet that makes what make looks for.
    private func tree() throws -> LaunchTree {
        let tree = try LaunchTree(mpirun: "while [[ $1 != */swiftlet ]]; do shift; done; exec \"$@\"")
        try FileManager.default.copyItem(
            atPath: LaunchTree.repository + "/Makefile", toPath: tree.checkout + "/Makefile")
        for place in ["docs/a.txt", "other/docs/a.txt", "my text/it's.txt"] {
            try tree.write("checkout/" + place, place)
        }
        try tree.standIn(
            "checkout/.build/release/swiftlet",
            """
            [[ $1 != evaluate ]] || echo "loss $call"
            directory="" output="" stop="" steps=0 previous=""
            for word in "$@"; do
                case $previous in
                    --output) output=$word ;; --run-dir) directory=$word ;; --stop-after) stop=$word ;; --steps) steps=$word ;;
                esac
                previous=$word
            done
            [[ -z $output ]] || mkdir -p "$output"
            [[ $1 == train ]] || exit 0
            mkdir -p "$directory/checkpoints/$(printf 'step-%08d' "${stop:-$steps}")"
            [[ -z $stop ]] || exit 75
            """)
        return tree
    }

    private func make(_ tree: LaunchTree, _ arguments: String...) throws -> Subprocess.Outcome {
        try Subprocess.run(
            "/usr/bin/env", ["make", "-s", "-o", "build"] + arguments,
            environment: tree.variables.merging(["MAKEFLAGS": "", "MAKELEVEL": ""]) { $1 },
            workingDirectory: tree.checkout)
    }

    /// How often each subcommand has run.
    private func work(_ tree: LaunchTree) throws -> [String: Int] {
        Dictionary(grouping: try tree.calls("swiftlet")) { $0.arguments[0] }.mapValues(\.count)
    }

    private static let whole = ["tokenize": 1, "train": 3, "evaluate": 3, "generate": 1]

    @Test func theWorkIsDoneOnce() throws {
        let tree = try tree()
        let first = try make(tree, "train", "TEXT=docs", "RANKS=1")
        #expect(first.status == 0, "\(first)")
        #expect(try work(tree) == Self.whole)
        #expect(first.standardOutput.contains("validation, at the end:            loss "))
        let second = try make(tree, "train", "TEXT=docs", "RANKS=1")
        #expect(second.status == 0)
        #expect(second.standardOutput.contains("--- runs/docs was trained with these settings before"), "\(second)")
        #expect(try work(tree) == Self.whole.merging(["generate": 2]) { $1 })
    }

    @Test(
        "S3: another text of the same name, or another setting, is neither shown nor continued",
        arguments: [
            "TEXT=other/docs", "STEPS=80", "LAYERS=2", "HEADS=2", "WIDTH=8", "CONTEXT=8", "VOCABULARY=999",
            "MICRO_BATCH=2", "GLOBAL_BATCH=4", "WARMUP=3", "LEARNING_RATE=1e-4",
        ])
    func otherSettings(setting: String) throws {
        let tree = try tree()
        #expect(try make(tree, "train", "TEXT=docs").status == 0)
        let outcome = try make(tree, "train", "TEXT=docs", setting)
        #expect(outcome.status == 2)
        let line = try #require(outcome.standardError.split(separator: "\n").first)
        let value = setting.split(separator: "=")[1]
        #expect(
            line.hasPrefix("make: runs/docs was made with ") && line.contains("now it is ") && line.contains(value),
            "\(line)")
        #expect(line.contains("NAME=docs-2") && line.contains("make clean-run NAME=docs"))
        #expect(try work(tree) == Self.whole)
        // Both pieces of advice work.
        #expect(try make(tree, "train", "TEXT=docs", setting, "NAME=docs-2").status == 0)
        #expect(try work(tree)["train"] == 6)
        #expect(try make(tree, "clean-run", "NAME=docs").status == 0)
        #expect(try make(tree, "train", "TEXT=docs", setting).status == 0)
        #expect(try work(tree)["train"] == 9)
    }

    @Test("S3: a text that has changed") func otherContents() throws {
        let tree = try tree()
        #expect(try make(tree, "train", "TEXT=docs").status == 0)
        try tree.write("checkout/docs/b.txt", "more")
        let outcome = try make(tree, "train", "TEXT=docs")
        #expect(outcome.status == 2 && outcome.standardError.contains("was made with CONTENTS="), "\(outcome)")
        // Another way to write the same path is no other text.
        try FileManager.default.removeItem(atPath: tree.checkout + "/docs/b.txt")
        #expect(try make(tree, "train", "TEXT=./docs/").status == 0)
        #expect(try make(tree, "train", "TEXT=\(tree.checkout)/docs").status == 0)
    }

    @Test func blanksAndSeveralTexts() throws {
        let tree = try tree()
        for (text, name, inputs) in [
            ("my text", "my-text", ["my text"]), ("my text/it's.txt", "it-s", ["my text/it's.txt"]),
            ("docs other/docs", "docs", ["docs", "other/docs"]), ("docs/*.txt", "text", ["docs/a.txt"]),
        ] {
            #expect(try make(tree, "train", "TEXT=" + text).status == 0)
            let call = try #require(try tree.calls("swiftlet").last { $0.arguments[0] == "tokenize" })
            #expect(
                call.arguments == ["tokenize", "--input"] + inputs.map { tree.checkout + "/" + $0 }
                    + ["--output", "corpus/\(name)-tokens.part", "--vocab-size", "8192"])
            #expect(FileManager.default.fileExists(atPath: tree.checkout + "/runs/\(name)/.finished"))
        }
    }

    @Test func whatIsNotOfMakeTrainStays() throws {
        let tree = try tree()
        for place in ["runs/docs", "corpus/docs-tokens"] {
            try tree.write("checkout/\(place)/mine", "")
            let outcome = try make(tree, "train", "TEXT=docs")
            #expect(outcome.status == 2 && outcome.standardError.contains("\(place) is there, but not of 'make train'"))
            #expect(try make(tree, "clean-run", "NAME=docs").status == 0)
            #expect(tree.read("checkout/\(place)/mine") != nil)
            try FileManager.default.removeItem(atPath: tree.checkout + "/" + place)
        }
        #expect(try tree.calls("swiftlet").isEmpty)
    }

    @Test func aMissingTextIsSaid() throws {
        let outcome = try make(try tree(), "train", "TEXT=nothing here")
        #expect(outcome.status == 2 && outcome.standardError.contains("TEXT: nothing is not there"), "\(outcome)")
    }

    @Test("A stop by Ctrl-C is not taken for the stop halfway") func interrupted() throws {
        let tree = try tree()
        // The second run is the one that is stopped halfway; here it stops without having come there.
        try tree.standIn(
            "bin/mpirun", "((call < 2)) || exit 75; while [[ $1 != */swiftlet ]]; do shift; done; exec \"$@\"")
        let outcome = try make(tree, "train", "TEXT=docs")
        #expect(outcome.status == 2)
        #expect(try work(tree) == ["tokenize": 1, "train": 1, "evaluate": 1])
    }

    @Test("W4: .ci/run without Swift ends with a word and 66") func ciWithoutSwift() throws {
        let outcome = try Subprocess.run(
            "/bin/bash", [LaunchTree.repository + "/.ci/run"], environment: ["PATH": "/usr/bin:/bin"])
        // A machine may have its Swift in /usr/bin.
        guard Subprocess.find("swift", path: "/usr/bin:/bin") == nil else { return }
        #expect(outcome.status == 66)
        #expect(
            outcome.standardError
                == "ci: swift is not installed: get a toolchain, 6.3 or later, from https://www.swift.org/install/linux\n"
        )
    }
}
