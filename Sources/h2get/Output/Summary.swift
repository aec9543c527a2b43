import H2Client
import H2Measure

/// The summary of a run: what was fetched, over how many connections, and what reusing them saved.
struct Summary {
    var requests: Int
    var failed: Int
    /// The maximum number of concurrent transfers, including waiting ones.
    var peakInFlight: Int
    var bodyBytes: Int
    var elapsed: Double
    /// The HTTP versions of the responses.
    var spoken: Set<HTTPProtocolVersion>
    /// The connection of the first response.
    var first: (info: ConnectionInfo, version: HTTPProtocolVersion)?
    var statistics: HTTPClient.Statistics

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
