import Basics

extension EffectiveConfiguration {
    /// The configuration as YAML by section, which `--config` takes back: every option with where its value comes from,
    /// and those without a value as comments. Ends without a newline.
    package var yaml: String {
        var lines = remarks.map { "# \(printable($0, limit: 4096))" }
        for (section, name) in TrainingConfiguration.sectionNames.enumerated() {
            lines.append("\(name):")
            for row in TrainingConfiguration.options where row.section == section && row.successor == nil {
                lines.append("  " + line(row))
            }
        }
        return lines.joined(separator: "\n")
    }

    private func line(_ row: CommandOption<TrainingConfiguration>) -> String {
        let origin = origins[row.name]
        guard let value = row.write(configuration), !value.isEmpty || origin != nil else {
            return "# \(row.name): \(row.isRequired ? "must be given" : row.fallback ?? "not set")"
        }
        let text = "\(row.name): \(yamlScalar(value))"
        let blanks = String(repeating: " ", count: max(2, 44 - text.count))
        return "\(text)\(blanks)# \(printable("\(origin ?? .standard)"))"
    }
}

/// A text as a scalar that YAML reads back as it was: bare where nothing in it could mean anything else.
func yamlScalar(_ text: String) -> String {
    let isBare = text.unicodeScalars.allSatisfy { scalar in
        scalar.isASCII && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil)
            || "./_-".unicodeScalars.contains(scalar)
    }
    guard !isBare || text.isEmpty || text.hasPrefix("-") || ["null", "Null", "NULL"].contains(text) else {
        return text
    }
    let escaped = text.unicodeScalars.map { scalar -> String in
        switch scalar {
        case "\"", "\\": "\\\(scalar)"
        // What is no letter of a line, or stands for a byte that is no text.
        case _ where scalar.value < 0x20 || (scalar.value > 0x7E && !scalar.properties.isAlphabetic):
            "\\U" + padded(String(scalar.value, radix: 16, uppercase: true), to: 8)
        default: String(scalar)
        }
    }
    return "\"\(escaped.joined())\""
}
