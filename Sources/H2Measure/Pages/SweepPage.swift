/// Throughput and latency over streams and connections, and the position of the knee, as one page of HTML.
package struct SweepPage: Sendable {
    /// The number of connections, and the number of streams on each.
    package struct Setting: Sendable, Hashable {
        package var connections: Int
        package var streams: Int

        package init(connections: Int, streams: Int) {
            self.connections = connections
            self.streams = streams
        }

        var text: String { "\(Page.many(connections, "connection")) × \(Page.many(streams, "stream"))" }
    }

    /// The results of one setting.
    package struct Point: Sendable, Equatable {
        package var setting: Setting
        /// Responses per second, with any status.
        package var rate: Double
        /// Of these: those that are neither refusals nor server errors.
        package var goodput: Double
        /// Nanoseconds.
        package var p50: Double
        package var p99: Double
        /// Requests that failed or were refused.
        package var errors: Int
        /// Whether there are too many errors to compare the figures with others.
        package var isFlawed: Bool

        package init(
            _ setting: Setting, rate: Double, goodput: Double? = nil, p50: Double, p99: Double, errors: Int = 0,
            isFlawed: Bool = false
        ) {
            self.setting = setting
            self.rate = rate
            self.goodput = goodput ?? rate
            self.isFlawed = isFlawed
            self.p50 = p50
            self.p99 = p99
            self.errors = errors
        }
    }

    package struct Input: Sendable, Equatable {
        package var title: String
        /// A description of the work, a line each.
        package var work: [String] = []
        /// The measurement's subject and method.
        package var facts: [ReportFact] = []
        package var points: [Point]
        /// The setting at which throughput stops growing and latency takes over.
        package var knee: Setting?
        /// The name of the knee in tables and pictures.
        package var kneeName = "knee"
        /// The fastest setting that meets the limit on latency.
        package var best: Setting?
        /// The limit on p99, in nanoseconds.
        package var limit: Double?
        /// The limits that the server announced: names and values.
        package var serverLimits: [ServerLimit] = []
        /// The reason why the climb ended early; nil if it did not.
        package var stopped: String?
        package var verdict: [PageSentence] = []
        package var startedAt = 0.0

        package init(title: String, points: [Point]) {
            self.title = title
            self.points = points
        }
    }

    package struct ServerLimit: Sendable, Equatable {
        package var name: String
        package var value: String

        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    package let input: Input

    package init(_ input: Input) { self.input = input }

    package func html() -> String {
        var limits = input.serverLimits.map { ($0.name, $0.value) }
        if let stopped = input.stopped { limits.append(("The climb ended", stopped)) }
        let limitTable =
            limits.isEmpty
            ? "<p class=\"note\">The server told none.</p>\n"
            : Page.table(limits.map { Page.Row([.text($0.0), .text($0.1)]) })
        let left = input.points.count(where: \.isFlawed)
        // Refusals are fast, and would make an overloaded server's worst points look like its best.
        let without =
            left == 0
            ? "" : " \(Page.many(left, "setting")) with errors \(left == 1 ? "is" : "are") left out; see the table."
        let good = input.points.contains { $0.goodput < $0.rate } ? " Responses with 429 or 5xx do not count." : ""
        let body =
            Page.tiles(tiles)
            + Page.section(
                "Throughput and latency over \(over)",
                [
                    Page.card(
                        "Throughput",
                        note:
                            "\(isOverStreams ? "One line for each number of connections." : "One stream on each.")\(good)",
                        throughput.svg()),
                    Page.card(
                        "Latency", note: "The 99th percentile.\(without)", latency(\.p99, "p99", hasLimit: true).svg()),
                    Page.card(
                        "Throughput against latency", note: "Up is more; to the right is slower to answer.\(without)",
                        trade.svg()),
                    Page.card(
                        "Median latency", note: "The 50th percentile.\(without)",
                        latency(\.p50, "median", hasLimit: false).svg()),
                ])
            + Page.section(
                "All settings",
                [
                    Page.card("", isWide: true, table),
                    Page.card("Limits of the server", isWide: true, limitTable),
                ])
        let began = Page.date(input.startedAt)
        return Page.document(
            title: input.title, subtitle: input.work, facts: input.facts, verdict: input.verdict, body: body,
            footer: "h2get sweep\(began.isEmpty ? "" : ", \(began)")")
    }

    private func point(_ setting: Setting?) -> Point? { input.points.first { $0.setting == setting } }

    private var tiles: [(name: String, figure: String, remark: String)] {
        var tiles: [(name: String, figure: String, remark: String)] = []
        func add(_ name: String, _ point: Point?, none: String) {
            guard let point else { return tiles.append((name, "–", none)) }
            let time = ChartUnit.nanoseconds
            tiles.append(
                (
                    name, "\(ChartUnit.number(point.rate))/s",
                    "\(point.setting.text), p50 \(time.text(point.p50)), p99 \(time.text(point.p99))"
                ))
        }
        add(
            input.kneeName == "knee" ? "At the knee" : "Knee here or below", point(input.knee),
            none: "no knee within the settings tried")
        if let limit = input.limit {
            let text = ChartUnit.nanoseconds.short(limit)
            add("Best with p99 within \(text)", point(input.best), none: "no setting keeps it")
        }
        add(
            "Fastest", input.points.filter { !$0.isFlawed }.max { $0.rate < $1.rate },
            none: input.points.isEmpty ? "nothing was measured" : "every setting has errors")
        return tiles
    }

    // MARK: Pictures

    private var connectionCounts: [Int] { Set(input.points.map(\.setting.connections)).sorted() }

    private func series(
        x: (Point) -> Double, y: (Point) -> Double?, where isShown: (Point) -> Bool = { _ in true }
    ) -> [LineChart.Series] {
        guard isOverStreams else {
            let points = input.points.filter(isShown).sorted { $0.setting.connections < $1.setting.connections }
            return [.init("one stream on each", points.map { .init(x($0), y($0)) }, stroke: .dotted)]
        }
        return connectionCounts.map { count in
            let points = input.points.filter { $0.setting.connections == count && isShown($0) }
                .sorted { $0.setting.streams < $1.setting.streams }
            return .init(Page.many(count, "connection"), points.map { .init(x($0), y($0)) }, stroke: .dotted)
        }
    }

    /// Whether the horizontal axis shows streams; with HTTP/1.1 only the number of connections changes.
    private var isOverStreams: Bool {
        connectionCounts.count < 2 || input.points.contains { $0.setting.streams != input.points[0].setting.streams }
    }

    private var over: String { isOverStreams ? "streams" : "connections" }

    private var axis: (title: String, unit: ChartUnit, scale: Axis.Scale) {
        (
            isOverStreams ? "streams on each connection (log scale)" : "connections (log scale)", .count,
            .logarithmic(base: 2)
        )
    }

    private func position(_ point: Point) -> Double {
        Double(isOverStreams ? point.setting.streams : point.setting.connections)
    }

    private var throughput: LineChart {
        var chart = LineChart(
            "Throughput over \(over)", x: axis, y: ("requests per second", .count, .linear),
            series: series(x: position, y: \.goodput))
        if let knee = point(input.knee) {
            chart.notes.append(.init(x: position(knee), y: knee.rate, label: input.kneeName))
        }
        return chart
    }

    private func latency(_ figure: (Point) -> Double, _ name: String, hasLimit: Bool) -> LineChart {
        let series = series(x: position, y: { $0.isFlawed ? nil : figure($0) })
        var chart = LineChart(
            "Latency (\(name)) over \(over)", x: axis,
            y: (name, .nanoseconds, .suiting(series.flatMap { $0.points.compactMap(\.y) })), series: series)
        if let knee = point(input.knee) {
            chart.notes.append(.init(x: position(knee), y: figure(knee), label: input.kneeName))
        }
        if hasLimit, let limit = input.limit {
            chart.levels.append(.init(y: limit, label: "limit \(ChartUnit.nanoseconds.short(limit))"))
        }
        return chart
    }

    private var trade: LineChart {
        var chart = LineChart(
            "Throughput over latency",
            x: ("p99 (log scale)", .nanoseconds, .logarithmic(base: 10)), y: ("requests per second", .count, .linear),
            series: series(x: \.p99, y: \.rate, where: { !$0.isFlawed }))
        if let knee = point(input.knee) { chart.notes.append(.init(x: knee.p99, y: knee.rate, label: input.kneeName)) }
        return chart
    }

    // MARK: Table

    private var table: String {
        let time = ChartUnit.nanoseconds
        let hasBad = input.points.contains { $0.goodput < $0.rate }
        return Page.sortableTable(
            "settings",
            head: ["connections", "streams on each", "requests/s"] + (hasBad ? ["good/s"] : [])
                + ["p50", "p99", "errors", ""],
            orders: [.rising, .rising, .falling] + (hasBad ? [.falling] : []) + [.rising, .rising, .rising, .none],
            labels: 0,
            input.points.map { point in
                var words: [String] = []
                if point.setting == input.knee { words.append(input.kneeName) }
                if point.setting == input.best { words.append("best") }
                let isBest = !words.isEmpty
                if point.isFlawed { words.append("errors") }
                let good = hasBad ? [Page.Cell.number(ChartUnit.number(point.goodput))] : []
                return Page.Row(
                    [
                        .number(grouped(point.setting.connections)),
                        .number(grouped(point.setting.streams)), .number(ChartUnit.number(point.rate)),
                    ] + good + [
                        .number(time.text(point.p50)), .number(time.text(point.p99)),
                        .number(grouped(point.errors)), .number(words.joined(separator: ", ")),
                    ], isBest: isBest,
                    keys: [Double(point.setting.connections), Double(point.setting.streams), point.rate]
                        + (hasBad ? [point.goodput] : []) + [point.p50, point.p99, Double(point.errors)])
            })
    }
}
