/// Comparisons as a JSON document, with an entry for each distance. The conventions are those of `BenchJSON`: times in seconds
/// with names that end in `_seconds`, sizes in bytes, `null` for inapplicable values.
package enum CompareJSON {
    /// Raised if readers of the previous version would misread the document.
    package static let version = 2

    package static func document(
        _ results: [CompareResult], context: ReportContext = ReportContext()
    ) -> JSONText {
        .object(
            [.init("schema", "h2get-compare"), .init("version", .integer(version))]
                + context.members(results.first?.asked ?? []) + [
                    .init("comparisons", .array(results.map(comparison)))
                ])
    }

    private static func comparison(_ result: CompareResult) -> JSONText {
        [
            "origins": .array(result.origins.map { .string($0) }),
            "started_at_unix_seconds": .number(result.startedAt),
            "round_trip_seconds": .number(Double(result.conditions.roundTrip) / 1e9),
            "loss": .number(result.conditions.loss),
            "distance": .string(result.conditions.inWords),
            "tls": JSONText(result.tls),
            "requests": .integer(result.requests),
            "rounds": .integer(result.rounds),
            "streams": .integer(result.streams),
            "connections": .integer(result.connections),
            "seed": .string(String(result.seed)),
            "interrupted": .bool(result.isInterrupted),
            "ways": .array(result.cells.map(cell)),
            "verdicts": .array(
                result.judgedSecurities.map {
                    ["security": .string($0.rawValue), "text": .string(result.verdict($0))]
                }),
            "warnings": .array(result.warnings.map { .string($0) }),
            "remarks": .array(result.remarks.map { .string($0) }),
        ]
    }

    private static func cell(_ cell: CompareResult.Cell) -> JSONText {
        let (state, rounds): (String, [CompareFigures]) =
            switch cell.outcome {
            case .ran(let rounds): ("ran", rounds)
            case .incomplete(let rounds, _): ("incomplete", rounds)
            case .couldNot: ("could_not", [])
            }
        return [
            "way": .string(cell.way.identifier),
            "name": .string(cell.way.name),
            "security": .string(cell.security.rawValue),
            "http_version": JSONText(cell.version),
            "state": .string(state),
            "reason": JSONText(cell.reason),
            // The rounds of an incomplete way do not cover the whole work.
            "figures": rounds.isEmpty ? .null : figures(rounds),
            "notes": .array(cell.notes.map { .string($0) }),
        ]
    }

    private static func figures(_ rounds: [CompareFigures]) -> JSONText {
        func spread(_ figure: KeyPath<CompareFigures, Double>, per unit: Double = 1) -> JSONText {
            let values = rounds.map { $0[keyPath: figure] / unit }
            let spread = CompareSpread(values)
            return [
                "median": .number(spread.median), "min": .number(spread.low), "max": .number(spread.high),
                "rounds": .array(values.map { .number($0) }),
            ]
        }
        return [
            "total_seconds": spread(\.seconds),
            "requests_per_second": spread(\.rate),
            "p50_seconds": spread(\.p50, per: 1e9),
            "p99_seconds": spread(\.p99, per: 1e9),
            "first_byte_seconds": spread(\.firstByte, per: 1e9),
            "connections": spread(\.connections),
            "tls_handshakes": spread(\.handshakes),
            "tls_resumed": spread(\.resumed),
            "round_trips": spread(\.roundTrips),
            "bytes_received": spread(\.bytesReceived),
            "bytes_sent": spread(\.bytesSent),
            "client_cpu_seconds": spread(\.cpuSeconds),
            "open_at_once": spread(\.held),
        ]
    }
}
