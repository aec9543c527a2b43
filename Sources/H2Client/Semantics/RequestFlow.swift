import HTTPTypes

/// The path of one request around the pool: interceptors, then one hop per redirect, each with its attempts.
///
/// A request that needs none of this does not come here, unless its response is a redirect.
struct RequestFlow: Sendable {
    let client: HTTPClient
    /// With the client's defaults filled in.
    let options: RequestOptions
    /// In monotonic nanoseconds.
    let calledAt: UInt64

    /// A request to one URL. Its redirect is the next hop.
    struct Hop {
        var request: HTTPRequest
        var body: HTTPRequestBody
        /// The options. They include an origin only as long as the URL's origin is that of the first hop.
        var options: RequestOptions
    }

    // MARK: - Interceptors of the whole request

    nonisolated(nonsending) func send(_ request: HTTPRequest, _ body: HTTPRequestBody) async throws -> StreamedResponse
    {
        let interceptors = interceptors(.request)
        guard !interceptors.isEmpty else { return try await sendAlongRedirects(request, body) }
        let next = HTTPClient.Next(options: shown(options), attempt: 1, redirects: [], failedAttempts: []) {
            request, body in
            try await sendAlongRedirects(request, body)
        }
        return try await next.send(request, body, through: interceptors)
    }

    private func interceptors(_ scope: HTTPClient.Interceptor.Scope) -> ArraySlice<HTTPClient.Interceptor> {
        (client.configuration.interceptors + options.interceptors).filter { $0.scope == scope }[...]
    }

    /// The options with the limits that the connection itself enforces.
    private func shown(_ options: RequestOptions) -> RequestOptions {
        let defaults = client.configuration.requestOptions
        var options = options
        options.firstByteTimeout = options.firstByteTimeout ?? defaults.firstByteTimeout
        options.sendTimeout = options.sendTimeout ?? defaults.sendTimeout
        options.bodyProgressTimeout = options.bodyProgressTimeout ?? defaults.bodyProgressTimeout
        return options
    }

    // MARK: - Hops

    private nonisolated(nonsending) func sendAlongRedirects(
        _ request: HTTPRequest, _ body: HTTPRequestBody
    ) async throws -> StreamedResponse {
        let opened = try await body.opened(on: client.pool.clock, options, calledAt: calledAt)
        var hop = Hop(request: body.typed(request), body: opened, options: options)
        let attempts = Attempts(number: client.pool.nextRequestNumber())
        var chain = RedirectChain(policy, fragment: options.fragment)
        let response = try await send(&hop, attempts, &chain)
        return try await follow(response, of: hop, attempts, &chain)
    }

    /// Follows the redirects that start with this response to a request that was sent without a flow.
    nonisolated(nonsending) func follow(
        _ response: StreamedResponse, to request: HTTPRequest, _ body: HTTPRequestBody, _ attempts: Attempts?
    ) async throws -> StreamedResponse {
        guard policy.limit > 0 else { return response }
        var chain = RedirectChain(policy, fragment: options.fragment)
        try chain.visit(request)
        return try await follow(
            response, of: Hop(request: request, body: body, options: options),
            attempts ?? Attempts(number: response.exchange.number), &chain)
    }

    var policy: HTTPClient.RedirectPolicy { options.redirects ?? client.configuration.redirects }

    private nonisolated(nonsending) func follow(
        _ response: StreamedResponse, of hop: Hop, _ attempts: Attempts, _ chain: inout RedirectChain
    ) async throws -> StreamedResponse {
        var (response, hop) = (response, hop)
        while policy.limit > 0, RedirectChain.isRedirect(response.status) {
            guard
                var redirect = try chain.redirect(
                    response.status, response.headerFields, to: hop.request, client.configuration.strictTransport)
            else { break }
            removeReplacedCookies(from: &redirect.request, response)
            switch try await policy.decide?(redirect) ?? .follow {
            case .follow: break
            case .followWith(let request): redirect.request = request
            case .stop: return response
            }
            let body = try nextBody(after: redirect, hop, response.exchange)
            // The rest of its body is dropped, so that an HTTP/1.1 connection can be reused.
            response.exchange.discardBody()
            chain.follow(redirect)
            attempts.begin(redirect)
            client.pool.tell(
                .requestRedirected(redirect), origin: client.pool.origin(of: response.exchange),
                connection: response.exchange.connectionID, request: HTTPClient.RequestID(number: attempts.number))
            hop = Hop(request: redirect.request, body: body, options: options(for: redirect.request, hop))
            response = try await send(&hop, attempts, &chain)
        }
        return response
    }

    /// - Throws: `H2Error` (`redirectRefused`) if the body is needed again and is not available.
    private func nextBody(
        after redirect: HTTPClient.Redirect, _ hop: Hop, _ exchange: Exchange
    ) throws(H2Error) -> HTTPRequestBody {
        guard redirect.keepsBody else { return .empty }
        guard hop.body.isReplayable || exchange.takeBody() else {
            throw H2Error(
                .redirectRefused, initiator: .remote,
                message:
                    "\(redirect.source) redirects (\(redirect.status.code)) to \(redirect.target), which needs the body again",
                remedy: "give it a body that can be sent again (isReplayable), or send it there")
        }
        return hop.body
    }

    private func options(for next: HTTPRequest, _ hop: Hop) -> RequestOptions {
        guard hop.options.origin != nil else { return hop.options }
        guard next.scheme == hop.request.scheme, next.authority == hop.request.authority else {
            var options = hop.options
            options.origin = nil
            return options
        }
        return hop.options
    }

    private nonisolated(nonsending) func send(
        _ hop: inout Hop, _ attempts: Attempts, _ chain: inout RedirectChain
    ) async throws -> StreamedResponse {
        useTLSIfKnown(&hop)
        if policy.limit > 0 {
            var request = hop.request
            addCookies(to: &request, hop.options)
            try chain.visit(request)
        }
        if let authentication = options.authentication ?? client.configuration.authentication {
            let isNamedByCaller = try isNamedByCaller(hop.request, chain)
            return try await exchange(hop, attempts, authentication, isNamedByCaller: isNamedByCaller)
        }
        return try await exchange(hop, attempts)
    }

    /// Sends a request with the jar's cookies, and stores the parts of the response that matter to later ones.
    nonisolated(nonsending) func exchange(_ hop: Hop, _ attempts: Attempts) async throws -> StreamedResponse {
        var hop = hop
        addCookies(to: &hop.request, hop.options)
        let response = try await attempt(hop, attempts)
        client.remember(response, to: hop.request, hop.options)
        return response
    }

    // MARK: - Attempts

    private nonisolated(nonsending) func attempt(
        _ hop: Hop, _ attempts: Attempts
    ) async throws -> StreamedResponse {
        let interceptors = interceptors(.attempt)
        if let handler = client.handler {
            return try await answer(hop, attempts, handler, interceptors)
        }
        guard !interceptors.isEmpty else {
            if hop.options.hedging != nil {
                return try await client.retryingWithHedges(
                    hop.request, hop.body, hop.options, calledAt: calledAt, attempts)
            }
            var attempts: Attempts? = attempts
            return try await client.retrying(hop.request, hop.body, hop.options, calledAt: calledAt, &attempts)
        }
        var known: Attempts? = attempts
        while true {
            let attempt = InterceptedAttempt(self, hop.options, attempts)
            let response: StreamedResponse
            do {
                response = try await next(hop, attempts) { try await attempt.send($0, $1) }
                    .send(hop.request, hop.body, through: interceptors)
            } catch {
                // An interceptor's own error is final.
                guard case .failed(let request, let body, let exchange) = attempt.end() else { throw error }
                try await client.prepareRetry(of: request, body, exchange, error, &known)
                continue
            }
            guard case .answered(let request, let body, let exchange) = attempt.end(), exchange === response.exchange,
                try await !client.isFinal(response, to: request, body, exchange, &known)
            else {
                if response.isHedge { client.pool.countHedgeWon() }
                return response
            }
        }
    }

    private func next(
        _ hop: Hop, _ attempts: Attempts, _ function: @escaping HTTPClient.Next.Function
    ) -> HTTPClient.Next {
        HTTPClient.Next(
            options: shown(hop.options), attempt: attempts.sent + 1, redirects: attempts.redirects,
            failedAttempts: attempts.failed, function: function)
    }

    /// The handler's response in place of a server's.
    private nonisolated(nonsending) func answer(
        _ hop: Hop, _ attempts: Attempts, _ handler: @escaping HTTPClient.Handler,
        _ interceptors: ArraySlice<HTTPClient.Interceptor>
    ) async throws -> StreamedResponse {
        try Task.checkCancellation()
        let next = next(hop, attempts) { try await handler($0, $1) }
        let response = try await next.send(hop.request, hop.body, through: interceptors)
        attempts.sent += 1
        attempts.note(on: response.exchange)
        return response
    }
}

/// One attempt with interceptors around it.
///
/// Invariant behind `@unchecked Sendable`: `state` is accessed under `lock`. `attempts` is used by the call that sends
/// the attempt, and by its request's loop only after that call has ended, since the loop continues only then.
private final class InterceptedAttempt: @unchecked Sendable {
    enum State {
        case unsent
        case sending
        case answered(HTTPRequest, HTTPRequestBody, Exchange)
        case failed(HTTPRequest, HTTPRequestBody, Exchange)
        /// The attempt failed before there was a connection.
        case unconnected
        case over
    }

    private let flow: RequestFlow
    private let options: RequestOptions
    private let attempts: Attempts
    private let lock = PthreadLock()
    private var state = State.unsent

    init(_ flow: RequestFlow, _ options: RequestOptions, _ attempts: Attempts) {
        self.flow = flow
        self.options = options
        self.attempts = attempts
    }

    nonisolated(nonsending) func send(_ request: HTTPRequest, _ body: HTTPRequestBody) async throws -> StreamedResponse
    {
        let isFirst = lock.withLock {
            guard case .unsent = state else { return false }
            state = .sending
            return true
        }
        guard isFirst else {
            throw H2Error(
                .invalidRequest, initiator: .user,
                message: "an interceptor of attempts called next twice, or after it had returned",
                remedy: "send once for each attempt; an interceptor of requests may send more often")
        }
        do {
            let request = body.typed(request)
            let body = try await body.opened(on: flow.client.pool.clock, options, calledAt: flow.calledAt)
            var known: Attempts? = attempts
            let exchange = try await flow.client.lease(for: request, body, options, flow.calledAt, &known)
            if options.hedging != nil { return try await sendHedged(request, body, exchange) }
            do {
                let response = flow.client.decoding(
                    try await exchange.perform(request, body, checkingCancellation: false))
                become(.answered(request, body, exchange))
                return response
            } catch {
                become(.failed(request, body, exchange))
                throw error
            }
        } catch {
            lock.withLock { if case .sending = state { state = .unconnected } }
            throw error
        }
    }

    private nonisolated(nonsending) func sendHedged(
        _ request: HTTPRequest, _ body: HTTPRequestBody, _ first: Exchange
    ) async throws -> StreamedResponse {
        let (exchange, outcome) = await flow.client.perform(request, body, on: first, attempts)
        do {
            let response = try outcome.get()
            become(.answered(request, body, exchange))
            return response
        } catch {
            become(.failed(request, body, exchange))
            throw error
        }
    }

    private func become(_ next: State) {
        lock.withLock { if case .sending = state { state = next } }
    }

    /// Called when the interceptors have returned: nothing is sent any more.
    func end() -> State {
        lock.withLock {
            defer { state = .over }
            return state
        }
    }
}
