import HTTPTypes

extension RequestFlow {
    /// Sends a hop with credentials, and once more after each challenge that can be answered.
    nonisolated(nonsending) func exchange(
        _ hop: Hop, _ attempts: Attempts, _ authentication: HTTPAuthentication, isNamedByCaller: Bool
    ) async throws -> StreamedResponse {
        let limits = WaitLimits(loop: client.pool.clock, timeout: options.timeout, calledAt: calledAt)
        let origin = try RequestTarget(of: hop.request).origin
        let authenticator = try await Authenticator.make(
            authentication, for: hop.request, to: origin, isNamedByCaller: isNamedByCaller, limits)
        guard var authenticator else { return try await exchange(hop, attempts) }
        var hop = hop
        while true {
            try await authenticator.authorize(&hop.request, body: hop.body, limits)
            let response = try await exchange(hop, attempts)
            let sent = response.exchange
            // A body that nobody has begun to read can be sent with another attempt.
            let canSendAgain = hop.body.isReplayable || sent.isBodyUntouched
            guard try authenticator.answer(response, canSendAgain: canSendAgain),
                hop.body.isReplayable || sent.takeBody()
            else { return response }
            // The rest of its body is dropped, so that an HTTP/1.1 connection can be reused.
            sent.discardBody()
            attempts.beginAnew()
        }
    }

    /// Whether a request goes to the origin of the caller's own URL, or the policy treats all origins the same.
    func isNamedByCaller(_ request: HTTPRequest, _ chain: RedirectChain) throws(H2Error) -> Bool {
        guard let first = chain.followed.first, !policy.sendsCredentialsElsewhere else { return true }
        return try RequestTarget(first.source).origin == RequestTarget(of: request).origin
    }
}
