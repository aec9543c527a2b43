import H2Client
import H2Measure

/// The summary of a run: what was fetched, over how many connections, and what reusing them saved.
struct Summary {
    var requests: Int
    var failed: Int
    /// The failed ones by their cause.
    var failures: [ExitReason: Int] = [:]
    /// The maximum number of concurrent transfers, including waiting ones.
    var peakInFlight: Int
    var bodyBytes: Int
    var elapsed: Double
    /// The HTTP versions of the responses, each once.
    var spoken: [HTTPProtocolVersion]
    /// The connection of the first response.
    var first: (info: ConnectionInfo, version: HTTPProtocolVersion)?
    var statistics: HTTPClient.Statistics

    /// Everything in one line: `97 of 100 done, 3 failed (2 timed out, 1 not connected), 34.5 MB in 2.31 s, …`.
    var line: String {
        var parts =
            failed == 0
            ? ["\(grouped(requests, "transfer")) done"] : ["\(grouped(requests - failed)) of \(grouped(requests)) done"]
        if failed > 0 { parts.append("\(grouped(failed)) failed\(causes)") }
        parts.append("\(byteCount(bodyBytes)) in \(timeText(seconds: max(elapsed, 1e-6)))")
        parts.append(counted(statistics.connectionsOpened, "connection"))
        if statistics.requests > 1 { parts.append("\(percent(statistics.reuseRatio)) reused") }
        return "h2get: " + parts.joined(separator: ", ")
    }

    /// The causes, the most frequent first; those of failures that nothing was counted for are not named.
    private var causes: String {
        let sorted = failures.sorted { ($1.value, $0.key.rawValue) < ($0.value, $1.key.rawValue) }
        guard !sorted.isEmpty else { return "" }
        return " (" + sorted.map { "\(grouped($0.value)) \($0.key.cause)" }.joined(separator: ", ") + ")"
    }

    var text: String {
        let elapsed = max(elapsed, 1e-6)
        return """
            h2get: \(counted(requests, "request")) over \(connections), at most \(peakInFlight) at once, \(failed) failed
            h2get: \(reuse)
            h2get: \(byteCount(bodyBytes)) of bodies, \(byteCount(statistics.bytesReceived)) received and \
            \(byteCount(statistics.bytesSent)) sent in all, in \(fixed(elapsed, 3)) s\(rates(elapsed))
            """
    }

    /// The rates of what succeeded; empty if nothing did.
    private func rates(_ elapsed: Double) -> String {
        let done = requests - failed
        guard done > 0 else { return "" }
        let bytes = byteCount(Int(Double(statistics.bytesReceived) / elapsed))
        return ": \(fixed(Double(done) / elapsed, 0)) requests/s, \(bytes)/s"
    }

    private var connections: String {
        let text = counted(statistics.connectionsOpened, "connection")
        if statistics.connectionsOpened == 1, let first {
            let security = first.info.tlsVersion ?? "cleartext"
            return "\(text) to \(first.info.remoteAddress) (\(security), \(first.version.rawValue))"
        }
        guard !spoken.isEmpty else { return text }
        return "\(text) (\(spoken.map(\.rawValue).sorted().joined(separator: " and ")))"
    }

    /// Such as `reused: 199 of 200 (99.5 %); TLS handshakes: 1 made (0 resumed), 199 saved; 0 retries`.
    private var reuse: String {
        let (reused, sent) = (statistics.requestsOnReusedConnections, statistics.requests)
        var text = "reused a connection: \(reused) of \(sent)"
        if sent > 0 { text += " (\(fixed(statistics.reuseRatio * 100, 1)) %)" }
        if statistics.handshakes > 0 {
            text +=
                "; TLS handshakes: \(statistics.handshakes) made (\(statistics.handshakesResumed) resumed), "
                + "\(statistics.handshakesSaved) saved"
        }
        return text + "; \(statistics.retries == 1 ? "1 retry" : "\(statistics.retries) retries")"
    }
}
