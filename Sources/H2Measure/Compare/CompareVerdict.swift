/// What a comparison comes to, in sentences made from its figures.
extension CompareResult {
    /// One sentence for each security: what HTTP/2 on one connection gains, or what else there is to say.
    package var verdicts: [String] { securities.map(verdict) }

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
            var clause = Self.timeClause(best, new) ?? ""
            if let fewer = Self.fewer(best, new, security) { clause += ", \(fewer)" }
            clauses.append(clause)
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

    /// Such as "3.1 × faster than keep-alive", or that they do not differ by more than rounds of one do.
    private static func timeClause(_ one: Cell, _ other: Cell) -> String? {
        guard let a = one.spread(\.seconds), let b = other.spread(\.seconds), a.median > 0, b.median > 0 else {
            return nil
        }
        if a.overlaps(b) { return "as fast as \(other.way.phrase) within the spread of the rounds" }
        let ratio = b.median / a.median
        return ratio >= 1
            ? "\(times(ratio)) faster than \(other.way.phrase)" : "\(times(1 / ratio)) slower than \(other.way.phrase)"
    }

    private static func tailClause(_ one: Cell, _ other: Cell) -> String? {
        guard let a = one.spread(\.p99), let b = other.spread(\.p99), a.median > 0, b.median > 0 else { return nil }
        guard case .http2(let count) = other.way else { return nil }
        if a.overlaps(b) { return "p99 as on \(count) connections within the spread" }
        let ratio = a.median / b.median
        return ratio >= 1
            ? "p99 \(times(ratio)) worse than on \(count) connections"
            : "p99 \(times(1 / ratio)) better than on \(count) connections"
    }

    private static func fewer(_ one: Cell, _ other: Cell, _ security: CompareSecurity) -> String? {
        let figure: KeyPath<CompareFigures, Double> = security == .tls ? \.handshakes : \.connections
        guard let a = one.spread(figure)?.median, let b = other.spread(figure)?.median, a > 0, b > a else { return nil }
        return "\(times(b / a)) fewer \(security == .tls ? "handshakes" : "connections")"
    }

    /// `3.1 ×`, `42 ×`, and `1.04 ×` where one decimal would say that nothing differs.
    static func times(_ ratio: Double) -> String {
        "\(fixed(ratio, ratio >= 9.95 ? 0 : ratio >= 1.095 ? 1 : 2)) ×"
    }

    /// What was measured, by name.
    package func facts(_ context: ReportContext) -> [ReportFact] {
        let spoken = tls.map { "HTTP/1.1 and HTTP/2 over \($0)" } ?? ""
        return context.facts(asked, distance: conditions.inWords, spoken: spoken, startedAt: startedAt)
    }

    /// What has to be known of the figures as a whole. May hold text of a server's.
    package var remarks: [String] {
        var remarks = notes
        if isInterrupted {
            remarks.append(
                "it was stopped by the user: \(counted(rounds, "round")) of each way \(rounds == 1 ? "is" : "are") whole"
            )
        } else if rounds == 1 {
            remarks.append("one round shows no spread: small differences may be chance")
        }
        for cell in cells {
            let name = securities.count > 1 ? "\(cell.way.name) \(cell.security.phrase)" : cell.way.name
            for note in cell.notes { remarks.append("\(name): \(note)") }
        }
        return remarks
    }
}

extension String {
    fileprivate var capitalizedFirst: String { prefix(1).uppercased() + dropFirst() }
}
