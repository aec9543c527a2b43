import HTTPTypes
import Synchronization

// Streamed request bodies: the writer's side, from any thread, and the loop's side.

extension Exchange {
    typealias Pump = @Sendable (HTTPRequestBody.Writer) async throws -> Void

    // MARK: - Caller's side: the upload

    /// Sends the request and returns the response when its head arrives. The writer continues in the meantime.
    ///
    /// A server may respond while it reads, and may read on only as its response is consumed. So the upload belongs to the
    /// response's lifetime, not to this call, and the writer cannot be a child of the caller's task. This and the
    /// closure of `BearerTokens` are the only unstructured tasks in the library. Invariant: its exchange owns it. It is cancelled when the upload is over, and the
    /// upload ends no later than the exchange: when the response is complete, fails, times out, or is dropped. Its errors go to
    /// the caller waiting for the head, otherwise to the reader of the body.
    nonisolated(nonsending) func uploading(
        _ request: HTTPRequest, _ pump: @escaping Pump
    ) async throws -> StreamedResponse {
        // A child would inherit the caller's preferred executor; an unstructured task needs it explicitly.
        let executor = withUnsafeCurrentTask { $0?.unownedTaskExecutor?.asTaskExecutor() }
        uploadTask = Task(executorPreference: executor) {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await self.runWriter(pump) }
                await self.uploadEnd()
                group.cancelAll()
            }
        }
        return try await perform(request)
    }

    nonisolated(nonsending) func runWriter(_ pump: Pump) async {
        // A client may retry a request that has not begun or that a server refuses at its head, and then the writer must not
        // have been called.
        if lease != 0 {
            guard await untilBodyIsWanted(), takeBody() else {
                return await connection.loop.run { self.writerReturned() }
            }
        }
        do {
            try await pump(HTTPRequestBody.Writer(destination: .exchange(self)))
            // In a cancelled task many sequences end early without an error, so the rest of the body may be missing.
            await finishUpload(Task.isCancelled ? CancellationError() : nil)
        } catch {
            // If the response is already complete, this has no effect.
            await finishUpload(error)
        }
    }

    /// Hands over a chunk and waits until it is on its way.
    nonisolated(nonsending) func writeBody(_ chunk: [UInt8]) async throws {
        guard !chunk.isEmpty else { return }
        let error = await withTaskCancellationHandler {
            await withUnsafeContinuation { (continuation: UnsafeContinuation<(any Error)?, Never>) in
                if connection.loopIdentity.isCurrent {
                    supply(chunk, continuation)
                } else {
                    connection.loop.execute { self.supply(chunk, continuation) }
                }
            }
        } onCancel: {
            connection.loop.execute { self.cancelWriting() }
        }
        if let error { throw error }
    }

    /// Ends the body for its writer, whose closure goes on.
    nonisolated(nonsending) func endBody(trailers: HTTPFields?) async throws {
        try Task.checkCancellation()
        let error = await connection.loop.run { self.finishBody(trailers) }
        if let error { throw error }
    }

    /// Whether nobody has started to read a streamed body.
    var isBodyUntouched: Bool { !bodyClaim.load(ordering: .relaxed) }

    /// Claims a streamed body, from any thread: for its writer, or to send it with another exchange. Returns false if it is
    /// already claimed.
    func takeBody() -> Bool { !bodyClaim.exchange(true, ordering: .relaxed) }

    /// Waits until the request has begun and its body may be sent; returns false if that will never be the case. Cancelling
    /// fails the exchange, as it does once the writer writes.
    private nonisolated(nonsending) func untilBodyIsWanted() async -> Bool {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                connection.loop.execute {
                    self.upload.beginWaiter = continuation
                    self.resumeBeginner()
                    if case .cancelled = self.upload.writer { self.giveUpBeginning() }
                }
            }
        } onCancel: {
            connection.loop.execute {
                self.cancelWriting()
                self.giveUpBeginning()
            }
        }
    }

    /// The writer is done: without an `error` the body ends, otherwise the stream is reset.
    nonisolated(nonsending) func finishUpload(_ error: (any Error)?) async {
        await connection.loop.run {
            defer { self.writerReturned() }
            if case .returned = self.upload.writer {
                // `finish` ended the body, and its task is cancelled once all of it is sent: not a failure.
                if let error, !(error is CancellationError) { self.fail(error) }
                return
            }
            if let error { return self.fail(error) }
            self.finishBody()
        }
    }

    /// Waits until the writer's closure has returned, or it is known that it will not be called.
    nonisolated(nonsending) func writerEnd() async {
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            connection.loop.execute {
                if self.upload.hasReturned { continuation.resume() } else { self.upload.returnWaiter = continuation }
            }
        }
    }

    private func writerReturned() {
        upload.hasReturned = true
        upload.returnWaiter?.resume()
        upload.returnWaiter = nil
    }

    /// Waits until the body is sent or given up.
    private nonisolated(nonsending) func uploadEnd() async {
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            connection.loop.execute {
                if self.isOutgoingDone { continuation.resume() } else { self.upload.endWaiter = continuation }
            }
        }
    }

    // MARK: - Loop's side: the upload

    /// Checks whether the writer can stop waiting: the request has begun or failed, or its body was released.
    @inline(__always)
    func resumeBeginner() { if upload.beginWaiter != nil { resumeBeginnerNow() } }

    private func resumeBeginnerNow() {
        guard let waiter = upload.beginWaiter else { return }
        let isUnwanted = isOver || isOutgoingDone
        guard isUnwanted || (id > 0 && upload.heldBody == nil) else { return }
        upload.beginWaiter = nil
        // A body that was never held back belongs to the writer from the start, even if the end came first: the first write
        // reports it.
        waiter.resume(returning: id > 0 && (!expectsContinue || !isUnwanted))
    }

    /// The writer's task was cancelled before its turn came.
    private func giveUpBeginning() {
        guard upload.beginWaiter != nil else { return }
        fail(CancellationError())
        resumeBeginner()
    }

    /// 100 arrived, its time limit passed, or it is no longer needed.
    func releaseBody() {
        guard let held = upload.heldBody else { return }
        if let timer = timers.awaitContinue { connection.loop.cancel(timer) }
        timers.awaitContinue = nil
        upload.heldBody = nil
        guard !isOver, slot >= 0 else { return }
        if case .awaitingChunk = held { return resumeBeginner() }
        put(held)
    }

    func supply(_ chunk: [UInt8], _ continuation: UnsafeContinuation<(any Error)?, Never>) {
        guard upload.writeWaiter == nil else {
            return continuation.resume(returning: H2Error.secondWriter(self))
        }
        if case .returned = upload.writer {
            // The body was ended without this chunk: it must not look complete to anyone who can still be told.
            let error = H2Error.writeAfterEnd(self)
            fail(error)
            return continuation.resume(returning: error)
        }
        if let error = uploadError() {
            continuation.resume(returning: error)
            return
        }
        upload.writeWaiter = continuation
        if let limit = contentLength ?? statedLength, upload.suppliedBytes + chunk.count > limit {
            return fail(H2Error.bodyLength(upload.suppliedBytes + chunk.count, stated: limit, stream: id))
        }
        upload.suppliedBytes += chunk.count
        put(.chunk(chunk, offset: 0))
    }

    /// Sets the next part of the body, to be sent now or once the server has responded with 100.
    func put(_ next: Outgoing) {
        guard upload.heldBody == nil else {
            upload.heldBody = next
            return
        }
        outgoing = next
        if slot >= 0 { connection.resumeBody(self) }
    }

    func loaded(_ file: FileBody, _ count: Int) {
        file.loaded(count)
        guard slot >= 0, case .file(let current) = outgoing, current === file else { return }
        connection.resumeBody(self)
    }

    func uploadError() -> (any Error)? {
        if case .failed(let error) = phase { return error }
        if case .cancelled = upload.writer { return CancellationError() }
        if let localFailure { return localFailure }
        // The response is complete and the rest of the body is not needed.
        return isOutgoingDone ? CancellationError() : nil
    }

    /// The writer ends the body with `trailers`. Returns why that is impossible.
    private func finishBody(_ trailers: HTTPFields?) -> (any Error)? {
        if case .returned = upload.writer { return H2Error.endedTwice(self) }
        if let error = uploadError() { return error }
        if let trailers {
            if let error = refusal(of: trailers) {
                fail(error)
                return error
            }
            outgoingTrailers = trailers.isEmpty ? nil : trailers
        }
        finishBody()
        if case .failed(let error) = phase { return error }
        return nil
    }

    /// Why the body cannot end with these trailer fields, which were not known when the request's head was sent.
    private func refusal(of trailers: HTTPFields) -> H2Error? {
        for field in trailers where RequestRules.kind(field) != .regular {
            return RequestRules.invalid("the field '\(field.name)' cannot be a trailer field", "leave it out")
        }
        // RFC 9112 section 7.1.2: only chunked bodies have trailers, and the framing has been announced.
        let isChunked = outgoingTrailers != nil || (contentLength ?? statedLength) == nil
        guard connection.version == .http1, !isChunked, !trailers.isEmpty else { return nil }
        return RequestRules.invalid(
            "trailer fields after a body of known length cannot be sent over HTTP/1.1",
            "leave out the length, or give trailer fields when you create the body")
    }

    func finishBody() {
        let before = upload.writer
        upload.writer = .returned
        guard !isOver, !isOutgoingDone else { return }
        // A writer that ignores its task's cancellation must not make a partial body look complete.
        if case .cancelled = before { return fail(CancellationError()) }
        // Nor must one that lets another task write and does not wait for it.
        if upload.writeWaiter != nil { return fail(H2Error.writerReturnedEarly(self)) }
        if let stated = contentLength ?? statedLength, upload.suppliedBytes != stated {
            return fail(H2Error.bodyLength(upload.suppliedBytes, stated: stated, stream: id))
        }
        put(.finished)
    }

    /// A task that was cancelled before it wrote calls this ahead of `supply`, so `supply` checks the flag.
    func cancelWriting() {
        if case .writing = upload.writer { upload.writer = .cancelled }
        resumeWriter(CancellationError())
    }

    func resumeWriter(_ error: (any Error)?) {
        guard let waiter = upload.writeWaiter else { return }
        upload.writeWaiter = nil
        waiter.resume(returning: error)
    }
}
