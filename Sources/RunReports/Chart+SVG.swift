import Basics

extension Chart {
    /// The chart as an SVG picture of 900 by 480, on white, so that it can stand anywhere.
    package var svg: [UInt8] {
        // Told apart by people of any colour vision, and dark enough for white.
        let colours = ["#0b62a8", "#b84300", "#00714f", "#8a2c7b", "#7a5a00", "#3f4a57", "#a3123f", "#006a78"]
        let dashes = ["", "7 3", "2 3", "9 3 2 3"]
        let (width, height) = (900.0, 480.0)
        let (left, right, top) = (70.0, width - 20, 50.0 + 18 * Double((curves.count - 1) / 4))
        let bottom = height - 50
        func x(_ value: Double) -> String { fixed(left + horizontal.share(value) * (right - left), 1) }
        func y(_ value: Double) -> String { fixed(bottom - vertical.share(value) * (bottom - top), 1) }
        func label(_ text: String, _ x: String, _ y: String, _ anchor: String, _ more: String = "") -> String {
            "<text x=\"\(x)\" y=\"\(y)\" text-anchor=\"\(anchor)\"\(more)>\(HTML.text(text, limit: 80))</text>"
        }
        let title = metric.title + " over " + axis.title
        var lines = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 900 480\" role=\"img\" aria-label=\"\(HTML.text(title))\" "
                + "font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"#1f2328\">",
            "<title>\(HTML.text(title))</title>", "<rect width=\"900\" height=\"480\" fill=\"#ffffff\"/>",
            label(metric.title, "\(left)", "22", "start", " font-weight=\"600\""),
        ]
        for tick in vertical.ticks(7) {
            lines.append("<path d=\"M\(fixed(left, 1)) \(y(tick))H\(fixed(right, 1))\" stroke=\"#e4e8ec\"/>")
            lines.append(label(shortNumber(tick), fixed(left - 8, 1), y(tick), "end", " dominant-baseline=\"middle\""))
        }
        for tick in horizontal.ticks(8) {
            lines.append("<path d=\"M\(x(tick)) \(fixed(top, 1))V\(fixed(bottom, 1))\" stroke=\"#e4e8ec\"/>")
            lines.append(label(shortNumber(tick), x(tick), fixed(bottom + 20, 1), "middle"))
        }
        lines.append(label(axis.title, fixed((left + right) / 2, 1), fixed(bottom + 40, 1), "middle"))
        for (index, curve) in curves.enumerated() {
            let colour = colours[index % colours.count]
            let dash = dashes[index / colours.count % dashes.count]
            let points = zip(curve.x, curve.y).map { "\(x($0)) \(y($1))" }
            let style = "stroke=\"\(colour)\"" + (dash.isEmpty ? "" : " stroke-dasharray=\"\(dash)\"")
            if points.count == 1 {
                let place = points[0].split(separator: " ")
                lines.append("<circle cx=\"\(place[0])\" cy=\"\(place[1])\" r=\"3\" fill=\"\(colour)\"/>")
            } else {
                lines.append(
                    "<path d=\"M\(points.joined(separator: "L"))\" fill=\"none\" stroke-width=\"1.5\" "
                        + "stroke-linejoin=\"round\" \(style)/>")
            }
            let (column, row) = (Double(index % 4), Double(index / 4))
            let (keyX, keyY) = (left + column * (right - left) / 4, 40 + 18 * row)
            lines.append("<path d=\"M\(fixed(keyX, 1)) \(fixed(keyY - 4, 1))h22\" stroke-width=\"3\" \(style)/>")
            lines.append(
                label(String(curve.name.prefix(24)), fixed(keyX + 28, 1), fixed(keyY, 1), "start"))
        }
        return Array((lines + ["</svg>", ""]).joined(separator: "\n").utf8)
    }
}
