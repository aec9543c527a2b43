/// Comparisons of the same work at several distances, side by side: the total time of each way, and the conclusions.
package struct CompareDistances {
    package let results: [CompareResult]

    /// - Parameter results: of the same plan, except for the conditions.
    package init(_ results: [CompareResult]) { self.results = results }

    /// The lines of a table, none longer than `width`, from 20 columns on.
    package func lines(width: Int = 100, color: Bool = false) -> [String] {
        let style = TextStyle(color: color)
        return wrapped("Total time by distance", width: width) + [""] + table.lines(width: width, style: style)
            + (hasUnsteady ? [""] + wrapped(Self.caution, width: width).map(style.dim) : [])
    }

    package func markdown() -> String {
        (table.markdown() + (hasUnsteady ? ["", TextTable.escaped(Self.caution)] : [])).joined(separator: "\n") + "\n"
    }

    private static let caution =
        "~ the slowest round took more than twice as long as the fastest, so the median is partly luck"

    private var hasUnsteady: Bool {
        results.flatMap(\.cells).contains { $0.spread(\.seconds)?.isUnsteady == true }
    }

    private var table: TextTable {
        var table = TextTable(titles: ["way"] + results.map { Self.label($0.conditions) })
        let securities = [CompareSecurity.tls, .cleartext].filter { security in
            results.contains { $0.securities.contains(security) }
        }
        for security in securities {
            if securities.count > 1 { table.rows.append(.heading(security == .tls ? "over TLS" : "cleartext")) }
            var ways: [CompareWay] = []
            for cell in results.flatMap(\.cells) where cell.security == security && !ways.contains(cell.way) {
                ways.append(cell.way)
            }
            for way in ways {
                let times = results.map { result in
                    // The table of that distance gives the reason if there is none.
                    result.cell(way, security)?.spread(\.seconds).map {
                        ($0.isUnsteady ? "~" : "") + timeText(seconds: $0.median)
                    } ?? "–"
                }
                table.rows.append(.cells([way.name] + times))
            }
        }
        return table
    }

    /// For example `10.0 ms` or `50.0 ms, 1.0 % loss`.
    static func label(_ conditions: LinkConditions) -> String {
        let time = conditions.roundTrip == 0 ? "0 ms" : timeText(conditions.roundTrip)
        return conditions.loss > 0 ? "\(time), \(percent(conditions.loss)) loss" : time
    }
}
