import HTTPTypes

// The calls that the public connection types share, from any thread.

extension Connection {
    var executor: any TaskExecutor { loop.taskExecutor }

    /// `HTTP2Connection.send`.
    @inline(__always)
    nonisolated(nonsending) func send(
        _ request: HTTPRequest, body: RequestBody, options: RequestOptions, loan: Loan? = nil
    ) async throws -> Response {
        try await exchange(body, options, loan).perform(request, body)
    }

    /// The same in full duplex.
    nonisolated(nonsending) func send<R>(
        _ request: HTTPRequest, body: RequestBody, options: RequestOptions, loan: Loan? = nil,
        handlingResponse handle: nonisolated(nonsending) (Response) async throws -> R
    ) async throws -> R {
        try await exchange(body, options, loan).perform(request, body, handlingResponse: handle)
    }

    /// An exchange with the body's file opened.
    /// - Throws: `H2Error` (`localIO`, `timeout`), `CancellationError`.
    @inline(__always)
    private nonisolated(nonsending) func exchange(
        _ body: RequestBody, _ options: RequestOptions, _ loan: Loan?
    ) async throws -> Exchange {
        var (body, calledAt): (RequestBody, UInt64?) = (body, nil)
        if body.isUnopenedFile {
            let now = loop.preciseNow
            calledAt = now
            body = try await body.opened(on: loop, options, calledAt: now)
        }
        let exchange = try Exchange(connection: self, body: body, options: options, calledAt: calledAt)
        if let loan { exchange.begin(loan) }
        return exchange
    }

    /// `HTTP2Connection.withConnection`, once there is one: lets go of it after a return, and closes it after an error.
    nonisolated(nonsending) func use<R>(_ body: nonisolated(nonsending) () async throws -> R) async throws -> R {
        do {
            let result = try await body()
            await withUnsafeContinuation { continuation in
                loop.execute { self.letGo(completion: { continuation.resume() }) }
            }
            return result
        } catch {
            postCloseNow()
            throw error
        }
    }

    /// Returns when it is closed, which is when the accepted requests are over.
    nonisolated(nonsending) func close() async {
        await withUnsafeContinuation { continuation in
            loop.execute { self.close(completion: { continuation.resume() }) }
        }
    }

    func postCloseNow() { loop.execute { self.closeNow() } }
    /// Its user has dropped it.
    func postLetGo() { loop.execute { self.letGo() } }

    nonisolated(nonsending) func currentSnapshot() async -> ConnectionSnapshot { await loop.run { self.snapshot() } }
}
