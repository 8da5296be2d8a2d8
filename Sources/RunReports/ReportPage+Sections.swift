import Basics
import Checkpointing

// The tables of the page, each nil where there is nothing to say.

extension ReportPage {
    /// A row for each run: how far it came, and how well.
    var summary: String? {
        let rows = runs.map { run -> [String] in
            let metrics = run.metrics
            let losses = metrics.series[.validationLoss]?.points ?? []
            let best = losses.min { $0.value < $1.value }
            let speeds = metrics.series[.speed]?.means.filter(\.isFinite).sorted() ?? []
            let texts: [String?] = [
                run.name, "\(metrics.steps.last ?? 0)" + (run.option("steps").map { " / \($0)" } ?? ""),
                metrics.tokens.last.map { fixed($0, 0) }, metrics.hours.last.map { fixed($0, $0 < 1 ? 4 : 2) },
                metrics.series[.trainLoss]?.points.last.map { fixed(Double($0.value), 4) },
                losses.last.map { fixed(Double($0.value), 4) },
                best.map { "\(fixed(Double($0.value), 4)) at step \($0.step)" },
                speeds.isEmpty ? nil : fixed(Double(speeds[speeds.count / 2]), 0),
            ]
            return texts.map { HTML.text($0 ?? "–") }
        }
        return HTML.section(
            "summary", "Summary",
            HTML.table(
                "Summary of the runs",
                header: [
                    "run", "steps", "tokens", "hours in steps", "train loss", "validation loss",
                    "lowest validation loss",
                    "tokens/s (median)",
                ], rows: rows, numbers: [1, 2, 3, 4, 5, 6, 7]))
    }

    /// Where a step goes: how long steps took, and the parts of one where it was traced.
    var stepTimes: String? {
        let rows = runs.compactMap { run -> [String]? in
            let times = [0.1, 0.5, 0.9, 0.99, 0.999].compactMap { run.metrics.stepTimes.quantile($0) }
            return times.isEmpty ? nil : [HTML.text(run.name)] + times.map { HTML.text(Self.milliseconds($0)) }
        }
        var body = ""
        if !rows.isEmpty {
            body += "<p>The milliseconds below which such a share of the steps stayed:</p>\n"
            body += HTML.table(
                "Milliseconds of a step", header: ["run", "10 %", "50 %", "90 %", "99 %", "99.9 %"],
                rows: rows, numbers: [1, 2, 3, 4, 5])
        }
        if let trace {
            let known = trace.parts.reduce(0) { $0 + $1.milliseconds }
            let parts = trace.parts + [(name: "other", milliseconds: max(0, trace.stepMilliseconds - known))]
            let longest = parts.map(\.milliseconds).max() ?? 1
            let time = Self.milliseconds(trace.stepMilliseconds)
            body += "<p>In the steps that were traced, \(time) ms each:</p>\n"
            body += HTML.table(
                "Parts of a step", header: ["part", "ms", "%", ""],
                rows: parts.map { name, time in
                    let share = fixed(time / max(longest, 1e-9), 3)
                    return [
                        HTML.text(name), Self.milliseconds(time), fixed(100 * time / trace.stepMilliseconds, 1),
                        "<span class=\"bar\" style=\"width:calc(\(share) * var(--whole))\"></span>",
                    ]
                }, numbers: [1, 2])
        }
        return body.isEmpty ? nil : HTML.section("steps", "Where a step goes", body)
    }

    private static func milliseconds(_ time: Double) -> String { fixed(time, time < 10 ? 2 : time < 100 ? 1 : 0) }

    /// What the models wrote, the newest first; of many the last and others evenly.
    var samples: String? {
        let most = 24
        let body = runs.filter { !$0.samples.isEmpty }.map { run in
            let all = run.samples
            let count = min(most, all.count)
            let chosen = (0..<count).map { all[count == 1 ? all.count - 1 : $0 * (all.count - 1) / (count - 1)] }
            let left = all.count > count ? " <span class=\"muted\">(\(count) of \(all.count))</span>" : ""
            let texts = chosen.reversed().enumerated().map { index, sample in
                "<details\(index == 0 ? " open" : "")><summary>step \(sample.step)</summary>\n"
                    + "<pre><b>\(HTML.lines(sample.prompt, limit: 500))</b>"
                    + "\(HTML.lines(sample.text, limit: 2000))</pre></details>\n"
            }
            return "<h3>\(HTML.text(run.name))\(left)</h3>\n" + texts.joined()
        }
        return body.isEmpty ? nil : HTML.section("samples", "Samples", body.joined())
    }

    /// The options, those that differ between the runs marked and first.
    var options: String? {
        let told = runs.filter { !$0.options.isEmpty }
        var names: [String] = []
        for run in told { for option in run.options where !names.contains(option.name) { names.append(option.name) } }
        guard !names.isEmpty else { return nil }
        func differs(_ name: String) -> Bool { Set(told.map { $0.option(name) }).count > 1 }
        let ordered = names.filter(differs) + names.filter { !differs($0) }
        let table = HTML.table(
            "Options of the runs", id: "options", header: ["option"] + told.map(\.name),
            rows: ordered.map { name in [HTML.text(name)] + told.map { HTML.text($0.option(name) ?? "–") } },
            rowClass: { told.count > 1 ? differs(ordered[$0]) ? "differs" : "same" : nil })
        let choice =
            told.count > 1
            ? "<p><label><input type=\"checkbox\" id=\"only-differences\"> only what differs</label></p>\n" : ""
        return HTML.section("configuration", "Configuration", choice + table)
    }

    /// When and where the runs were computed.
    var starts: String? {
        let rows = runs.flatMap { run -> [[String]] in
            run.starts.enumerated().map { index, record in
                // A start that another one follows was not said to end: the process was killed.
                let isCut =
                    record.outcome == nil && index + 1 < run.starts.count && run.starts[index + 1].outcome == nil
                let what = [record.kind, record.reason.map { ": \($0)" } ?? "", isCut ? ", then cut short" : ""]
                    .joined()
                let place = [
                    record.ranks.map { "\($0) × \(record.threads ?? 1)" } ?? "", record["precision"], record["host"],
                    record["cpu"], record["version"], record["mpi"],
                ]
                let time = "<time>\(HTML.text(record.time))</time>"
                return [HTML.text(run.name), time, HTML.text(what), "\(record.step)"]
                    + place.map { HTML.text($0) }
                    + [record["command"].isEmpty ? "" : "<code>\(HTML.text(record["command"]))</code>"]
            }
        }
        guard !rows.isEmpty else { return nil }
        return HTML.section(
            "environment", "Starts, stops and where they ran",
            HTML.table(
                "Starts and stops",
                header: [
                    "run", "time", "what", "step", "ranks × threads", "precision", "host", "processor", "swiftlet",
                    "ranks by",
                    "command",
                ], rows: rows, numbers: [3]))
    }

    /// The checkpoints that are there.
    var checkpoints: String? {
        let rows = runs.flatMap { run -> [[String]] in
            let newest = run.checkpoints.lazy.compactMap(\.state).first
            return run.checkpoints.map { glance in
                let state = glance.state
                let isBest =
                    state != nil && [newest, state].allSatisfy { $0?.bestValidationStep == glance.candidate.step }
                let texts: [String?] = [
                    run.name, glance.candidate.name, state.map { "\($0.tokensSeen)" },
                    state?.lastValidationLoss.map { fixed($0, 4) + (isBest ? " (best)" : "") },
                    state?.precision, state?.swiftletVersion,
                    glance.bytes.map { fixed(Double($0) / 1e6, 1) },
                    glance.bytes == nil ? "damaged" : "all files there",
                ]
                return texts.map { HTML.text($0 ?? "–") }
            }
        }
        guard !rows.isEmpty else { return nil }
        return HTML.section(
            "checkpoints", "Checkpoints",
            HTML.table(
                "Checkpoints",
                header: ["run", "checkpoint", "tokens", "validation loss", "precision", "swiftlet", "MB", "state"],
                rows: rows,
                numbers: [2, 3, 6])
                + "<p class=\"muted\">By names and sizes; <code>swiftlet inspect</code> verifies every byte.</p>\n")
    }
}
