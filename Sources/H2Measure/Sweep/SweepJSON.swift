/// A sweep as a JSON document. The conventions are those of `BenchJSON`: times in seconds with names that end in `_seconds`,
/// fractions 0 to 1, `null` for inapplicable values.
package enum SweepJSON {
    /// Raised if readers of the previous version would misread the document.
    package static let version = 2

    package static func document(_ result: SweepResult, context: ReportContext = ReportContext()) -> JSONText {
        let (kneeState, knee): (String, SweepSetting?) =
            switch result.knee {
            case .at(let setting): ("found", setting)
            case .atOrBelow(let setting): ("at_or_below", setting)
            case .beyond(let setting): ("beyond", setting)
            case .unknown: ("unknown", nil)
            }
        let head: [JSONText.Member] = [.init("schema", "h2get-sweep"), .init("version", .integer(version))]
        guard case .object(let members) = body(result, kneeState, knee) else { return .null }
        return .object(head + context.members([result.asked]) + members)
    }

    private static func body(_ result: SweepResult, _ kneeState: String, _ knee: SweepSetting?) -> JSONText {
        [
            "origin": .string(result.origin),
            "distance": .string(LinkConditions().inWords),
            "versions": .string(result.spoken),
            "started_at_unix_seconds": .number(result.startedAt),
            "point_seconds": .number(result.time),
            "limits": .array(
                result.limits.map { ["percentile": .number($0.percentile), "limit_seconds": seconds($0.nanoseconds)] }),
            "curves": .array(result.curves.map(curve)),
            "knee": ["state": .string(kneeState), "setting": setting(knee)],
            "full_throughput": setting(result.saturation?.setting),
            "best": setting(result.best?.setting),
            "fastest": setting(result.fastest?.setting),
            "server": server(result.server),
            "verdicts": .array(result.verdicts.map { .string($0) }),
            "warnings": .array(result.warnings.map { .string($0) }),
            "remarks": .array(result.remarks.map { .string($0) }),
        ]
    }

    private static func seconds(_ nanoseconds: UInt64) -> JSONText { .number(Double(nanoseconds) / 1e9) }

    private static func setting(_ setting: SweepSetting?) -> JSONText {
        setting.map { ["connections": .integer($0.connections), "streams": .integer($0.streams)] } ?? .null
    }

    private static func curve(_ curve: SweepCurve) -> JSONText {
        let (kind, reason): (String, String?) =
            switch curve.stop {
            case .top: ("top", nil)
            case .errors(let why): ("errors", why)
            case .refusals(let why): ("refusals", why)
            case .overloaded: ("overloaded", nil)
            case .streamLimit(let most): ("stream_limit", String(most))
            case .couldNot(let why): ("could_not", why)
            case .interrupted: ("interrupted", nil)
            }
        return [
            "connections": .integer(curve.connections),
            "stop": ["kind": .string(kind), "reason": JSONText(reason)],
            "points": .array(curve.points.map(point)),
        ]
    }

    private static func point(_ point: SweepPoint) -> JSONText {
        [
            "connections": .integer(point.setting.connections),
            "streams": .integer(point.setting.streams),
            "requests_per_second": .number(point.rate),
            "good_per_second": .number(point.goodput),
            "has_errors": .bool(!point.isClean),
            "responses": .integer(point.responses),
            "p50_seconds": seconds(point.p50),
            "p90_seconds": seconds(point.p90),
            "p99_seconds": seconds(point.p99),
            "p99_9_seconds": seconds(point.p999),
            "max_seconds": seconds(point.longest),
            "first_byte_p50_seconds": seconds(point.firstByte),
            "at_limits_seconds": .array(point.atLimits.map(seconds)),
            "in_flight_mean": .number(point.inFlight),
            "failed": .integer(point.failed),
            "refused": .integer(point.refused),
            "server_errors": .integer(point.serverErrors),
            "aborted": .integer(point.aborted),
            "client_busy": .number(point.busy),
            "errors": causes(point.errors),
            "connections_failed": causes(point.connectionsFailed),
            "connections_lost": causes(point.connectionsLost),
            "max_concurrent_streams": JSONText(point.maxConcurrentStreams),
        ]
    }

    private static func server(_ server: SweepServerLimits) -> JSONText {
        [
            "max_concurrent_streams": JSONText(server.maxConcurrentStreams),
            "first_refusal": setting(server.firstRefusal),
            "refused_by_status": .array(
                server.refusedByStatus.sorted { $0.key < $1.key }.map {
                    ["status": .integer($0.key), "count": .integer($0.value)]
                }),
            "refused_streams": .integer(server.refusedStreams),
            "goaways": causes(server.goAways),
            "connections_closed": causes(server.closed),
            "connections_refused": causes(server.connectionsRefused),
        ]
    }

    /// A list, since the names come from a server.
    private static func causes(_ causes: [String: Int]) -> JSONText {
        .array(
            causes.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map {
                ["cause": .string($0.key), "count": .integer($0.value)]
            })
    }
}
