/// The conclusions of a comparison, in sentences made from its figures.
extension CompareResult {
    /// One sentence for each security: the gain of HTTP/2 on one connection, or the most important other conclusion.
    package var verdicts: [String] { judgedSecurities.map(verdict) }

    /// Those with a verdict. One request shows no reuse, so only what could not be measured is said of it.
    package var judgedSecurities: [CompareSecurity] {
        guard requests == 1 else { return securities }
        return securities.filter { security in
            !cells.contains { $0.security == security && $0.spread(\.seconds) != nil }
        }
    }

    package func verdict(_ security: CompareSecurity) -> String {
        let prefix = securities.count > 1 ? "\(security == .tls ? "Over TLS" : "In cleartext"): " : ""
        let ran = cells.filter { $0.security == security && $0.spread(\.seconds) != nil }
        guard let best = ran.first(where: { $0.way == .http2(connections: 1) }) ?? ran.last else {
            let why = cells.first { $0.security == security }?.reason ?? "there was nothing to measure"
            return "\(prefix)nothing could be measured: \(why)."
        }
        var clauses: [String] = []
        func compare(with other: CompareWay) {
            guard other != best.way, let other = ran.first(where: { $0.way == other }) else { return }
            if let clause = Self.timeClause(best, other) { clauses.append(clause) }
        }
        compare(with: .keepAlive)
        if best.way.isReuse, let new = ran.first(where: { $0.way == .newConnections(resuming: false) }) {
            let parts = [Self.timeClause(best, new), Self.fewer(best, new, security)].compactMap { $0 }
            if !parts.isEmpty { clauses.append(parts.joined(separator: ", ")) }
        }
        for cell in ran {
            if case .pool = cell.way { compare(with: cell.way) }
        }
        if best.way == .http2(connections: 1),
            let several = ran.first(where: { $0.way.isHTTP2 && $0.way != best.way }),
            let clause = Self.tailClause(best, several)
        {
            clauses.append(clause)
        }
        var sentence = prefix + best.way.phrase.capitalizedFirst
        sentence += clauses.isEmpty ? " is all that could be measured" : ": \(clauses.joined(separator: "; "))"
        if !best.way.isHTTP2, let why = cell(.http2(connections: 1), security)?.reason {
            sentence += " (HTTP/2 was not measured: \(why))"
        }
        return sentence + "."
    }

    /// For example "3.1 × faster than keep-alive", or that the difference is within the variation between rounds.
    private static func timeClause(_ one: Cell, _ other: Cell) -> String? {
        guard let a = one.spread(\.seconds), let b = other.spread(\.seconds), a.median > 0, b.median > 0 else {
            return nil
        }
        if a.overlaps(b) { return "as fast as \(other.way.phrase) within the spread of the rounds" }
        return a.median <= b.median
            ? "\(factor(b, a)) faster than \(other.way.phrase)" : "\(factor(a, b)) slower than \(other.way.phrase)"
    }

    /// The ratio of two figures, where each round of the first exceeds every round of the second. If rounds differ
    /// several-fold, a single number would be chance.
    private static func factor(_ more: CompareSpread, _ less: CompareSpread) -> String {
        guard more.isUnsteady || less.isUnsteady, less.low > 0 else { return times(more.median / less.median) }
        return "\(number(more.low / less.high)) to \(times(more.high / less.low))"
    }

    private static func tailClause(_ one: Cell, _ other: Cell) -> String? {
        guard let a = one.spread(\.p99), let b = other.spread(\.p99), a.median > 0, b.median > 0 else { return nil }
        guard case .http2(let count) = other.way else { return nil }
        if a.overlaps(b) { return "p99 as on \(count) connections within the spread" }
        return a.median >= b.median
            ? "p99 \(factor(a, b)) worse than on \(count) connections"
            : "p99 \(factor(b, a)) better than on \(count) connections"
    }

    private static func fewer(_ one: Cell, _ other: Cell, _ security: CompareSecurity) -> String? {
        let figure: KeyPath<CompareFigures, Double> = security == .tls ? \.handshakes : \.connections
        guard let a = one.spread(figure)?.median, let b = other.spread(figure)?.median, a > 0, b > a else { return nil }
        return "\(times(b / a)) fewer \(security == .tls ? "handshakes" : "connections")"
    }

    /// `3.1 ×`, `42 ×`, and `1.04 ×` if one decimal would show no difference.
    static func times(_ ratio: Double) -> String { "\(number(ratio)) ×" }

    private static func number(_ ratio: Double) -> String {
        fixed(ratio, ratio >= 9.95 ? 0 : ratio >= 1.095 ? 1 : 2)
    }

    /// The measurement's subject, by name.
    package func facts(_ context: ReportContext) -> [ReportFact] {
        var ways = tls.map { ["over \($0)"] } ?? []
        if securities.contains(.cleartext) { ways.append("in cleartext") }
        let spoken = ways.isEmpty ? "" : "HTTP/1.1 and HTTP/2 \(ways.joined(separator: " and "))"
        return context.facts(asked, distance: conditions.inWords, spoken: spoken, startedAt: startedAt)
    }

    /// Caveats about the figures as a whole. May contain text from a server.
    package var remarks: [String] {
        var remarks: [String] = []
        if isInterrupted {
            remarks.append(
                "Stopped by the user after \(counted(rounds, "complete round"))"
            )
        } else if requests == 1 {
            remarks.append("One request shows no reuse, and says little about speed: use a larger -n")
        } else if rounds == 1 {
            remarks.append("One round shows no spread: small differences may be chance")
        }
        let unsteady = cells.filter { $0.spread(\.seconds)?.isUnsteady == true }
        if let first = unsteady.first, let spread = first.spread(\.seconds) {
            let others = unsteady.count > 1 ? " and \(counted(unsteady.count - 1, "other way"))" : ""
            let remedy = "use more requests (-n) and --rounds"
            remarks.append(
                "\(name(first))\(others): the slowest round took more than twice as long as the fastest "
                    + "(\(timeText(seconds: spread.high)) and \(timeText(seconds: spread.low))), so the medians are partly luck: "
                    + "\(remedy)")
        }
        for cell in cells {
            for note in cell.notes { remarks.append("\(name(cell)): \(note)") }
        }
        return remarks.map { "\($0)." }
    }

    private func name(_ cell: Cell) -> String {
        securities.count > 1 ? "\(cell.way.name) \(cell.security.phrase)" : cell.way.name
    }
}

extension String {
    fileprivate var capitalizedFirst: String { prefix(1).uppercased() + dropFirst() }
}
