import HTTPTypes

// What callers await, from any thread. Called on the loop's thread it touches the exchange at once, else by a hop.

extension Exchange {
    // MARK: - Caller's side: a request on one connection

    /// `HTTP2Connection.send`, on whatever connection.
    @inline(__always)
    static nonisolated(nonsending) func send(
        _ request: HTTPRequest, body: RequestBody, options: RequestOptions, on connection: ConnectionDriver
    ) async throws -> Response {
        let exchange = try Exchange(connection: connection, body: body, options: options)
        if case .stream(_, let pump) = body.content {
            return try await uploading(exchange, request, pump) { response in
                await exchange.uploadEnd()
                return response
            }
        }
        return try await exchange.perform(request)
    }

    /// The same in full duplex.
    static nonisolated(nonsending) func send<R>(
        _ request: HTTPRequest, body: RequestBody, options: RequestOptions, on connection: ConnectionDriver,
        handlingResponse handle: nonisolated(nonsending) (Response) async throws -> R
    ) async throws -> R {
        let exchange = try Exchange(connection: connection, body: body, options: options)
        if case .stream(_, let pump) = body.content {
            return try await uploading(exchange, request, pump, handle)
        }
        return try await handle(exchange.perform(request))
    }

    // MARK: - Caller's side: the head

    /// Sends the request and waits for the final response's head. Cancelling resets the stream (CANCEL).
    ///
    /// A cancellation handler costs a small request a tenth of its time: its operation is an async closure, and each
    /// await that something follows looks for the task's executor under a lock. So a request waits without one at first.
    /// If it is not answered within `ConnectionDriver.watchAfter`, or has to queue, the loop wakes it to install one;
    /// until then a cancellation waits for that.
    /// - Throws: `H2Error`, `CancellationError`.
    @inline(__always)
    nonisolated(nonsending) func perform(_ request: HTTPRequest) async throws -> Response {
        if Task.isCancelled {
            // The connection's owner waits for the end of what it has counted.
            if lease != 0 { connection.loop.execute { self.fail(CancellationError()) } }
            throw CancellationError()
        }
        let isHeadHere = await withUnsafeContinuation { (continuation: UnsafeContinuation<Bool, Never>) in
            // On the loop, not here: the writer of a streamed body runs beside this, and may fail the exchange by now.
            if connection.loopIdentity.isCurrent {
                waiter = .head(continuation)
                connection.start(self, request)
            } else {
                connection.loop.execute {
                    self.waiter = .head(continuation)
                    self.connection.start(self, request)
                }
            }
        }
        if !isHeadHere { await waitForHead() }
        Handover.take(self)
        if let headError { throw headError }
        return Response(
            status: HTTPResponse.Status(code: status),
            body: ResponseBody(exchange: self, guardian: isWhole ? nil : BodyGuardian(exchange: self)))
    }

    /// Waits for the head under a cancellation handler.
    nonisolated(nonsending) func waitForHead() async {
        await withTaskCancellationHandler {
            _ = await withUnsafeContinuation { (continuation: UnsafeContinuation<Bool, Never>) in
                if connection.loopIdentity.isCurrent {
                    waitForHead(continuation)
                } else {
                    connection.loop.execute { self.waitForHead(continuation) }
                }
            }
        } onCancel: {
            connection.loop.execute { self.fail(CancellationError()) }
        }
    }

    // MARK: - Caller's side: the body

    @inline(__always)
    nonisolated(nonsending) func readBody() async throws -> [UInt8]? {
        let step: BodyStep
        if isWhole {
            step = takeChunk() ?? .end
        } else if Task.isCancelled {
            connection.loop.execute { self.fail(CancellationError()) }
            throw CancellationError()
        } else if connection.loopIdentity.isCurrent, let ready = takeChunk() {
            step = ready
        } else {
            step = await wait { .chunk($0) }
        }
        return switch step {
        case .chunk(let bytes): bytes
        case .end: nil
        case .failed(let error): throw error
        }
    }

    @inline(__always)
    nonisolated(nonsending) func collectBody(upTo limit: Int) async throws -> [UInt8] {
        if isWhole {
            guard body.count <= limit else { throw bodyTooLarge(limit) }
            defer { body = [] }
            return body
        }
        let step = await wait {
            guard self.mayBegin else { return .end($0) }
            self.sink = .collect(limit: limit)
            if self.body.count > limit { self.failReading(self.bodyTooLarge(limit)) }
            self.connection.consumed(self, self.unread)
            return .end($0)
        }
        if case .failed(let error) = step { throw error }
        // The stream has ended: nothing on the loop touches the body any more.
        defer { body = [] }
        return body
    }

    @inline(__always)
    nonisolated(nonsending) func drainBody(to destination: Destination) async throws -> Int {
        if isWhole {
            defer { body = [] }
            let count = body.count
            if case .descriptor(let descriptor) = destination { try writeOut(descriptor) }
            return count
        }
        let before = bodyReadSoFar
        let step = await wait {
            guard self.mayBegin else { return .end($0) }
            switch destination {
            case .nowhere: self.sink = .nowhere
            case .descriptor(let descriptor):
                self.sink = .descriptor(descriptor)
                do { try self.writeOut(descriptor) } catch { self.failReading(error) }
            }
            self.connection.consumed(self, self.unread)
            self.body = []
            return .end($0)
        }
        if case .failed(let error) = step { throw error }
        return bodyReceived - before
    }

    func writeOut(_ descriptor: CInt) throws {
        let status = body.withUnsafeBytes { writeFully(descriptor, $0) }
        if status != 0 { throw H2Error.cannotWrite(status, stream: self) }
    }

    /// Waits, on the loop, for what `makeWaiter` names. Cancelling resets the stream.
    nonisolated(nonsending) func wait(
        _ makeWaiter: @escaping (UnsafeContinuation<BodyStep, Never>) -> Waiter
    ) async -> BodyStep {
        let step = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let begin = LoopBound { self.begin(makeWaiter(continuation)) }
                if connection.loopIdentity.isCurrent {
                    begin.value()
                } else {
                    connection.loop.execute { begin.value() }
                }
            }
        } onCancel: {
            connection.loop.execute { self.fail(CancellationError()) }
        }
        Handover.take(self)
        return step
    }

    nonisolated(nonsending) func metrics() async -> ResponseMetrics {
        if isWhole { return currentMetrics() }
        return await connection.loop.run { self.currentMetrics() }
    }

    nonisolated(nonsending) func trailerFields() async -> HTTPFields? {
        if isWhole { return currentTrailers() }
        return await connection.loop.run { self.currentTrailers() }
    }

    nonisolated(nonsending) func rawTrailerFields() async -> [RawField]? {
        if isWhole { return currentRawTrailers() }
        return await connection.loop.run { self.currentRawTrailers() }
    }

    /// The last copy of the body was dropped. From any thread.
    func abandonBody() {
        connection.loop.execute {
            if self.isOver {
                self.connection.dropUnread(self)
            } else if case .nobody = self.waiter {
                // It is being read to its end.
            } else {
                self.dropBody()
            }
        }
    }

    private func dropBody() {
        fail(
            H2Error(
                .streamReset, scope: .stream(id), initiator: .user, cause: .http2(.cancel, debugText: ""),
                message: "the response's body was dropped before its end"))
    }

    /// What a response that is not wanted may have left when it is read to its end, and for how long: 16 KiB, 1 s.
    private static let discardLimit = (bytes: 16 << 10, nanoseconds: UInt64(1_000_000_000))

    /// The response will not be read: what comes of its body is dropped as it comes, as long as that is little and comes soon;
    /// else the stream is reset. Nobody waits for it. From any thread.
    func discardBody() {
        guard !isWhole else { return }
        connection.loop.execute {
            guard !self.isOver, self.mayBegin else { return }
            let limit = Self.discardLimit
            guard self.body.count <= limit.bytes else { return self.dropBody() }
            self.sink = .collect(limit: limit.bytes)
            self.connection.consumed(self, self.unread)
            self.connection.markDirty()
            self.waiter = .nobody(
                self.connection.loop.schedule(after: limit.nanoseconds) { self.dropBody() })
        }
    }
}
