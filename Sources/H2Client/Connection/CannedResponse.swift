package import HTTPTypes
import Synchronization

/// The parts of a response that no server sent, for tests of code that takes a response. H2ClientTesting has the public API.
package struct CannedResponse {
    /// The body, and how it arrives.
    package enum Body {
        /// It has arrived with the head, as a short one of a real server often does.
        case whole([UInt8])
        /// It has been read.
        case read(count: Int)
        /// Each chunk arrives when a reader waits for it.
        case chunks([[UInt8]], then: End)
    }

    /// How the body goes on after its last chunk.
    package enum End {
        case complete
        case failure(any Error)
        /// Nothing ever does.
        case stall
    }

    package var status = HTTPResponse.Status.ok
    package var headerFields = HTTPFields()
    package var body = Body.whole([])
    package var trailerFields: HTTPFields?
    package var version = HTTPProtocolVersion.http2
    /// nil for one without addresses.
    package var connectionInfo: ConnectionInfo?
    package var streamID: Int32 = 1
    package var isConnectionReused = false
    package var requestID: HTTPClient.RequestID?
    package var failedAttempts: [FailedAttempt] = []
    package var redirects: [HTTPClient.Redirect] = []
    package var metrics = ResponseMetrics(firstByte: .zero, lastByte: .zero)

    package init() {}

    /// The response: an exchange that has ended already, or whose session is a `CannedSession`.
    package func response() -> StreamedResponse {
        let session = CannedSession()
        let connection = Connection(canned: session, version, info: info)
        guard let exchange = try? Exchange(connection: connection, body: .empty, options: RequestOptions(), calledAt: 1)
        else { preconditionFailure("only the file of a request's body can fail") }
        // The handler may have read a streamed body already: it cannot be sent again.
        _ = exchange.takeBody()
        exchange.id = streamID
        exchange.isNumberedByOrder = version == .http1
        exchange.isConnectionReused = isConnectionReused
        exchange.number = requestID?.number ?? 0
        if !failedAttempts.isEmpty || !redirects.isEmpty {
            exchange.history = RequestHistory(failedAttempts: failedAttempts, redirects: redirects)
        }
        exchange.status = status.code
        exchange.head = HeaderBlock(headerFields, version, reasonPhrase: status.reasonPhrase)
        if let trailerFields {
            exchange.hasTrailers = true
            exchange.trailers = HeaderBlock(trailerFields, version)
        }
        setMetrics(of: exchange)
        switch body {
        case .whole(let bytes): (exchange.body, exchange.bodyReceived) = (bytes, bytes.count)
        case .read(let count):
            exchange.bodyReceived = count
            exchange.claim.store(.taken, ordering: .relaxed)
        case .chunks(let chunks, let end):
            exchange.phase = .body
            session.begin(exchange, chunks, then: end, lastByteAt: exchange.lastByteAt)
            exchange.lastByteAt = 0
            return StreamedResponse(
                status: status,
                body: HTTPResponseBody(exchange: exchange, guardian: BodyGuardian(exchange: exchange)))
        }
        exchange.phase = .ended
        exchange.isWhole = true
        return StreamedResponse(status: status, body: HTTPResponseBody(exchange: exchange, guardian: nil))
    }

    /// The connection's properties, with the times that the metrics state.
    private var info: ConnectionInfo {
        // `Connection` needs an origin, and this one is always valid.
        guard var info = connectionInfo ?? (try? Origin("https://example.com")).map(ConnectionInfo.simulated) else {
            preconditionFailure("example.com is a valid host")
        }
        info.resolve = metrics.resolve ?? info.resolve
        info.connect = metrics.connect ?? info.connect
        info.tls = metrics.tls ?? info.tls
        return info
    }

    private func setMetrics(of exchange: Exchange) {
        func time(_ duration: Duration?) -> UInt64 {
            duration.map { exchange.calledAt + $0.clampedNanoseconds } ?? 0
        }
        exchange.attemptBeganAt = time(metrics.attemptStart)
        exchange.submittedAt = time(metrics.attemptStart + metrics.queued)
        exchange.sentAt = time(metrics.requestSent)
        exchange.firstByteAt = time(metrics.firstByte)
        exchange.lastByteAt = time(metrics.lastByte)
        exchange.bytesSent = metrics.bytesSent
        exchange.bytesReceived = metrics.bytesReceived
    }
}

extension HeaderBlock {
    /// The fields as a server of this version would have sent them: over HTTP/2 with names in lower case.
    fileprivate init(_ fields: HTTPFields, _ version: HTTPProtocolVersion, reasonPhrase: String = "") {
        var scratch = HeaderScratch()
        if version == .http1 {
            let reason = Array(reasonPhrase.utf8)
            reason.withUnsafeBufferPointer {
                if let start = $0.baseAddress { scratch.append(reason: start, count: $0.count) }
            }
        }
        for field in fields {
            let name = Array((version == .http1 ? field.name.rawName : field.name.canonicalName).utf8)
            name.withUnsafeBufferPointer { name in
                field.withUnsafeBytesOfValue { value in
                    guard let start = name.baseAddress else { return }
                    scratch.append(
                        name: start, nameLength: name.count, value: value.baseAddress, valueLength: value.count)
                }
            }
        }
        self.init(copying: scratch)
    }
}
