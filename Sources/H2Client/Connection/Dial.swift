/// What a new connection may come to speak.
package enum Speech: Sendable {
    /// What ALPN chooses of these, over TLS.
    case offer([String])
    /// In cleartext, by prior knowledge (RFC 9113 section 3.3).
    case http2
    /// In cleartext.
    case http1

    /// What ALPN offers, the best first; empty in cleartext.
    var protocols: [String] {
        if case .offer(let protocols) = self { protocols } else { [] }
    }

    /// ALPN decides here, and nowhere else, what is spoken. Closes the wire where that is nothing we speak.
    /// - Throws: `H2Error` (`http2NotNegotiated`, `tlsFailed`).
    func connection(
        over connected: Dialer.Connected, configuration: Configuration, loop: EventLoop
    ) throws(H2Error) -> Connection {
        let version: HTTPVersion
        let choice: String
        switch (self, connected.applicationProtocol) {
        case (.http2, _), (.offer, .chosen("h2")): (version, choice) = (.http2, "")
        case (.http1, _), (.offer, .chosen("http/1.1")): (version, choice) = (.http1, "")
        case (.offer(let protocols), .nothing) where protocols.contains("http/1.1"): (version, choice) = (.http1, "")
        case (.offer, .nothing), (.offer, .cleartext): (version, choice) = (.http2, "chose no protocol (no ALPN)")
        case (.offer, .chosen(let name)), (.offer, .unoffered(let name)):
            (version, choice) = (.http2, "chose '\(name)'")
        }
        guard choice.isEmpty else {
            connected.wire.close()
            throw H2Error(
                .http2NotNegotiated, scope: .connection, initiator: .remote,
                message: "\(connected.info.origin) does not speak HTTP/2: it \(choice)",
                remedy: "enable h2 on the server, or allow HTTP/1.1")
        }
        return Connection(
            version, over: connected.wire, info: connected.info, configuration: configuration, loop: loop)
    }
}

/// One call of `connect`, on its loop.
///
/// Invariant behind `@unchecked Sendable`: `start` and `cancel` run on the loop's thread, where all else is touched.
final class Dial: @unchecked Sendable {
    typealias Outcome = Result<Connection, any Error>

    private enum State {
        case created
        case cancelled
        /// Certificates are being read.
        case loading(limit: LoopTimer, UnsafeContinuation<Outcome, Never>)
        case dialing(Dialer, UnsafeContinuation<Outcome, Never>)
        case done
    }

    private let origin: Origin
    private let speech: Speech
    private let configuration: Configuration
    private let loop: EventLoop
    private var state = State.created

    private init(
        _ origin: Origin, _ speech: Speech, _ configuration: Configuration, _ loop: EventLoop
    ) {
        self.origin = origin
        self.speech = speech
        self.configuration = configuration
        self.loop = loop
    }

    /// A connection that is active. Cancelling leaves nothing open.
    /// - Throws: `H2Error`, as `HTTP2Connection.connect` says; `CancellationError`.
    static nonisolated(nonsending) func connect(
        to origin: Origin, speaking speech: Speech, configuration: Configuration, on loop: EventLoop
    ) async throws -> Connection {
        try Task.checkCancellation()
        try configuration.validate()
        let dial = Dial(origin, speech, configuration, loop)
        let result = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                loop.execute { dial.start(continuation) }
            }
        } onCancel: {
            loop.execute { dial.cancel() }
        }
        Handover.take(dial)
        return try result.get()
    }

    private func start(_ continuation: UnsafeContinuation<Outcome, Never>) {
        if case .cancelled = state { return continuation.resume(returning: .failure(CancellationError())) }
        guard origin.scheme == .https else { return dial(nil, continuation) }
        let limit = configuration.timeouts.tls
        state = .loading(
            limit: loop.schedule(after: limit.clampedNanoseconds) {
                self.fail(TLSContextSource.timeout(limit), continuation)
            },
            continuation)
        // A connection of one's own has no client that could keep it.
        TLSContextSource(configuration.tls).context(on: loop) { [self] result in
            guard case .loading(let timer, _) = state else { return }
            loop.cancel(timer)
            switch result {
            case .success(let tls): dial(tls, continuation)
            case .failure(let error): fail(error, continuation)
            }
        }
    }

    private func fail(_ error: H2Error, _ continuation: UnsafeContinuation<Outcome, Never>) {
        state = .done
        Handover.give(self)
        continuation.resume(returning: .failure(error))
    }

    private func dial(_ tls: TLSContext?, _ continuation: UnsafeContinuation<Outcome, Never>) {
        let dialer = Dialer(
            origin: origin, id: ConnectionID.next(), configuration: configuration, tls: tls,
            protocols: speech.protocols, loop: loop
        ) { [self] result in
            state = .done
            let outcome = Outcome { try establish(result.get()) }
            Handover.give(self)
            continuation.resume(returning: outcome)
        }
        state = .dialing(dialer, continuation)
        dialer.start()
    }

    private func cancel() {
        switch state {
        case .created: state = .cancelled
        case .dialing(let dialer, let continuation):
            state = .done
            dialer.cancel()
            continuation.resume(returning: .failure(CancellationError()))
        case .loading(let timer, let continuation):
            state = .done
            loop.cancel(timer)
            continuation.resume(returning: .failure(CancellationError()))
        case .cancelled, .done: break
        }
    }

    private func establish(_ connected: Dialer.Connected) throws(H2Error) -> Connection {
        let connection = try speech.connection(over: connected, configuration: configuration, loop: loop)
        connection.activate()
        return connection
    }
}
