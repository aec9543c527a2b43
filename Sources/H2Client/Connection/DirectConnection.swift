/// Who sends over a `DirectConnection`, called on its loop.
package protocol DirectConnectionUser: AnyObject {
    /// A stream's request is over; it may be sent again on this or another connection at once.
    func ended(_ stream: DirectStream, on connection: DirectConnection)
    /// The connection takes no new requests.
    func draining(_ connection: DirectConnection, why: H2Error)
    /// The peer allows another number of streams.
    func streamLimitChanged(_ connection: DirectConnection)
    /// It is gone, and its streams have been told.
    func closed(_ connection: DirectConnection, why: H2Error)
}

/// A connection whose answers come by calls on its loop rather than by `await`: the same connections, sessions and wires as
/// `HTTP2Connection` and `HTTP1Connection`, without what makes a request safe to use from any task. For whoever sends the
/// same few requests very often, and looks at figures rather than at responses: bodies and fields are counted and dropped.
///
/// Belongs to its loop's thread; that is the invariant behind `@unchecked Sendable`, which `ConnectionOwner` asks for.
package final class DirectConnection: @unchecked Sendable, ConnectionOwner {
    package let connection: Connection
    @exclusivity(unchecked) private var user: (any DirectConnectionUser)?
    /// For its user to know it by.
    @exclusivity(unchecked) package var tag = 0

    fileprivate init(_ connection: Connection, user: any DirectConnectionUser) {
        self.connection = connection
        self.user = user
        number = connection.info.id.number
        connection.owner = self
        connection.countsOnly()
        connection.activate()
    }

    /// Connects, on the loop. `completion` is called once, unless it is cancelled before.
    /// - Parameter tls: nil in cleartext.
    package static func connect(
        to origin: Origin, offering offer: ProtocolOffer, configuration: Configuration, tls: TLSContext?,
        on loop: EventLoop, user: any DirectConnectionUser,
        completion: @escaping (Result<DirectConnection, H2Error>) -> Void
    ) -> Connector {
        let source = tls.map { TLSContextSource($0) } ?? TLSContextSource(configuration.tls)
        let connector = Connector(
            to: origin, offering: offer, configuration: configuration, tls: source, on: loop)
        connector.start { result in completion(result.map { DirectConnection($0, user: user) }) }
        return connector
    }

    // MARK: - Facts

    /// `info.id`'s.
    package let number: Int
    // Calls, and not the connection's own properties, for who looks at them with each request: see `DirectStream.notes`.
    package var version: HTTPVersion { connection.version }
    /// Whether the server has told its stream limit.
    package var knowsStreamLimit: Bool { connection.knowsStreamLimit }
    /// Whether `send` would begin a stream now.
    package var hasFreeSlot: Bool { !connection.isDraining && connection.session.hasFreeSlot }
    /// Requests that began on it.
    package var requests: Int { connection.requests }

    // MARK: - Requests

    /// Begins a request on a stream that is free. What there is to send leaves at the end of the loop's turn.
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

    // MARK: - The end

    /// Takes no new requests, and closes when those under way are over.
    package func close(because why: String) { connection.close(because: why) {} }

    /// Ends it here and now: what is under way fails.
    package func closeNow(because why: String) { connection.closeNow(because: why) }

    // MARK: - What the connection tells

    func released(_ connection: Connection, _ exchange: Exchange) {}
    func doubted(_ connection: Connection) {}
    func trusted(_ connection: Connection) {}
    func streamLimitChanged(_ connection: Connection, to limit: Int) { user?.streamLimitChanged(self) }
    func draining(_ connection: Connection, why: H2Error, answers: Int?) { user?.draining(self, why: why) }
    func limitsAnnounced(_ connection: Connection, requests: Int?, idle: Duration?) {}
    func stalled(_ connection: Connection, _ isStalled: Bool) {}
    func originsChanged(_ connection: Connection) {}
    func closed(_ connection: Connection, why: H2Error) {
        // The streams first: who hears that the connection is gone counts them.
        connection.whenDead { [self] in
            let user = user
            self.user = nil
            // Each holds the other: nobody else would ever let go of them.
            connection.owner = nil
            user?.closed(self, why: why)
        }
    }
}

/// A place for one request at a time, kept from one to the next, so that a request allocates nothing.
package final class DirectStream: StreamState {
    @exclusivity(unchecked) private var connection: DirectConnection?
    /// Whether the end of its request is still to be told.
    @exclusivity(unchecked) private var isUnderWay = false
    /// Memory of its own, and not properties: those of another module's class are checked for exclusive access at each use,
    /// whatever they are marked with, which is 900 instructions a request.
    package let notes: UnsafeMutablePointer<Notes>

    /// What its user notes of a request.
    package struct Notes {
        /// When it was to begin, and when it did; the loop's time.
        package var intendedAt: UInt64 = 0
        package var beganAt: UInt64 = 0
        /// When its user noticed that it was to begin, and when there was a place for it.
        package var takenAt: UInt64 = 0
        package var ableAt: UInt64 = 0
        /// Attempts that came to nothing.
        package var attempts = 0
        /// Round trips that had to wait for each other so far.
        package var depth = 0
        /// Whether the request counts.
        package var isMeasured = false
        /// Whether it was sent before the server had told its stream limit.
        package var wasSentBlindly = false
        /// Which of the requests it is, of those that are sent in turn.
        package var turn = 0

        package init() {}
    }

    package override init() {
        notes = .allocate(capacity: 1)
        notes.initialize(to: Notes())
        super.init()
        sink = .nowhere
    }

    deinit { notes.deallocate() }

    /// The error that ended the request; nil where its response is whole.
    package var failure: H2Error? {
        guard case .failed(let error) = phase else { return nil }
        return error as? H2Error ?? H2Error(.streamReset, message: "\(error)")
    }

    /// The response's status; 0 before there is one.
    package var responseStatus: Int { status }
    /// When the response's head came; 0 before it has.
    package var headAt: UInt64 { firstByteAt }
    /// When the response's last byte came.
    package var endAt: UInt64 { lastByteAt }
    /// Bytes of the response's body so far.
    package var bodyBytes: Int { bodyReceived }
    package var identifier: Int { Int(id) }
    /// Whether anything at all was heard of the request.
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

/// What a connection's bytes were, and what it waited for.
package struct DirectFigures: Sendable {
    /// On the wire, TLS included.
    package var received = 0
    package var sent = 0
    /// Of HTTP.
    package var receivedHTTP = 0
    package var sentHTTP = 0
    /// Header sections as they came, and as names and values.
    package var headers = 0
    package var headersDecoded = 0
    /// Nanoseconds for which the socket took nothing.
    package var sendBlocked: UInt64 = 0
    /// Nanoseconds, summed over streams.
    package var stalls = WindowStalls()

    package init() {}
}
