import H2Client
import H2Measure
import HTTPTypes

/// The object of --json-lines about a transfer. docs/json-lines.schema.json is its schema.
extension TransferReport {
    /// Raised when a member changes its meaning or goes. New members do not count.
    static let jsonVersion = 1

    /// - Parameters:
    ///   - started: seconds since 1970.
    ///   - isSkipped: whether the file existed, so that nothing was fetched.
    func json(started: Double, isSkipped: Bool) -> JSONText {
        [
            "schema": "h2get-transfer", "version": .integer(Self.jsonVersion),
            "started_at_unix_seconds": .number(started), "index": .integer(index),
            "url": .string(withoutUserInfo(url)), "method": .string(method),
            "outcome": .string(isSkipped ? "skipped" : failure == nil ? "done" : "failed"),
            "exit_code": .integer(Int(failure?.status.rawValue ?? 0)),
            "error": JSONText(failure.map { withoutCredentials($0.message) }),
            "status": JSONText(response?.status.code), "http_version": JSONText(response.map { _ in httpVersion }),
            "content_type": JSONText(response?.firstValue(of: .contentType)), "file": JSONText(fileName),
            "redirects": .array(
                (response?.redirects ?? []).map {
                    ["status": .integer($0.status.code), "url": .string(withoutUserInfo("\($0.target)"))]
                }),
            "retries": .integer(failedDials + (response?.failedAttempts.count ?? 0)),
            "failed_attempts": .array((response?.failedAttempts ?? []).map(Self.json)),
            "connection": connectionJSON, "times": timesJSON, "sizes": sizesJSON,
        ]
    }

    private static func json(_ attempt: FailedAttempt) -> JSONText {
        [
            "connection_id": .integer(attempt.connectionID.number), "status": JSONText(attempt.status?.code),
            "error": JSONText(attempt.error?.message), "wait_seconds": seconds(attempt.wait),
        ]
    }

    private var connectionJSON: JSONText {
        guard let response else { return .null }
        let info = response.connectionInfo
        return [
            "id": .integer(info.id.number), "origin": .string("\(info.origin)"),
            "reused": .bool(response.isConnectionReused),
            "stream_id": response.version == .http2 ? .integer(Int(response.streamID)) : .null,
            "local_address": .string(info.localAddress), "remote_address": .string(info.remoteAddress),
            "proxy": JSONText(info.proxy), "tls": Self.json(info),
        ]
    }

    private static func json(_ info: ConnectionInfo) -> JSONText {
        guard let version = info.tlsVersion else { return .null }
        let earlyData =
            switch info.earlyData {
            case .accepted: "accepted"
            case .rejected: "rejected"
            default: "not_sent"
            }
        return [
            "version": .string(version), "cipher": JSONText(info.cipher), "alpn": JSONText(info.alpn),
            "verified": .bool(info.isPeerVerified), "resumed": .bool(info.isTLSResumed),
            "early_data": .string(earlyData), "subject": JSONText(info.certificateSubject),
            "issuer": JSONText(info.certificateIssuer), "expires": JSONText(info.certificateExpiry),
        ]
    }

    // The client's times are taken once per turn of its loop, so they may be a little late.
    private var timesJSON: JSONText {
        let isNew = response.map { !$0.isConnectionReused } ?? false
        return [
            "queue_seconds": Self.seconds(phases?.queue), "resolve_seconds": Self.seconds(metrics?.resolve),
            "connect_seconds": Self.seconds(metrics?.connect),
            "tunnel_seconds": Self.seconds(isNew ? response?.connectionInfo.tunnel : nil),
            "tls_seconds": Self.seconds(metrics?.tls),
            "sent_at_seconds": Self.seconds(metrics.map { min(sent + $0.requestSent, total) }),
            "first_byte_at_seconds": Self.seconds(metrics?.firstByte.map { min(sent + $0, total) }),
            "last_byte_at_seconds": Self.seconds(metrics?.lastByte.map { min(sent + $0, total) }),
            "total_seconds": Self.seconds(total),
            "window_stalled_seconds": Self.seconds(metrics.map { _ in windowStall }),
        ]
    }

    private var sizesJSON: JSONText {
        [
            // The response is the last one of several with --range-split or -C.
            "body_received": .integer(
                max(metrics?.bodyBytesReceived ?? 0, response?.decodedCodings.isEmpty == true ? bytesWritten : 0)),
            "body_written": .integer(bytesWritten),
            "body_sent": .integer(bytesUploaded), "received": .integer(metrics?.bytesReceived ?? 0),
            "sent": .integer(metrics?.bytesSent ?? 0),
        ]
    }

    /// Whole nanoseconds.
    private static func seconds(_ time: Duration?) -> JSONText {
        JSONText(time.map { max(0, Double($0 / .nanoseconds(1))) / 1e9 })
    }
}

/// Where a transfer's time went.
struct TransferPhases: Sendable, Equatable {
    /// Waiting for a connection or a stream, without what it took to connect.
    var queue = Duration.zero
    /// Resolving, connecting, and a proxy's tunnel.
    var connect = Duration.zero
    var tls = Duration.zero
    /// From when the request was sent to the response's head.
    var firstByte = Duration.zero
    /// From there to the end.
    var body = Duration.zero
    /// The part of the body's time in which it waited for a window.
    var windowStall = Duration.zero
}

extension TransferReport {
    /// nil without a response.
    var phases: TransferPhases? {
        guard let metrics else { return nil }
        var phases = TransferPhases()
        let isNew = response.map { !$0.isConnectionReused } ?? false
        phases.connect =
            (metrics.resolve ?? .zero) + (metrics.connect ?? .zero)
            + (isNew ? response?.connectionInfo.tunnel ?? .zero : .zero)
        phases.tls = metrics.tls ?? .zero
        phases.queue = max(.zero, sent + metrics.attemptStart + metrics.queued - phases.connect - phases.tls)
        guard let firstByte = metrics.firstByte else { return phases }
        phases.firstByte = max(.zero, firstByte - metrics.requestSent)
        phases.body = max(.zero, total - sent - firstByte)
        phases.windowStall = windowStall
        return phases
    }
}
