import Foundation
import TestSupport
import Testing

/// Wherever the tree lies, wherever a script is started from, and whatever the caller's shell exports.
@Suite struct PlacesTests {
    private static let options = ["-n", "1", "-t", "1", "train", "--run-dir", "r"]

    /// Every script once, each by its own ways of calling, with these variables: nothing but the call itself is said.
    private func expectAllRun(
        _ tree: LaunchTree, environment: [String: String] = [:], workingDirectory: String? = nil, launch: String? = nil,
        location: SourceLocation = #_sourceLocation
    ) throws {
        let launch = launch ?? tree.checkout + "/launch"
        try tree.write("hosts.txt", "localhost slots=1\n")
        let commands: [(String, [String])] = [
            ("local", Self.options), ("hosts", [tree.path + "/hosts.txt", "train", "--run-dir", "r"]),
            ("restart", [launch + "/local"] + Self.options),
        ]
        for (script, arguments) in commands {
            let before = try tree.calls().count
            let outcome = try tree.run(
                launch + "/" + script, arguments, environment: environment, workingDirectory: workingDirectory)
            #expect(outcome.status == 0, "\(script): \(outcome)", sourceLocation: location)
            #expect(outcome.standardOutput == "", "\(script): \(outcome)", sourceLocation: location)
            #expect(
                outcome.launchLines.contains { $0.hasPrefix("mpirun ") }, "\(script): \(outcome)",
                sourceLocation: location)
            let call = try #require(try tree.calls().dropFirst(before).last, "\(outcome)", sourceLocation: location)
            #expect(
                call.workingDirectory == workingDirectory ?? tree.checkout, "\(script)", sourceLocation: location)
            #expect(
                call.arguments.contains { $0.hasSuffix("/.build/release/swiftlet") && $0.hasPrefix("/") }, "\(call)",
                sourceLocation: location)
        }
    }

    @Test(
        "L2: what the caller exports",
        arguments: [
            ["CDPATH": "."], ["CDPATH": "/tmp:.."], ["POSIXLY_CORRECT": "1"], ["IFS": "/"],
            ["LC_ALL": "C", "LANG": "C"],
            ["LC_ALL": "POSIX", "LANGUAGE": "tr"], ["HOME": ""], ["HOME": "/nonexistent"], ["TMPDIR": "/nonexistent"],
            ["SHELLOPTS": "braceexpand:posix:nounset"], ["BASHOPTS": "failglob:nullglob"],
            ["BASH_FUNC_cd%%": "() { builtin cd /; }"], ["BASH_FUNC_printf%%": "() { :; }"],
            ["BASH_FUNC_kill%%": "() { :; }"], ["LINES": "x", "COLUMNS": "1"], ["OPTIND": "5", "OPTERR": "0"],
            [
                "threads": "7", "ranks": "9", "errors": "5", "child": "1", "stopping": "INT", "guard": "1",
                "root": "/none",
            ],
            ["taken": "3", "unbound": "yes", "here": "/", "code": "5", "failures": "9", "through_stops": "yes"],
        ] as [[String: String]])
    func exported(variables: [String: String]) throws {
        let tree = try LaunchTree()
        try expectAllRun(tree, environment: variables)
        #expect(try tree.calls()[0].arguments.contains("1"))
        // Exit codes too.
        try tree.standIn("bin/mpirun", "exit 75")
        #expect(try tree.run("local", Self.options, environment: variables).status == 75)
    }

    @Test("L2: a file that every shell of the caller reads first") func startFiles() throws {
        let tree = try LaunchTree()
        let file = try tree.write("start.sh", "echo hello\ncd /\nset -u -f\nalias exec=false\nwait() { false; }\n")
        try expectAllRun(tree, environment: ["BASH_ENV": file, "ENV": file])
    }

    @Test(
        "L2: a checkout with blanks, brackets and more in its name",
        arguments: ["a b", "[x]*", "it's $HOME", "-n", "é"])
    func oddCheckout(name: String) throws {
        let tree = try LaunchTree(name: name)
        try expectAllRun(tree)
        try expectAllRun(tree, workingDirectory: tree.checkout + "/launch")
    }

    @Test("L2: a link to a script, and a checkout behind a link") func links() throws {
        let tree = try LaunchTree()
        let bin = tree.path + "/links"
        try FileManager.default.createDirectory(atPath: bin, withIntermediateDirectories: true)
        for script in ["local", "hosts", "restart"] {
            try FileManager.default.createSymbolicLink(
                atPath: bin + "/" + script, withDestinationPath: "../checkout/launch/" + script)
        }
        try expectAllRun(tree, launch: bin)
        try FileManager.default.createSymbolicLink(atPath: tree.path + "/linked", withDestinationPath: "checkout")
        try expectAllRun(tree, launch: tree.path + "/linked/launch")
        // Other hosts may know the tree under that name alone.
        #expect(try tree.calls().last?.arguments.contains(tree.path + "/linked/.build/release/swiftlet") == true)
    }

    @Test func fromAnywhere() throws {
        let tree = try LaunchTree()
        try expectAllRun(tree, workingDirectory: "/")
        try expectAllRun(tree, workingDirectory: tree.path)
        let outcome = try tree.bash(
            "cd launch && bash local -n 1 train && cd ../.. && checkout/launch/local -n 1 train")
        #expect(outcome.status == 0, "\(outcome)")
    }

    @Test(arguments: [".build/other", "./.build/other", "other"]) func anExecutableByARelativePath(place: String) throws
    {
        let tree = try LaunchTree()
        try tree.standIn("checkout/" + place, "exit 0")
        #expect(try tree.run("local", Self.options, environment: ["SWIFTLET": place]).status == 0)
        let arguments = try tree.calls()[0].arguments
        #expect(arguments.contains(tree.checkout + "/" + place))
    }

    /// Standard input, output and error closed, full or a broken pipe: the run goes on, and its code counts.
    @Test(arguments: ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full", "2> >(:)", "> >(:)"])
    func closedStreams(redirection: String) throws {
        let tree = try LaunchTree(mpirun: "sleep 0.1; echo out; echo err >&2; exit 75")
        for script in ["launch/local -n 1 -t 1 train", "launch/restart launch/local -n 1 -t 1 train --run-dir r"] {
            let outcome = try tree.bash("sleep 0.2; \(script) \(redirection)")
            #expect(outcome.status == 75, "\(script) \(redirection): \(outcome)")
        }
        #expect(try tree.calls().count == 2)
        // Something stands behind every standard descriptor of mpirun, and its input is empty.
        let open = try LaunchTree(
            mpirun: "for i in 0 1 2; do [[ -e /proc/$$/fd/$i ]] || exit 9; done; read -r && exit 8; exit 75")
        #expect(try open.bash("launch/local -n 1 -t 1 train \(redirection.replacing(">&- ", with: ""))").status == 75)
    }
}
