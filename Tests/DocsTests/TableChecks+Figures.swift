import Foundation
import Testing

// Tables of measurements: no test can hold a figure, so these hold what is around it.

extension TableChecks {
    static let figures: [String: Check] = [
        "docs/operations.md › Before a run › shape | memory planned, MB | measured | off by, % | time planned, s | measured | off by, %":
            { table in
                for row in table.rows {
                    let numbers = try row.dropFirst().map { try #require(Double($0), "\(row)") }
                    for (place, limit) in [(0, 5.0), (3, 10.0)] {
                        let off = 100 * (numbers[place] / numbers[place + 1] - 1)
                        #expect((off - numbers[place + 2]).magnitude < 0.5, "\(row)")
                        #expect(numbers[place + 2].magnitude <= limit, "\(row)")
                    }
                }
            },
        "docs/performance.md › Weight gradients › rows × columns, tokens | oneDNN | own | best": { table in
            for row in table.rows { #expect(row.dropFirst().allSatisfy { $0.contains(/\d/) }, "\(row)") }
        },
        "docs/recipes.md › What was measured › change | loss after 120 steps | steps to the tuned loss": { table in
            for row in table.rows { #expect(row[1].contains(/\d/), "\(row)") }
            // The first row is the tuned one, whose loss the others are to reach.
            #expect(table.rows[0][2] == "120")
        },
        "docs/recipes.md › Swept again › one thing otherwise | a quarter | one epoch": { table in
            for row in table.rows {
                let losses = try row.dropFirst().map { try #require(Double($0), "\(row)") }
                #expect(losses[0] > losses[1], "\(row)")
            }
        },
        "docs/recipes.md › The race › run | steps | seconds | loss | bits a byte": { table in
            for row in table.rows {
                let numbers = try row.dropFirst().map { try #require(Double($0), "\(row)") }
                // Bits a byte are the loss over ln 2 and the 4.128 bytes of a token.
                #expect((numbers[3] - numbers[2] / 0.693_147 / 4.128).magnitude < 1e-3, "\(row)")
            }
        },
        "docs/recipes.md › The race › text | PyTorch, GPT-2 | loss, bits a byte | `modern` | loss, bits a byte | share of the time":
            { table in
                for row in table.rows {
                    let share = try seconds(row[3]) / seconds(row[1])
                    #expect((share - (Double(row[5]) ?? 0)).magnitude < 0.006 && share < 0.35, "\(row)")
                    // It is at the peer's loss or below.
                    #expect(try loss(row[4]) <= loss(row[2]), "\(row)")
                }
            },
        "docs/recipes.md › Swept again › one thing otherwise | 3.3 M, a quarter | 3.3 M, one epoch | 13.9 M, a quarter | 1.05 M, four epochs | 1.05 M, the other text":
            { table in
                for row in table.rows {
                    for cell in row.dropFirst() where !cell.isEmpty { _ = try #require(Double(cell), "\(row)") }
                    // What the recipe has is best in the wider models and the longer run, as the page says.
                    for place in 1...4 where !row[place].isEmpty {
                        #expect((Double(row[place]) ?? 0) >= (Double(table.rows[0][place]) ?? .infinity), "\(row)")
                    }
                }
            },
        "docs/recipes.md › What was measured › in the recipe | loss": { table in
            for row in table.rows { #expect(row[1].hasPrefix("+ 0.") || row[1] == "within the noise", "\(row)") }
        },
        "docs/architecture.md › Memory › what | bytes": { table in
            for row in table.rows { #expect(row[1].contains(/\d/), "\(row)") }
        },
        "docs/performance.md › Against PyTorch DDP › shape | PyTorch tok/s | swiftlet tok/s | ratio | wanted | PyTorch MB a rank | swiftlet MB a rank":
            { table in
                for row in table.rows {
                    let numbers = try row.dropFirst().map { try #require(Double($0), "\(row)") }
                    #expect((numbers[1] / numbers[0] - numbers[2]).magnitude <= 0.0051, "\(row): the ratio")
                    #expect(numbers[2] >= numbers[3], "\(row): below what is wanted")
                }
            },
        "docs/performance.md › The other figures › figure | wanted | measured | command": { table in
            for row in table.rows {
                #expect(!row[2].isEmpty && !row[3].isEmpty, "\(row): every figure has its command")
            }
        },
        "docs/performance.md › Where a step goes › part | ms | floor ms": { table in
            // The names are the report's, and the parts add up to the step.
            let source = try ["Training/Benchmark/StepPart", "Kernels/Threads/Timeline"].map {
                try Pages.text("Sources/\($0).swift")
            }.joined()
            var sum = 0.0
            for row in table.rows.dropLast() {
                let name = row[0].hasPrefix("matmul ") ? String(row[0].dropFirst("matmul ".count)) : row[0]
                #expect(source.contains("\"\(name)\"") || name == "everything else", "\(row)")
                sum += try #require(Double(row[1]), "\(row)")
            }
            let step = try #require(table.rows.last)
            let total = try #require(Double(step[1].filter { $0 != "*" }), "\(step)")
            #expect(step[0] == "**step**" && (sum - total).magnitude < 1, "the parts are \(sum) ms")
        },
        "docs/performance.md › Where a step goes ›  | forward | input gradient | weight gradient": { table in
            #expect(table.rows.map { $0[0] } == ["qkv", "attention out", "mlp in", "mlp out", "head"])
        },
        "docs/performance.md › Reduction: messages between products › bucket | messages | blocking | thread of its own":
            {
                table in
                for row in table.rows { #expect(row.dropFirst().allSatisfy { $0.hasSuffix(" ms") }, "\(row)") }
            },
        "docs/performance.md › What made the difference › change | before | after": { table in
            for row in table.rows { #expect(row.dropFirst().allSatisfy { $0.contains(/\d/) }, "\(row)") }
        },
        "Tests/Reference/README.md › Reference numbers › program | what it does": { table in
            for row in table.rows { #expect(Pages.exists("Tests/Reference/" + Pages.code(in: row[0])[0]), "\(row)") }
        },
        "Tests/Reference/README.md › Fixtures › file | holds": { table in
            for row in table.rows {
                #expect(Pages.exists("Tests/TransformerTests/Fixtures/" + Pages.code(in: row[0])[0]), "\(row)")
            }
        },
        "Tests/Reference/README.md › Tolerances, from measurement › what | float32 against float64 | limit that this justifies":
            { table in
                // A limit leaves room for another order of summation, and not for a wrong term: up to 75 times.
                for row in table.rows {
                    let measured = try #require(Double(row[1].prefix { !$0.isWhitespace }), "\(row)")
                    let limit = try #require(Double(row[2].prefix { !$0.isWhitespace }), "\(row)")
                    #expect((10...100).contains(limit / measured), "\(row)")
                }
            },
        "Tests/Reference/README.md › Tolerances, from measurement › tensor | relative error of torch float32 (Frobenius) | largest error / largest value":
            { table in
                for row in table.rows { #expect(row.dropFirst().allSatisfy { Double($0) != nil }, "\(row)") }
            },
    ]
}

// Not inside the checks: a build file by file does not see that `#require` throws in a function of a closure.

/// The seconds at the end of a cell.
private func seconds(_ cell: String) throws -> Double {
    let text = try #require(cell.firstMatch(of: /([0-9,]+) s$/)?.1, "\(cell)")
    return try #require(Double(text.replacing(",", with: "")))
}

/// The number before a cell's comma.
private func loss(_ cell: String) throws -> Double { try #require(Double(cell.prefix { $0 != "," }), "\(cell)") }
