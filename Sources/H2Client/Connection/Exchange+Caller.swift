import HTTPTypes
import Synchronization

// What callers await, from any thread. Called on the loop's thread it touches the exchange at once, else by a hop.

extension Exchange {
    // MARK: - Caller's side: the head

    /// Sends the request and waits for the final response's head. The writer of a streamed body goes on beside the response.
    /// - Parameter checkingCancellation: false for a caller that has just looked whether it is cancelled.
    @inline(__always)
    nonisolated(nonsending) func perform(
        _ request: HTTPRequest, _ body: RequestBody, checkingCancellation: Bool = true
    ) async throws -> Response {
        if case .stream(_, let pump) = body.content { return try await uploading(request, pump) }
        return checkingCancellation ? try await perform(request) : try await performUnchecked(request)
    }

    /// The same in full duplex: the writer of a streamed body has ended when this returns.
    nonisolated(nonsending) func perform<R>(
        _ request: HTTPRequest, _ body: RequestBody,
        handlingResponse handle: nonisolated(nonsending) (Response) async throws -> R
    ) async throws -> R {
        guard case .stream(_, let pump) = body.content else { return try await handle(perform(request)) }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await self.runWriter(pump) }
            defer { group.cancelAll() }
            return try await handle(self.perform(request))
        }
    }

    /// Sends the request and waits for the final response's head. Cancelling resets the stream (CANCEL).
    ///
    /// A cancellation handler costs a small request a tenth of its time: its operation is an async closure, and each
    /// await that something follows looks for the task's executor under a lock. So a request waits without one at first.
    /// If it is not answered within `Connection.watchAfter`, or has to queue, the loop wakes it to install one;
    /// until then a cancellation waits for that.
    /// - Throws: `H2Error`, `CancellationError`.
    @inline(__always)
    nonisolated(nonsending) func perform(_ request: HTTPRequest) async throws -> Response {
        try checkCancellation()
        return try await performUnchecked(request)
    }

    /// Fails the exchange if its caller has been cancelled.
    func checkCancellation() throws {
        guard Task.isCancelled else { return }
        // The connection's owner, or its holder, waits for the end of what it has counted, and the writer for that of its
        // upload.
        connection.loop.execute { self.fail(CancellationError()) }
        throw CancellationError()
    }

    /// As `perform`, for a caller that has just looked whether it is cancelled.
    @inline(__always)
    nonisolated(nonsending) func performUnchecked(_ request: HTTPRequest) async throws -> Response {
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
            step = try takeWholeChunk()
        } else if Task.isCancelled {
            connection.loop.execute { self.fail(CancellationError()) }
            throw CancellationError()
        } else if connection.loopIdentity.isCurrent, mayRead, let ready = takeChunk() {
            step = ready
        } else {
            step = await wait {
                guard self.mayRead else { return $0.resume(returning: .refused(H2Error.secondReader(self))) }
                self.begin(.chunk($0))
            }
        }
        if case .chunk(let bytes) = try step.succeeded() { return bytes }
        return nil
    }

    @inline(__always)
    nonisolated(nonsending) func collectBody(upTo limit: Int) async throws -> [UInt8] {
        if isWhole { return try takeWholeBody(upTo: limit) }
        let step = await wait {
            if let refusal = self.refusalToTakeAll { return $0.resume(returning: .refused(refusal)) }
            self.sink = .collect(limit: limit)
            if self.body.count > limit { self.failReading(self.bodyTooLarge(limit)) }
            self.connection.consumed(self)
            self.begin(.all($0))
        }
        if case .chunk(let bytes) = try step.succeeded() { return bytes }
        return []
    }

    /// Reads to the end and throws the bytes away; their number.
    @inline(__always)
    nonisolated(nonsending) func drainBody() async throws -> Int {
        if isWhole {
            guard case .chunk(let all) = try takeWholeChunk() else { return 0 }
            return all.count
        }
        let step = await wait {
            guard self.mayRead else { return $0.resume(returning: .refused(H2Error.secondReader(self))) }
            self.sink = .nowhere
            self.connection.consumed(self)
            self.body = []
            self.begin(.end($0, readBefore: self.bodyReadSoFar))
        }
        if case .drained(let count) = try step.succeeded() { return count }
        return 0
    }

    /// Writes the rest of the body, a piece after another as they come; the number of bytes.
    nonisolated(nonsending) func writeBody(with writer: DescriptorWriter) async throws -> Int {
        if isWhole {
            let all = try takeWholeBody(upTo: .max)
            if !all.isEmpty { try await writeOut(all, [], with: writer) }
            return all.count
        }
        var step = await wait {
            if let refusal = self.refusalToTakeAll { return $0.resume(returning: .refused(refusal)) }
            self.claim.store(.held, ordering: .relaxed)
            self.begin(.chunk($0))
        }
        if case .refused(let error) = step { throw error }
        // From here on the body is this call's, also while it writes and waits for nothing on the loop.
        defer { claim.store(.taken, ordering: .relaxed) }
        var count = 0
        while case .chunk(let bytes) = step {
            // More has come since the loop resumed this call, up to a turn's share: one hand-over to a thread takes all of it.
            var more: [UInt8] = []
            if connection.loopIdentity.isCurrent, case .chunk(let next)? = takeChunk() { more = next }
            try await writeOut(bytes, more, with: writer)
            count += bytes.count + more.count
            step = await wait { self.begin(.chunk($0)) }
        }
        if case .failed(let error) = step { throw error }
        return count
    }

    /// Waits until both are written. Cancelling, and the exchange's own end by us, end the wait at once.
    private nonisolated(nonsending) func writeOut(
        _ bytes: [UInt8], _ more: [UInt8], with writer: DescriptorWriter
    ) async throws {
        let error = await withTaskCancellationHandler {
            await withUnsafeContinuation { (continuation: UnsafeContinuation<(any Error)?, Never>) in
                connection.loop.execute { self.beginOutput(bytes, more, writer, continuation) }
            }
        } onCancel: {
            connection.loop.execute {
                self.fail(CancellationError())
                self.giveUpOutput(CancellationError())
            }
        }
        if let error {
            writer.abandon()
            throw error
        }
    }

    private func beginOutput(
        _ bytes: [UInt8], _ more: [UInt8], _ writer: DescriptorWriter,
        _ continuation: UnsafeContinuation<(any Error)?, Never>
    ) {
        if let outputFailure { return continuation.resume(returning: outputFailure) }
        outputWaiter = continuation
        let status = connection.loop.runBlocking {
            let status = writer.write(bytes, more)
            self.connection.loop.execute { self.endOutput(status) }
        }
        if status != 0 { endOutput(status) }
    }

    private func endOutput(_ status: CInt) {
        guard outputWaiter != nil else { return }
        if status == 0 { return resumeOutput(nil) }
        let error = H2Error.cannotWrite(status, stream: self)
        // Over for its reader, with this error, also where its stream has ended well.
        if !isWhole { failReading(error) }
        resumeOutput(error)
    }

    func giveUpOutput(_ error: any Error) {
        outputFailure = error
        resumeOutput(error)
    }

    func resumeOutput(_ error: (any Error)?) {
        guard let waiter = outputWaiter else { return }
        outputWaiter = nil
        waiter.resume(returning: error)
    }

    // MARK: - Caller's side: the body of a whole response, under its claim

    /// What is there of a whole response's body; its end where there is nothing (more).
    @inline(__always)
    private func takeWholeChunk() throws -> BodyStep {
        let (isMine, claimed) = claim.compareExchange(expected: .free, desired: .held, ordering: .acquiring)
        guard isMine else {
            if claimed == .held { throw H2Error.secondReader(self) }
            return .end
        }
        defer { claim.store(.free, ordering: .releasing) }
        return takeChunk() ?? .end
    }

    /// All of a whole response's body, which one caller gets.
    @inline(__always)
    private func takeWholeBody(upTo limit: Int) throws -> [UInt8] {
        let (isMine, claimed) = claim.compareExchange(expected: .free, desired: .held, ordering: .acquiring)
        guard isMine else { throw H2Error.secondReader(self, isOver: claimed == .taken) }
        if case .failed(let error) = phase {
            claim.store(.free, ordering: .releasing)
            throw error
        }
        guard body.count <= limit else {
            claim.store(.free, ordering: .releasing)
            throw bodyTooLarge(limit)
        }
        let all = body
        body = []
        claim.store(.taken, ordering: .releasing)
        return all
    }

    /// Why a call must not have the whole body: another reads, or has had it. On the loop, before the body is whole.
    private var refusalToTakeAll: H2Error? {
        guard mayRead else { return H2Error.secondReader(self) }
        return claim.load(ordering: .relaxed) == .taken ? H2Error.secondReader(self, isOver: true) : nil
    }

    /// Waits for what `body` begins on the loop, or resumes. Cancelling resets the stream.
    nonisolated(nonsending) func wait(
        _ body: @escaping (UnsafeContinuation<BodyStep, Never>) -> Void
    ) async -> BodyStep {
        let step = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let begin = LoopBound { body(continuation) }
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

    /// Facts of the exchange, which do not change any more where it is whole.
    nonisolated(nonsending) func facts<R: Sendable>(_ facts: @escaping @Sendable (Exchange) -> R) async -> R {
        if isWhole { return facts(self) }
        return await connection.loop.run { facts(self) }
    }

    /// The last copy of the body was dropped. From any thread.
    func abandonBody() {
        connection.loop.execute {
            if self.isOver {
                self.connection.session.dropUnread(self)
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
            guard !self.isOver, self.mayRead else { return }
            let limit = Self.discardLimit
            // What is still being sent is not wanted either.
            guard self.body.count <= limit.bytes, self.isOutgoingDone else { return self.dropBody() }
            self.sink = .collect(limit: limit.bytes)
            self.connection.consumed(self)
            self.connection.markDirty()
            self.waiter = .nobody(
                self.connection.loop.schedule(after: limit.nanoseconds) { self.dropBody() })
        }
    }
}
