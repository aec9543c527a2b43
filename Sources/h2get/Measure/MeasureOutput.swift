import H2Client
import H2Measure

/// A measurement in each output format of `h2get bench`.
struct BenchReport: MeasureReport, Sendable {
    let plan: BenchPlan
    let result: BenchResult
    /// The outcomes of the conditions of `--fail-if`.
    let outcomes: [FailCondition.Outcome]
    private let context: ReportContext
    /// Computed on demand: with -s and no file they are not needed.
    private var verdicts: [Verdict] { Verdict.all(result, plan) }

    init(
        _ result: BenchResult, _ plan: BenchPlan, conditions: [FailCondition] = [],
        context: ReportContext = ReportContext()
    ) {
        self.result = result
        self.plan = plan
        self.context = context
        outcomes = conditions.judge(result, plan)
    }

    func content(of kind: ResultFile) -> String? {
        switch kind {
        case .json: json
        case .hdr: histogramLog
        case .html: page
        default: nil
        }
    }

    func summary(width: Int, color: Bool) -> String {
        BenchSummary(
            result, plan, verdicts: verdicts, outcomes: outcomes, context: context, width: width, color: color
        ).text
    }

    var json: String { BenchJSON.text(result, plan, verdicts: verdicts, outcomes: outcomes, context: context) }

    var histogramLog: String { HistogramLog.text(result, verdicts: verdicts) }

    var page: String {
        BenchPage(plan: plan, result: result, verdict: sentences, context: context).html()
    }

    private var sentences: [PageSentence] {
        verdicts.map { verdict in
            let kind: PageSentence.Kind =
                switch verdict.severity {
                case .fine: .finding
                case .note: .note
                case .warning: .problem
                }
            return PageSentence(kind, verdict.text)
        } + outcomes.map { PageSentence($0.isBroken ? .problem : .finding, $0.text) }
    }
}

/// A comparison, at one or more distances, in each output format of `h2get compare`.
struct CompareReport: MeasureReport, Sendable {
    let results: [CompareResult]
    private let context: ReportContext

    init(_ results: [CompareResult], context: ReportContext = ReportContext()) {
        self.results = results
        self.context = context
    }

    func content(of kind: ResultFile) -> String? {
        switch kind {
        case .json: json
        case .html: page
        case .markdown: markdown
        case .svg: picture
        default: nil
        }
    }

    func summary(width: Int, color: Bool) -> String {
        var tables = results.map { CompareTable($0, context: context).lines(width: width, color: color) }
        if results.count > 1 { tables.append(CompareDistances(results).lines(width: width, color: color)) }
        return tables.joined(separator: [""]).map { $0 + "\n" }.joined()
    }

    var json: String { CompareJSON.document(results, context: context).text }

    var markdown: String {
        let distances = results.count > 1 ? [CompareDistances(results).markdown()] : []
        return (results.map { CompareTable($0, context: context).markdown() } + distances).joined(separator: "\n")
    }

    var page: String { ComparePage(input).html() }

    var picture: String { ComparePage(input).picture() }

    private var input: ComparePage.Input {
        let origins = results.first?.origins ?? []
        let hasBoth = results.contains { $0.securities.count > 1 }
        var input = ComparePage.Input(
            title: "What connection reuse gains",
            labelTitles: hasBoth ? ["way", ""] : ["way"],
            groups: results.map { result in
                ComparePage.Group(
                    CompareTable.distance(result.conditions),
                    result.cells.map { cell in
                        ComparePage.Row(
                            hasBoth ? [cell.way.name, cell.security.phrase] : [cell.way.name], outcome(cell))
                    })
            })
        if let first = results.first {
            input.work = [
                origins.joined(separator: " and "),
                "\(counted(first.requests, "request")) each way, \(counted(first.rounds, "round")) in random order "
                    + "(--seed \(first.seed)), HTTP/2 with at most \(counted(first.streams, "stream")) at once",
            ]
        }
        input.startedAt = results.first?.startedAt ?? 0
        if var first = results.first {
            first.tls = results.lazy.compactMap(\.tls).first
            input.facts = first.facts(context)
            if let index = input.facts.firstIndex(where: { $0.name == "Distance" }) {
                input.facts[index].value = results.map(\.conditions.inWords).joined(separator: "; ")
            }
        }
        for result in results {
            let prefix = results.count > 1 ? "\(CompareTable.distance(result.conditions)): " : ""
            input.verdict += result.warnings.map { PageSentence(.problem, prefix + $0) }
            input.verdict += result.judgedSecurities.map { security in
                let hasRun = result.cells.contains { $0.security == security && $0.spread(\.seconds) != nil }
                return PageSentence(hasRun ? .finding : .problem, prefix + result.verdict(security))
            }
            input.verdict += result.remarks.map { PageSentence(.note, prefix + $0) }
        }
        return input
    }

    private func outcome(_ cell: CompareResult.Cell) -> ComparePage.Outcome {
        func figure(_ path: KeyPath<CompareFigures, Double>) -> ComparePage.Figure {
            let spread = cell.spread(path) ?? CompareSpread([])
            return ComparePage.Figure(spread.median, from: spread.low, to: spread.high)
        }
        guard case .ran = cell.outcome else { return .couldNot(cell.reason ?? "it was not measured") }
        return .ran(
            ComparePage.Figures(
                total: figure(\.seconds), rate: figure(\.rate), p50: figure(\.p50), p99: figure(\.p99),
                firstByte: figure(\.firstByte), connections: figure(\.connections), handshakes: figure(\.handshakes),
                roundTrips: figure(\.roundTrips), bytesReceived: figure(\.bytesReceived),
                bytesSent: figure(\.bytesSent),
                cpuSeconds: figure(\.cpuSeconds), held: figure(\.held)))
    }
}

/// A sweep in each output format of `h2get sweep`.
struct SweepReport: MeasureReport, Sendable {
    let result: SweepResult
    let plan: SweepPlan
    private let context: ReportContext

    init(_ result: SweepResult, _ plan: SweepPlan, context: ReportContext = ReportContext()) {
        self.result = result
        self.plan = plan
        self.context = context
    }

    func content(of kind: ResultFile) -> String? {
        switch kind {
        case .json: json
        case .html: page
        default: nil
        }
    }

    /// The table, and the curves if there is more than one point.
    func summary(width: Int, color: Bool) -> String {
        var lines = SweepTable(result, context: context).lines(width: width, color: color)
        // A chart needs at least 30 columns.
        if result.points.count > 1, width >= 30 {
            // Refusals are fast: they do not count as throughput, and their latency is not that of real work.
            let hasBad = result.points.contains { $0.goodput < $0.rate }
            let charts = [
                chart(hasBad ? "good responses/s" : "requests/s", .count, width, color) { $0.goodput },
                chart("p99", .nanoseconds, width, color) { $0.isClean ? Double($0.p99) : nil },
            ]
            for chart in charts { lines += [""] + chart.lines() }
        }
        return lines.map { $0 + "\n" }.joined()
    }

    var json: String { SweepJSON.document(result, context: context).text }

    private func chart(
        _ title: String, _ unit: ChartUnit, _ width: Int, _ color: Bool, _ figure: (SweepPoint) -> Double?
    ) -> TerminalChart {
        // With HTTP/1.1 only the number of connections varies.
        let isOverStreams = plan.streams.count > 1
        func point(_ point: SweepPoint) -> LineChart.Point {
            LineChart.Point(Double(isOverStreams ? point.setting.streams : point.setting.connections), figure(point))
        }
        let series =
            isOverStreams
            ? result.curves.map {
                TerminalChart.Series(counted($0.connections, "connection"), $0.points.map(point))
            } : [TerminalChart.Series("", result.points.map(point))]
        var chart = TerminalChart(
            x: (isOverStreams ? "streams on each connection" : "connections", .count, .logarithmic(base: 2)),
            y: (title, unit, .linear), series: series, width: width, hasColour: color)
        chart.highlight = result.point(result.knee.marked).map(point)
        return chart
    }

    var page: String {
        func setting(_ setting: SweepSetting) -> SweepPage.Setting {
            SweepPage.Setting(connections: setting.connections, streams: setting.streams)
        }
        var input = SweepPage.Input(
            title: "How many \(plan.streams.count > 1 ? "streams" : "connections") \(result.origin) takes",
            points: result.points.map {
                SweepPage.Point(
                    setting($0.setting), rate: $0.rate, goodput: $0.goodput, p50: Double($0.p50), p99: Double($0.p99),
                    errors: $0.bad, isFlawed: !$0.isClean)
            })
        input.work = [
            "\(timeText(seconds: result.time)) for each setting, after \(timeText(seconds: plan.warmUp.inSeconds)) of warm-up"
        ]
        input.facts = result.facts(context)
        input.knee = result.knee.marked.map(setting)
        input.kneeName = result.knee.name
        input.best = result.best.map { setting($0.setting) }
        input.limit = result.limits.first { $0.percentile == 99 }.map { Double($0.nanoseconds) }
        input.serverLimits = result.serverLimits.map { SweepPage.ServerLimit($0.name, $0.value) }
        input.verdict =
            result.warnings.map { PageSentence(.problem, $0) }
            // The absence of a knee is not a finding.
            + result.verdicts.enumerated().map {
                PageSentence($0.offset == 0 && result.knee == .unknown ? .note : .finding, $0.element)
            }
            + result.remarks.map { PageSentence(.note, $0) }
        input.startedAt = result.startedAt
        return SweepPage(input).html()
    }
}
