/// The comparison of ways to reuse connections, as one page of HTML and as a picture.
package struct ComparePage: Sendable {
    /// A figure over several rounds.
    package struct Figure: Sendable, Equatable {
        package var median: Double
        /// The lowest and the highest round.
        package var spread: ClosedRange<Double>

        /// The order of the bounds does not matter.
        package init(_ median: Double, from one: Double, to other: Double) {
            self.median = median
            // A range with NaN would trap.
            spread = one.isFinite && other.isFinite ? min(one, other)...max(one, other) : 0...0
        }

        /// A value that was the same in each round.
        package init(_ value: Double) { self.init(value, from: value, to: value) }
    }

    /// The figures of one way.
    package struct Figures: Sendable, Equatable {
        /// Seconds for the whole work.
        package var total: Figure
        /// Requests per second.
        package var rate: Figure
        /// Nanoseconds.
        package var p50: Figure
        package var p99: Figure
        package var firstByte: Figure
        package var connections: Figure
        package var handshakes: Figure
        package var roundTrips: Figure
        /// On the wire.
        package var bytesReceived: Figure
        package var bytesSent: Figure
        /// CPU time of the client.
        package var cpuSeconds: Figure
        /// The number of connections that the server had to hold open at once.
        package var held: Figure

        package init(
            total: Figure, rate: Figure, p50: Figure, p99: Figure, firstByte: Figure, connections: Figure,
            handshakes: Figure, roundTrips: Figure, bytesReceived: Figure, bytesSent: Figure, cpuSeconds: Figure,
            held: Figure
        ) {
            self.total = total
            self.rate = rate
            self.p50 = p50
            self.p99 = p99
            self.firstByte = firstByte
            self.connections = connections
            self.handshakes = handshakes
            self.roundTrips = roundTrips
            self.bytesReceived = bytesReceived
            self.bytesSent = bytesSent
            self.cpuSeconds = cpuSeconds
            self.held = held
        }
    }

    package enum Outcome: Sendable, Equatable {
        case ran(Figures)
        /// The reason why it could not run.
        case couldNot(String)
    }

    package struct Row: Sendable, Equatable {
        /// One for each of `Input.labelTitles`. Together they name the way; the same labels mean the same way at another
        /// distance.
        package var labels: [String]
        package var outcome: Outcome

        package init(_ labels: [String], _ outcome: Outcome) {
            self.labels = labels
            self.outcome = outcome
        }

        var name: String { labels.filter { !$0.isEmpty }.joined(separator: ", ") }
    }

    /// The same ways at one distance from the server.
    package struct Group: Sendable, Equatable {
        /// For example "30 ms round trip".
        package var label: String
        package var rows: [Row]

        package init(_ label: String, _ rows: [Row]) {
            self.label = label
            self.rows = rows
        }
    }

    package struct Input: Sendable, Equatable {
        package var title: String
        /// A description of the work: requests, rounds, and so on, a line each.
        package var work: [String] = []
        /// The measurement's subject and method.
        package var facts: [ReportFact] = []
        package var labelTitles: [String]
        package var groups: [Group]
        package var verdict: [PageSentence] = []
        package var startedAt = 0.0

        package init(title: String, labelTitles: [String], groups: [Group]) {
            self.title = title
            self.labelTitles = labelTitles
            self.groups = groups
        }
    }

    package let input: Input

    package init(_ input: Input) { self.input = input }

    package func html() -> String {
        var cards = [
            Page.card(
                "Total time",
                note: "For all requests; shorter is better. Median of the rounds; the line spans them all.",
                isWide: true, totalTime.svg())
        ]
        if input.groups.count == 1, let group = input.groups.first {
            cards.append(Page.card("Requests per second", note: "More is better.", isWide: true, rates(group).svg()))
        }
        var body = Page.section(input.groups.count > 1 ? "What reuse gains with distance" : "What reuse gains", cards)
        for (number, group) in input.groups.enumerated() {
            body += Page.section(
                input.groups.count > 1 ? group.label : "All figures",
                [
                    Page.card(
                        "Speed",
                        note:
                            "Medians; below them the lowest and the highest round. Compare the total times: p50, p99 and first "
                            + "byte are of single requests, of which one way has one at a time and another a hundred. Green: the "
                            + "fastest, and those that are as fast within the spread of the rounds.",
                        isWide: true, table("speed\(number)", group, Self.speed)),
                    Page.card("What it took", isWide: true, table("cost\(number)", group, Self.cost)),
                ])
        }
        let began = Page.date(input.startedAt)
        return Page.document(
            title: input.title, subtitle: input.work, facts: input.facts, verdict: input.verdict, body: body,
            footer: "h2get compare\(began.isEmpty ? "" : ", \(began)")")
    }

    /// The chart of the total times alone, as an SVG file that adapts to light and dark by itself.
    package func picture() -> String {
        let (content, width, height) = totalTime.drawing(width: 900)
        let padding = 20.0
        // The picture states what was measured, since it is shared without its page.
        let lines = (input.work + input.facts.filter { $0.name != "Command" }.map { "\($0.name): \($0.value)" })
            .map { Markup.cut($0, toWidth: width, size: 11) }
        let head = 30.0 + Double(lines.count) * 15
        let title =
            "<g font-size=\"15\" font-weight=\"600\">" + ChartFrame.text(input.title, x: 0, y: 4, "strong") + "</g>"
            + "<g font-size=\"11\">"
            + lines.enumerated().map { ChartFrame.text($0.element, x: 0, y: 22 + 15 * Double($0.offset)) }.joined()
            + "</g>"
        let size = (Markup.coordinate(width + 2 * padding), Markup.coordinate(height + 2 * padding + head))
        let background =
            "<rect width=\"100%\" height=\"100%\" rx=\"8\" style=\"fill:var(--surface)\"/>"
        let inside =
            "<title>\(Markup.escaped(input.title))</title>\n<style>\n\(ChartStyle.colours)\(ChartStyle.charts)</style>\n"
            + background
            + "<g transform=\"translate(\(Markup.coordinate(padding)) \(Markup.coordinate(padding + 8)))\">"
            + title + "<g transform=\"translate(0 \(Markup.coordinate(head - 8)))\">\(content)</g></g>\n"
        return Markup.element(
            "svg",
            [
                "xmlns": "http://www.w3.org/2000/svg", "width": size.0, "height": size.1,
                "viewBox": "0 0 \(size.0) \(size.1)", "role": "img", "aria-label": input.title,
            ], inside) + "\n"
    }

    // MARK: Pictures

    /// A row for each way, with a bar for each distance.
    private var totalTime: BarChart {
        var names: [String] = []
        for row in input.groups.flatMap(\.rows) where !names.contains(row.name) { names.append(row.name) }
        let rows = names.map { name in
            BarChart.Row(
                name,
                input.groups.map { group in
                    guard let row = group.rows.first(where: { $0.name == name }) else { return .missing("not run") }
                    return Self.cell(row) { figures in (figures.total, 1e9) }
                })
        }
        let values = rows.flatMap(\.cells).compactMap { if case .bar(let bar) = $0 { bar.value } else { nil } }
        var chart = BarChart(
            "Total time by way of reuse", unit: .nanoseconds,
            scale: input.groups.count > 1 ? .logarithmic(base: 10) : .suiting(values),
            series: input.groups.count > 1 ? input.groups.map(\.label) : [""], rows: rows)
        chart.palette = input.groups.count > 1 ? .degrees : .kinds
        chart.title = "total time"
        chart.isWide = true
        return chart
    }

    private static func cell(_ row: Row, _ figure: (Figures) -> (Figure, Double)) -> BarChart.Cell {
        switch row.outcome {
        case .ran(let figures):
            let (figure, factor) = figure(figures)
            let spread = figure.spread.lowerBound * factor...figure.spread.upperBound * factor
            return .bar(.init(figure.median * factor, spread: spread))
        case .couldNot(let why): return .missing(why)
        }
    }

    private func rates(_ group: Group) -> BarChart {
        var chart = BarChart(
            "Requests per second by way of reuse", unit: .count,
            rows: group.rows.map { .init($0.name, [Self.cell($0) { ($0.rate, 1) }]) })
        chart.title = "requests per second"
        chart.isWide = true
        return chart
    }

    // MARK: Tables

    /// A figure with a column in a table.
    private struct Column {
        var title: String
        /// The sort order, with the best first.
        var order = Page.Order.rising
        var figure: (Figures) -> Figure
        var text: (Double) -> String
    }

    private static var speed: [Column] {
        [
            Column(title: "total", figure: \.total) { ChartUnit.nanoseconds.text($0 * 1e9) },
            Column(title: "requests/s", order: .falling, figure: \.rate, text: ChartUnit.number),
            Column(title: "p50", figure: \.p50, text: ChartUnit.nanoseconds.text),
            Column(title: "p99", figure: \.p99, text: ChartUnit.nanoseconds.text),
            Column(title: "first byte", figure: \.firstByte, text: ChartUnit.nanoseconds.text),
        ]
    }

    private static var cost: [Column] {
        [
            Column(title: "connections", figure: \.connections, text: ChartUnit.number),
            Column(title: "held by the server", figure: \.held, text: ChartUnit.number),
            Column(title: "TLS handshakes", figure: \.handshakes, text: ChartUnit.number),
            Column(title: "round trips", figure: \.roundTrips, text: ChartUnit.number),
            Column(title: "received", figure: \.bytesReceived, text: ChartUnit.bytes.text),
            Column(title: "sent", figure: \.bytesSent, text: ChartUnit.bytes.text),
            Column(title: "client CPU", figure: \.cpuSeconds) { ChartUnit.nanoseconds.text($0 * 1e9) },
        ]
    }

    /// Marks the fastest, and each way with a round as fast as one of the fastest's.
    private func table(_ name: String, _ group: Group, _ columns: [Column]) -> String {
        let totals = group.rows.compactMap { if case .ran(let figures) = $0.outcome { figures.total } else { nil } }
        let fastest = totals.min { $0.median < $1.median }
        return Page.sortableTable(
            name, head: input.labelTitles + columns.map(\.title),
            orders: input.labelTitles.map { _ in .none } + columns.map(\.order), labels: input.labelTitles.count,
            group.rows.map { row in
                let labels = input.labelTitles.indices.map {
                    Page.Cell.text($0 < row.labels.count ? row.labels[$0] : "")
                }
                switch row.outcome {
                case .couldNot(let why): return Page.Row(labels + [.why(why)])
                case .ran(let figures):
                    let cells = columns.map { column in
                        let figure = column.figure(figures)
                        let (low, high) = (column.text(figure.spread.lowerBound), column.text(figure.spread.upperBound))
                        return Page.Cell.figure(column.text(figure.median), low == high ? "" : Page.range(low, high))
                    }
                    return Page.Row(
                        labels + cells,
                        isBest: fastest.map { figures.total.spread.lowerBound <= $0.spread.upperBound } ?? false,
                        keys: labels.map { _ in nil } + columns.map { $0.figure(figures).median })
                }
            })
    }
}
