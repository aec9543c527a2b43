/// A condition under which a measurement counts as failed (`--fail-if`): `p99>50ms`, `errors>0.1%`, `rate<1000`.
package struct FailCondition: Sendable, Equatable {
    private enum Metric: Sendable, Equatable {
        /// A percentile of the corrected latency.
        case percentile(Double)
        case minimum
        case maximum
        case mean
        /// Responses per second.
        case rate
        /// Requests that were not answered completely.
        case errors
        case aborted
        case dropped
        case retries
        case statuses(ClosedRange<Int>)

        var isTime: Bool {
            switch self {
            case .percentile, .minimum, .maximum, .mean: true
            default: false
            }
        }
    }

    private enum Relation: String, CaseIterable, Sendable {
        case notLess = ">="
        case notMore = "<="
        case more = ">"
        case less = "<"

        func holds(_ value: Double, _ limit: Double) -> Bool {
            switch self {
            case .notLess: value >= limit
            case .notMore: value <= limit
            case .more: value > limit
            case .less: value < limit
            }
        }
    }

    /// The condition as written.
    package let text: String
    private let name: String
    private let metric: Metric
    private let relation: Relation
    /// In nanoseconds, requests per second, a number, or a fraction of the requests sent.
    private let limit: Double
    private let isPart: Bool

    /// The metrics to choose from, for help and errors.
    package static let metrics = "p50 to p99.99, min, mean, max, rate, errors, aborted, dropped, retries, 5xx, 404"

    /// - Throws: `OptionValueError` for text that is not a condition.
    package init(_ written: String) throws(OptionValueError) {
        // Spaces are allowed, as in p99 > 50ms.
        let text = written.filter { $0 != " " }
        let remedy =
            "write a figure, > or <, and a limit, as p99>50ms, errors>0.1% or rate<1000; figures are \(Self.metrics)"
        func refuse(_ message: String) -> OptionValueError {
            OptionValueError(message: "'\(printable(written))': \(message)", remedy: remedy)
        }
        guard let index = text.firstIndex(where: { $0 == ">" || $0 == "<" }),
            let relation = Relation.allCases.first(where: { text[index...].hasPrefix($0.rawValue) })
        else { throw refuse("there is no > or <") }
        let name = String(text[..<index])
        guard let metric = Self.metric(name) else { throw refuse("'\(printable(name))' is not a figure") }
        let value = String(text[index...].dropFirst(relation.rawValue.count))
        (self.text, self.name, self.metric, self.relation) = (text, name, metric, relation)
        if metric.isTime {
            guard let time = QuantityText.nanoseconds(value, bare: .refused) else {
                throw refuse("'\(printable(value))' is not a time with its unit")
            }
            (limit, isPart) = (Double(time), false)
        } else if metric == .rate {
            guard let rate = QuantityText.rate(value) else { throw refuse("'\(printable(value))' is not a rate") }
            (limit, isPart) = (rate, false)
        } else if let part = QuantityText.part(value) {
            (limit, isPart) = (part, true)
        } else {
            guard let count = QuantityText.whole(value, thousand: 1_000) else {
                throw refuse("'\(printable(value))' is neither a number of requests nor a part of them")
            }
            (limit, isPart) = (Double(count), false)
        }
    }

    private static func metric(_ name: String) -> Metric? {
        switch name {
        case "min": return .minimum
        case "max": return .maximum
        case "mean": return .mean
        case "rate": return .rate
        case "errors": return .errors
        case "aborted": return .aborted
        case "dropped": return .dropped
        case "retries": return .retries
        default: break
        }
        if name.first == "p", let value = QuantityText.decimal(name.dropFirst()), (1...99.99).contains(value) {
            return .percentile(value)
        }
        guard name.count == 3, let first = name.first?.wholeNumberValue, (1...5).contains(first) else { return nil }
        if name.hasSuffix("xx") { return .statuses(first * 100...first * 100 + 99) }
        return QuantityText.isDigits(name[...]) ? Int(name).map { .statuses($0...$0) } : nil
    }

    /// Whether it is about failed requests, so that it alone decides how many there may be.
    package var isAboutErrors: Bool { metric == .errors }

    // MARK: Judging

    /// The outcome of a condition for one measurement.
    package struct Outcome: Sendable, Equatable {
        /// The condition as written.
        package var condition: String
        package var isBroken: Bool
        /// Seconds, a rate, a number, or a fraction; nil if there is none.
        package var measured: Double?
        /// For example `p99 is 63.2 ms (--fail-if p99>50ms)`.
        package var text: String
    }

    /// - Parameters:
    ///   - corrected: the result's corrected latencies.
    ///   - wereAwaited: whether requests under way at the end had some time left to be answered, so that those without an
    ///     answer are slow.
    package func judge(_ result: BenchResult, corrected: Distribution, wereAwaited: Bool = false) -> Outcome {
        if case .percentile(let percentile) = metric,
            let unanswered = unanswered(above: percentile, result, corrected, wereAwaited: wereAwaited)
        {
            return outcome(nil, "\(name) is not known, because \(unanswered)", isBroken: true)
        }
        if metric.isTime, let silence = result.silenceAtEnd {
            let why = "no response came in the last \(timeText(seconds: silence))"
            return outcome(nil, "\(name) is not known, because \(why)", isBroken: true)
        }
        guard let value = value(result, corrected) else {
            // An unknown figure is not a success.
            let why = result.unexpected > 0 ? "no response was as expected" : "no request was answered"
            return outcome(nil, "\(name) is not known, because \(why)", isBroken: true)
        }
        let isBroken = relation.holds(value, limit)
        if metric.isTime {
            return outcome(value / 1e9, "\(name) is \(timeText(nanoseconds: value))", isBroken: isBroken)
        }
        if metric == .rate { return outcome(value, "the rate is \(rateText(value)) responses/s", isBroken: isBroken) }
        let of = "of \(grouped(result.requests.sent, "request"))"
        let share = isPart ? " \(of), which is \(fixed(value * 100, 3)) %" : " \(of)"
        return outcome(value, "\(name): \(grouped(count(result)))\(share)", isBroken: isBroken)
    }

    /// Text that says that more requests had no answer than may lie above the percentile; nil if not.
    private func unanswered(
        above percentile: Double, _ result: BenchResult, _ corrected: Distribution, wereAwaited: Bool
    ) -> String? {
        let (aborted, dropped) = (wereAwaited ? result.requests.aborted : 0, result.requests.dropped)
        guard aborted + dropped > 0, corrected.count > 0 else { return nil }
        let all = Double(corrected.count) + Double(aborted) + Double(dropped)
        guard Double(aborted) + Double(dropped) > (1 - percentile / 100) * all else { return nil }
        let parts = [
            aborted > 0 ? "\(grouped(aborted)) of \(grouped(result.requests.sent, "request")) had no answer" : nil,
            dropped > 0
                ? "\(grouped(dropped)) that \(dropped == 1 ? "was" : "were") due \(dropped == 1 ? "was" : "were") never sent"
                : nil,
        ]
        return parts.compactMap { $0 }.joined(separator: " and ")
    }

    private func outcome(_ measured: Double?, _ text: String, isBroken: Bool) -> Outcome {
        Outcome(
            condition: self.text, isBroken: isBroken, measured: measured, text: "\(text) (--fail-if \(self.text))")
    }

    private func value(_ result: BenchResult, _ corrected: Distribution) -> Double? {
        if metric.isTime, corrected.count == 0 { return nil }
        switch metric {
        case .percentile(let percentile): return Double(corrected.value(at: percentile))
        case .minimum: return Double(corrected.min)
        case .maximum: return Double(corrected.max)
        case .mean: return corrected.mean
        case .rate: return result.rate
        case .errors, .aborted, .dropped, .retries, .statuses:
            guard isPart else { return Double(count(result)) }
            return result.requests.sent > 0 ? Double(count(result)) / Double(result.requests.sent) : nil
        }
    }

    private func count(_ result: BenchResult) -> Int {
        switch metric {
        case .errors: result.requests.failed
        case .aborted: result.requests.aborted
        case .dropped: result.requests.dropped
        case .retries: result.requests.retries
        case .statuses(let range): range.reduce(0) { $0 + result.statuses[$1] }
        case .percentile, .minimum, .maximum, .mean, .rate: 0
        }
    }
}

extension [FailCondition] {
    /// The outcome of each condition; empty if the user stopped the run, since the part until then is not what was to be
    /// judged.
    package func judge(_ result: BenchResult, _ plan: BenchPlan? = nil) -> [FailCondition.Outcome] {
        guard !isEmpty, result.end != .interrupted else { return [] }
        let corrected = Distribution(result.corrected)
        let wereAwaited = (plan?.drain ?? .zero) > .zero
        return map { $0.judge(result, corrected: corrected, wereAwaited: wereAwaited) }
    }
}
