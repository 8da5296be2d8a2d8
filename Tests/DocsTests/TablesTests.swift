import Testing

/// Every table of every page is compared with the code. A new table, and a new row of most, fails until it has a check.
@Suite struct TablesTests {
    @Test(arguments: Pages.tables)
    func aTableSaysWhatIsSo(table: MarkdownTable) throws {
        for row in table.rows { #expect(row.count == table.header.count, "\(row)") }
        guard let check = TableChecks.all[table.key] else {
            Issue.record("no check reads the table \(table.key): add one to TableChecks.all")
            return
        }
        try check(table)
    }

    @Test func everyCheckHasItsTable() {
        let tables = Set(Pages.tables.map(\.key))
        for key in TableChecks.all.keys { #expect(tables.contains(key), "there is no table \(key) any more") }
        #expect(Pages.tables.count > 15)
    }
}

/// The checks by the key of their table.
enum TableChecks {
    typealias Check = @Sendable (MarkdownTable) throws -> Void

    static let all: [String: Check] = [pages, files, running, figures, options, models].reduce(into: [:]) {
        $0.merge($1) { $1 }
    }

    /// Requires one check for each row, found by its first cell, and a row for each check.
    static func eachRow(_ table: MarkdownTable, _ checks: [String: ([String]) throws -> Void]) throws {
        for row in table.rows {
            guard let check = checks[row[0]] else {
                Issue.record("\(table.key): no check reads the row '\(row[0])'")
                continue
            }
            try check(row)
        }
        let names = Set(table.rows.map { $0[0] })
        for name in checks.keys { #expect(names.contains(name), "\(table.key) has no row '\(name)' any more") }
    }
}
