import H2Platform

/// The limits that a server announced, and its reactions to too much load.
package struct SweepServerLimits: Sendable, Equatable {
    /// SETTINGS_MAX_CONCURRENT_STREAMS; nil for no limit, or HTTP/1.1.
    package var maxConcurrentStreams: Int?
    /// The setting at which it began to refuse requests.
    package var firstRefusal: SweepSetting?
    /// Requests answered with 429 or 503.
    package var refusedByStatus: [Int: Int] = [:]
    /// Streams that it reset because it had too many.
    package var refusedStreams = 0
    /// Connections that it ended with GOAWAY, by code.
    package var goAways: [String: Int] = [:]
    /// Connections that it closed otherwise, by cause.
    package var closed: [String: Int] = [:]
    /// Connections that could not be established, by cause.
    package var connectionsRefused: [String: Int] = [:]
}

extension SweepResult {
    package var server: SweepServerLimits {
        var server = SweepServerLimits()
        for point in points {
            server.maxConcurrentStreams = point.maxConcurrentStreams ?? server.maxConcurrentStreams
            if server.firstRefusal == nil, point.refused > 0 || !point.connectionsFailed.isEmpty {
                server.firstRefusal = point.setting
            }
            var byStatus = 0
            for status in [429, 503] {
                guard let count = point.statuses[status] else { continue }
                server.refusedByStatus[status, default: 0] += count
                byStatus += count
            }
            server.refusedStreams += max(0, point.refused - byStatus)
            for (cause, count) in point.connectionsLost {
                if cause.containsBytes(of: "GOAWAY") {
                    server.goAways[cause, default: 0] += count
                } else {
                    server.closed[cause, default: 0] += count
                }
            }
            server.connectionsRefused.merge(point.connectionsFailed, uniquingKeysWith: +)
        }
        return server
    }

    /// Names and values for people. May contain text from the server.
    package var serverLimits: [(name: String, value: String)] {
        let server = server
        var all: [(String, String)] = []
        if let most = server.maxConcurrentStreams {
            all.append(("streams at once on a connection", "\(most) (SETTINGS_MAX_CONCURRENT_STREAMS)"))
        }
        func list(_ causes: [String: Int]) -> String {
            let sorted = causes.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            let shown = sorted.prefix(3).map { "\($0.value) × \($0.key)" }.joined(separator: ", ")
            return sorted.count > 3 ? "\(shown) and \(sorted.count - 3) other causes" : shown
        }
        for (status, count) in server.refusedByStatus.sorted(by: { $0.key < $1.key }) {
            all.append(("answered with \(status)", counted(count, "request")))
        }
        if server.refusedStreams > 0 { all.append(("refused streams", "\(server.refusedStreams)")) }
        if !server.goAways.isEmpty { all.append(("connections ended", list(server.goAways))) }
        if !server.closed.isEmpty { all.append(("connections lost", list(server.closed))) }
        if !server.connectionsRefused.isEmpty {
            all.append(("connections that could not be established", list(server.connectionsRefused)))
        }
        if let first = server.firstRefusal { all.append(("began to refuse at", "\(first)")) }
        return all
    }
}
