/// The conclusions of a sweep, in sentences made from its figures.
extension SweepResult {
    /// The knee, the best setting under the limits, and why each climb ended. May contain text from the server.
    package var verdicts: [String] {
        var verdicts = [kneeSentence]
        if !limits.isEmpty { verdicts.append(bestSentence) }
        if let saturation, knee.setting != saturation.setting, knee != .unknown {
            verdicts.append("Full throughput, within 5 %, from \(figures(saturation)).")
        }
        return verdicts
    }

    private func figures(_ point: SweepPoint) -> String {
        "\(point.setting): \(rateText(point.rate)) requests/s, p50 \(timeText(point.p50)), p99 \(timeText(point.p99))"
    }

    private var kneeSentence: String {
        switch knee {
        case .at(let setting):
            guard let point = point(setting) else { return "No knee was found." }
            // The points after it may have only errors, and no figures to compare.
            let hasNext = points.drop { $0.setting != setting }.dropFirst().contains { $0.isClean }
            return hasNext
                ? "The knee is at \(figures(point)); beyond it latency grows more than throughput."
                : "The knee is at \(figures(point)); beyond it requests fail."
        case .atOrBelow(let setting):
            guard let point = point(setting) else { return "No knee was found." }
            return
                "The knee is at or below \(figures(point)), the least that was tried: more requests only wait. Try fewer "
                + "streams or connections."
        case .beyond(let setting):
            guard let point = point(setting) else { return "No knee was found." }
            return
                "No knee was reached: throughput still grew up to \(figures(point)). Try more streams or connections."
        case .unknown:
            return "There are too few settings without errors to find a knee: it takes three."
        }
    }

    private var bestSentence: String {
        let wanted = limits.map(\.description).joined(separator: " and ")
        if let best {
            return "Best with \(wanted): \(figures(best))\(isThin(best) ? ", on too few responses to be sure" : "")."
        }
        let all = points.filter { $0.isClean }
        guard let nearest = all.min(by: { excess($0) < excess($1) }) else {
            return "Every setting has errors, so none keeps \(wanted)."
        }
        let measured = zip(limits, nearest.atLimits).map { "\($0.name) \(timeText($1))" }.joined(separator: ", ")
        return "No setting keeps \(wanted); the nearest is \(nearest.setting) with \(measured)."
    }

    /// The highest ratio of one of its percentiles to its limit.
    private func excess(_ point: SweepPoint) -> Double {
        zip(limits, point.atLimits).map { Double($1) / Double($0.nanoseconds) }.max() ?? 0
    }

    /// Caveats about the figures. May contain text from the server.
    package var remarks: [String] {
        var remarks = curves.compactMap(stopRemark)
        if let first = flawed.first {
            let others = flawed.count > 1 ? " and \(counted(flawed.count - 1, "other setting"))" : ""
            remarks.append(
                "\(first.setting)\(others): more than one request in a thousand failed or was refused, so "
                    + "\(flawed.count > 1 ? "they are" : "it is") left out of the findings and of the latency charts")
        }
        let busy = points.filter { $0.busy >= 0.95 }
        if let first = busy.first {
            remarks.append(
                "From \(first.setting) on this client was busy all the time, so the knee may be the client's rather than the "
                    + "server's: use more threads (-t) and connections")
        }
        let cut = points.filter { $0.aborted * 100 > $0.responses }
        if let first = cut.first {
            remarks.append(
                "At \(first.setting) more than 1 % of the requests were still in flight at the end, so the slowest are missing "
                    + "from the latencies: measure longer (-D)")
        }
        if !limits.isEmpty, let thin = points.first(where: isThin),
            let limit = limits.first(where: { thin.responses < $0.needed })
        {
            remarks.append(
                "\(limit.name) takes \(grouped(limit.needed, "response")), and \(thin.setting) has \(grouped(thin.responses)): "
                    + "measure longer (-D)")
        }
        return remarks.map { "\($0)." }
    }

    /// Reasons why the figures are misleading, in whole sentences.
    package var warnings: [String] {
        let statuses = points.map(\.statuses).reduce(into: [:]) { $0.merge($1, uniquingKeysWith: +) }
        return StatusSentence.all(statuses, of: points.reduce(0) { $0 + $1.responses })
    }

    /// The measurement's subject, by name.
    package func facts(_ context: ReportContext) -> [ReportFact] {
        context.facts([asked], spoken: spoken, startedAt: startedAt)
    }

    private func stopRemark(_ curve: SweepCurve) -> String? {
        let which = counted(curve.connections, "connection")
        let at = curve.points.last.map { " at \(counted($0.setting.streams, "stream"))" } ?? ""
        switch curve.stop {
        case .top: return nil
        case .errors(let cause): return "\(which): stopped\(at), because requests failed: \(cause)"
        case .refusals(let cause): return "\(which): stopped\(at), because the server refused: \(cause)"
        case .overloaded:
            return "\(which): stopped\(at), because throughput fell three times in a row while latency doubled"
        case .streamLimit(let most):
            return
                "\(which): stopped\(at), because the server allows \(most) at once on a connection, and more would only wait here"
        case .couldNot(let cause): return "\(which): stopped\(at), because the next could not be measured: \(cause)"
        case .interrupted: return "\(which): stopped by the user"
        }
    }
}
