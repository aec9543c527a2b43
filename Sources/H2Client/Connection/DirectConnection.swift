/// The user of a `DirectConnection`, called on its loop.
package protocol DirectConnectionUser: AnyObject {
    /// A stream's request is over; the stream may be reused on this or another connection at once.
    func ended(_ stream: DirectStream, on connection: DirectConnection)
    /// The connection takes no new requests.
    func draining(_ connection: DirectConnection, why: H2Error)
    /// The peer changed its stream limit.
    func streamLimitChanged(_ connection: DirectConnection)
    /// It is gone, and its streams have been told.
    func closed(_ connection: DirectConnection, why: H2Error)
}

/// A connection that reports responses by calls on its loop rather than by `await`. It uses the same connections, sessions and
/// wires as `HTTP2Connection` and `HTTP1Connection`, without what makes a request safe to use from any task. It is for senders
/// of a few requests, repeated very often, that need figures rather than responses: bodies and fields are counted and dropped.
///
/// Belongs to its loop's thread, which is the invariant behind `@unchecked Sendable`, required by `ConnectionOwner`.
package final class DirectConnection: @unchecked Sendable, ConnectionOwner {
    package let connection: Connection
    @exclusivity(unchecked) private var user: (any DirectConnectionUser)?
    /// Lets the user identify it.
    @exclusivity(unchecked) package var tag = 0

    fileprivate init(_ connection: Connection, user: any DirectConnectionUser) {
        self.connection = connection
        self.user = user
        number = connection.info.id.number
        connection.owner = self
        connection.countsOnly()
        connection.activate()
    }

    /// Connects, on the loop. `completion` is called once, unless it is cancelled first.
    /// - Parameter tls: nil for cleartext.
    package static func connect(
        to origin: Origin, offering offer: ProtocolOffer, configuration: ConnectionConfiguration, tls: TLSContext?,
        on loop: H2EventLoop, user: any DirectConnectionUser,
        completion: @escaping (Result<DirectConnection, H2Error>) -> Void
    ) -> Connector {
        let source = tls.map { TLSContextSource($0) } ?? TLSContextSource(configuration.tls)
        let connector = Connector(
            to: origin, offering: offer, configuration: configuration, tls: source, on: loop)
        connector.start { result in completion(result.map { DirectConnection($0, user: user) }) }
        return connector
    }

    // MARK: - Facts

    /// The number of `info.id`.
    package let number: Int
    // Calls instead of exposing the connection's properties, which are read with each request: see `DirectStream.notes`.
    package var version: HTTPProtocolVersion { connection.version }
    /// Whether the server has announced its stream limit.
    package var knowsStreamLimit: Bool { connection.knowsStreamLimit }
    /// Whether `send` would start a stream now.
    package var hasFreeSlot: Bool { !connection.isDraining && connection.session.hasFreeSlot }
    /// Number of requests begun on it.
    package var requests: Int { connection.requests }

    // MARK: - Requests

    /// Starts a request on a free stream. Output is sent at the end of the loop's turn.
    /// - Throws: `H2Error` (`invalidRequest`, `connectionDraining`).
    @inline(__always)
    package func send(_ request: PreparedRequest, on stream: DirectStream) throws(H2Error) {
        stream.begin(on: self, body: request.body)
        do {
            try connection.submit(stream, request)
        } catch {
            connection.refused(error)
            throw error
        }
        connection.markDirty()
    }

    fileprivate func ended(_ stream: DirectStream) {
        connection.slotFreed()
        user?.ended(stream, on: self)
    }

    // MARK: - Closing

    /// Takes no new requests, and closes when those in progress are over.
    package func close(because why: String) { connection.close(because: why) {} }

    /// Closes it at once and fails the requests in progress.
    package func closeNow(because why: String) { connection.closeNow(because: why) }

    // MARK: - Connection events

    func released(_ connection: Connection, _ exchange: Exchange) {}
    func doubted(_ connection: Connection) {}
    func trusted(_ connection: Connection) {}
    func streamLimitChanged(_ connection: Connection, to limit: Int) { user?.streamLimitChanged(self) }
    func draining(_ connection: Connection, why: H2Error, answers: Int?) { user?.draining(self, why: why) }
    func limitsAnnounced(_ connection: Connection, requests: Int?, idle: Duration?) {}
    func stalled(_ connection: Connection, _ isStalled: Bool) {}
    func originsChanged(_ connection: Connection) {}
    func closed(_ connection: Connection, why: H2Error) {
        // The streams first: the user counts them when it learns that the connection is gone.
        connection.whenDead { [self] in
            let user = user
            self.user = nil
            // The two hold each other, and nothing else would break the cycle.
            connection.owner = nil
            user?.closed(self, why: why)
        }
    }
}

/// A reusable slot for one request at a time, so that a request allocates nothing.
package final class DirectStream: StreamState {
    @exclusivity(unchecked) private var connection: DirectConnection?
    /// Whether the end of its request has yet to be reported.
    @exclusivity(unchecked) private var isUnderWay = false
    /// Separate memory instead of properties: properties of another module's class are checked for exclusive access at each
    /// use, whatever their attributes, which costs 900 instructions per request.
    package let notes: UnsafeMutablePointer<Notes>

    /// The user's notes about a request.
    package struct Notes {
        /// When it should have begun, and when it did, in the loop's time.
        package var intendedAt: UInt64 = 0
        package var beganAt: UInt64 = 0
        /// When its user noticed that it was due, and when a slot was free.
        package var takenAt: UInt64 = 0
        package var ableAt: UInt64 = 0
        /// Failed attempts.
        package var attempts = 0
        /// Sequential round trips so far.
        package var depth = 0
        /// Whether the request is measured.
        package var isMeasured = false
        /// Whether it was sent before the server announced its stream limit.
        package var wasSentBlindly = false
        /// Its index among the requests that are sent in turn.
        package var request = 0

        package init() {}
    }

    package override init() {
        notes = .allocate(capacity: 1)
        notes.initialize(to: Notes())
        super.init()
        sink = .nowhere
    }

    deinit { notes.deallocate() }

    /// The error that ended the request; nil if its response is complete.
    package var failure: H2Error? {
        guard case .failed(let error) = phase else { return nil }
        return error as? H2Error ?? H2Error(.streamReset, message: "\(error)")
    }

    /// The response's status; 0 before there is one.
    package var responseStatus: Int { status }
    /// When the response head arrived; 0 before that.
    package var headAt: UInt64 { firstByteAt }
    /// When the response's last byte arrived.
    package var endAt: UInt64 { lastByteAt }
    /// Bytes of the response's body received so far.
    package var bodyBytes: Int { bodyReceived }
    package var identifier: Int { Int(id) }
    /// Whether any byte of the response has arrived.
    package var wasHeardOf: Bool { bytesReceived > 0 }

    @inline(__always)
    fileprivate func begin(on connection: DirectConnection, body: [UInt8]) {
        precondition(slot < 0, "a stream has one request at a time")
        if self.connection !== connection { self.connection = connection }
        isUnderWay = true
        phase = .awaitingHead
        id = 0
        status = 0
        bodyReceived = 0
        if let digest { digest.reset() }
        bytesSent = 0
        bytesReceived = 0
        sentAt = 0
        firstByteAt = 0
        lastByteAt = 0
        forgetInformational()
        if localFailure != nil { localFailure = nil }
        if remoteReset != nil { remoteReset = nil }
        statedLength = nil
        hasTrailers = false
        sink = .nowhere
        if !body.isEmpty {
            outgoing = .bytes(body, offset: 0)
        } else if !isOutgoingDone {
            outgoing = .done
        }
    }

    override func progressed() {
        if !informational.isEmpty { informational = [] }
        guard isUnderWay, isOver, slot < 0, let connection else { return }
        isUnderWay = false
        connection.ended(self)
    }
}

/// Byte counts and waiting times of a connection.
package struct DirectFigures: Sendable {
    /// Bytes on the wire, including TLS.
    package var received = 0
    package var sent = 0
    /// Bytes of HTTP.
    package var receivedHTTP = 0
    package var sentHTTP = 0
    /// Bytes of header sections as received, and as names and values.
    package var headers = 0
    package var headersDecoded = 0
    /// Nanoseconds during which the socket accepted nothing.
    package var sendBlocked: UInt64 = 0
    /// Nanoseconds, summed over streams.
    package var stalls = WindowStalls()

    package init() {}
}
