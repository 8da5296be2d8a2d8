import Basics

/// Manual pages of the program and of each subcommand, made of what ArgumentParser knows of them.
struct ManualPages {
    /// File names with their text, in man(7).
    private(set) var pages: [(name: String, text: String)] = []

    /// - Parameter dump: what `--experimental-dump-help` prints.
    /// - Throws: `JSONError` for what is no such text.
    init(dump: String) throws {
        let program = try JSON(Array(dump.utf8)).member("command", "an object") { $0 }
        let name = try program.string("commandName")
        let commands = (program["subcommands"]?.elements ?? []).filter {
            Self.isShown($0) && $0["commandName"]?.string != "help"
        }
        let others = try commands.map { try "\(name)\\-\($0.string("commandName"))" }
        pages.append(("\(name).1", try Self.page(program, title: name, synopsis: name, commands, others)))
        for command in commands {
            let own = try command.string("commandName")
            let text = try Self.page(command, title: "\(name)-\(own)", synopsis: "\(name) \(own)", [], [name])
            pages.append(("\(name)-\(own).1", text))
        }
    }

    private static func isShown(_ part: JSON) -> Bool { part["shouldDisplay"]?.bool != false }

    private static func page(
        _ command: JSON, title: String, synopsis: String, _ commands: [JSON], _ others: [String]
    ) throws -> String {
        let abstract = escaped(command["abstract"]?.string ?? "")
        var lines = [
            ".TH \"\(title.uppercased())\" 1 \"\" \"swiftlet\"", ".SH NAME", "\(escaped(title)) \\- \(abstract)",
            ".SH SYNOPSIS", ".B \(escaped(synopsis))", commands.isEmpty ? "[options]" : "<subcommand> [options]",
            ".SH DESCRIPTION", abstract,
        ]
        for paragraph in (command["discussion"]?.string ?? "").split(separator: "\n\n") {
            lines += [".PP"] + paragraph.split(separator: "\n").map { escaped(String($0)) }
        }
        if !commands.isEmpty { lines.append(".SH COMMANDS") }
        for part in commands {
            let own = try part.string("commandName")
            lines += [".TP", ".BR \(escaped("\(title)-\(own)")) (1)", escaped(part["abstract"]?.string ?? "")]
        }
        lines.append(".SH OPTIONS")
        var section: String?
        for argument in command["arguments"]?.elements ?? [] where isShown(argument) {
            let title = argument["sectionTitle"]?.string
            if title != section, let title { lines.append(".SS \(escaped(title))") }
            section = title
            lines += [".TP", head(of: argument)]
            let standard = argument["defaultValue"]?.string.map { " (default: \($0))" } ?? ""
            lines.append(escaped((argument["abstract"]?.string ?? "") + standard))
        }
        lines += [
            ".SH EXIT STATUS", "0, or a code that says what went wrong; the one line on standard error explains it.",
        ]
        lines += [".SH SEE ALSO", others.map { "\\fB\($0)\\fR(1)" }.joined(separator: ",\n")]
        return lines.filter { !$0.isEmpty }.joined(separator: "\n") + "\n"
    }

    /// The names of an option and its value.
    private static func head(of argument: JSON) -> String {
        let value = argument["kind"]?.string == "flag" ? nil : argument["valueName"]?.string
        let names = (argument["names"]?.elements ?? []).compactMap { name in
            name["name"]?.string.map { (name["kind"]?.string == "short" ? "-" : "--") + $0 }
        }
        let shown = names.isEmpty ? [] : [names.map { "\\fB\(escaped($0))\\fR" }.joined(separator: ", ")]
        return (shown + (value.map { ["\\fI\(escaped($0))\\fR"] } ?? [])).joined(separator: " ")
    }

    /// Text that troff prints as it stands.
    private static func escaped(_ text: String) -> String {
        let plain = text.replacing("\\", with: "\\e").replacing("-", with: "\\-").replacing("\n", with: " ")
        return plain.hasPrefix(".") || plain.hasPrefix("'") ? "\\&" + plain : plain
    }
}
