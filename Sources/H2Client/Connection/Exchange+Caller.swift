import HTTPTypes
import Synchronization

// Methods that callers await, from any thread. On the loop's thread they access the exchange directly, otherwise by a hop.

extension Exchange {
    // MARK: - Caller's side: the head

    /// Sends the request and waits for the final response head. The writer of a streamed body continues in parallel.
    /// - Parameter checkingCancellation: false if the caller has just checked for cancellation.
    @inline(__always)
    nonisolated(nonsending) func perform(
        _ request: HTTPRequest, _ body: HTTPRequestBody, checkingCancellation: Bool = true
    ) async throws -> StreamedResponse {
        if case .stream(_, let pump) = body.content { return try await uploading(request, pump) }
        return checkingCancellation ? try await perform(request) : try await performUnchecked(request)
    }

    /// Runs `body`, then ends a streamed request body and waits until its writer has returned. Cancelling cancels the writer as
    /// well.
    /// - Throws: The errors of `body`.
    nonisolated(nonsending) func endingWriter<R>(_ body: nonisolated(nonsending) () async throws -> R) async throws -> R
    {
        guard let uploadTask else { return try await body() }
        let result: Result<R, any Error>
        do {
            result = .success(
                try await withTaskCancellationHandler {
                    try await body()
                } onCancel: {
                    connection.loop.execute { uploadTask.cancel() }
                })
        } catch {
            result = .failure(error)
        }
        uploadTask.cancel()
        await writerEnd()
        return try result.get()
    }

    /// Sends the request and waits for the final response head. Cancelling resets the stream (CANCEL).
    ///
    /// A cancellation handler costs a small request a tenth of its time: its operation is an async closure, and every await but
    /// the last looks up the task's executor under a lock. So a request first waits without one. If it is not answered within
    /// `Connection.watchAfter`, or has to queue, the loop wakes it to install one; a cancellation before that takes effect
    /// then.
    /// - Throws: `H2Error`, `CancellationError`.
    @inline(__always)
    nonisolated(nonsending) func perform(_ request: HTTPRequest) async throws -> StreamedResponse {
        try checkCancellation()
        return try await performUnchecked(request)
    }

    /// Fails the exchange if its caller was cancelled.
    func checkCancellation() throws {
        guard Task.isCancelled else { return }
        // The connection's owner or holder waits for the end of the requests it counted, and the writer for the end of its
        // upload.
        connection.loop.execute { self.fail(CancellationError()) }
        throw CancellationError()
    }

    /// Like `perform`, for a caller that has just checked for cancellation.
    @inline(__always)
    nonisolated(nonsending) func performUnchecked(_ request: HTTPRequest) async throws -> StreamedResponse {
        let isHeadHere = await withUnsafeContinuation { (continuation: UnsafeContinuation<Bool, Never>) in
            // On the loop, not here: the writer of a streamed body runs in parallel and may have failed the exchange by now.
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
        return StreamedResponse(
            status: HTTPResponse.Status(code: status),
            body: HTTPResponseBody(exchange: self, guardian: isWhole ? nil : BodyGuardian(exchange: self)))
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

    /// Reads to the end and discards the bytes. Returns their number.
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

    /// Writes the rest of the body piece by piece as it arrives. Returns the number of bytes.
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
        // From here on this call owns the body, even while it writes and is not waiting on the loop.
        defer { claim.store(.taken, ordering: .relaxed) }
        var count = 0
        while case .chunk(let bytes) = step {
            // More may have arrived since the loop resumed this call, up to a turn's share: one handover to a thread takes all
            // of it.
            var more: [UInt8] = []
            if connection.loopIdentity.isCurrent, case .chunk(let next)? = takeChunk() { more = next }
            try await writeOut(bytes, more, with: writer)
            count += bytes.count + more.count
            step = await wait { self.begin(.chunk($0)) }
        }
        if case .failed(let error) = step { throw error }
        return count
    }

    /// Waits until both are written. Cancelling, or ending the exchange from our side, ends the wait at once.
    nonisolated(nonsending) func writeOut(
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
        // Its reader sees this error even if the stream ended well.
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

    /// Takes the available part of a complete response's body; the end if there is nothing (more).
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

    /// Takes all of a complete response's body. Only one caller gets it.
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

    /// Why a call cannot have the whole body: another is reading it or has read it. Used on the loop, before the body is
    /// complete.
    private var refusalToTakeAll: H2Error? {
        guard mayRead else { return H2Error.secondReader(self) }
        return claim.load(ordering: .relaxed) == .taken ? H2Error.secondReader(self, isOver: true) : nil
    }

    /// Waits for what `body` starts or resumes on the loop. Cancelling resets the stream.
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

    /// Facts of the exchange, which are constant once it is complete.
    nonisolated(nonsending) func facts<R: Sendable>(_ facts: @escaping @Sendable (Exchange) -> R) async -> R {
        if isWhole { return facts(self) }
        return await connection.loop.run { facts(self) }
    }

    /// The last copy of the body was dropped. Called from any thread.
    func abandonBody() {
        connection.loop.execute {
            if self.isOver {
                self.connection.session.dropUnread(self)
            } else if case .nobody = self.waiter {
                // It is being read to the end.
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

    /// Limits on the rest of an unwanted response that is read to the end: 16 KiB and 1 s.
    private static let discardLimit = (bytes: 16 << 10, nanoseconds: UInt64(1_000_000_000))

    /// The response will not be read: the rest of its body is dropped as it arrives if it is short and comes soon; otherwise
    /// the stream is reset. Nothing waits for this. Called from any thread.
    func discardBody() {
        guard !isWhole else { return }
        connection.loop.execute {
            guard !self.isOver, self.mayRead else { return }
            let limit = Self.discardLimit
            // The rest of the request is not needed either.
            guard self.body.count <= limit.bytes, self.isOutgoingDone else { return self.dropBody() }
            self.sink = .collect(limit: limit.bytes)
            self.connection.consumed(self)
            self.connection.markDirty()
            self.waiter = .nobody(
                self.connection.loop.schedule(after: limit.nanoseconds) { self.dropBody() })
        }
    }
}
