import HTTPTypes
import Synchronization

// A streamed request body: the writer's side, from any thread, and the loop's.

extension Exchange {
    typealias Pump = @Sendable (RequestBodyWriter) async throws -> Void

    // MARK: - Caller's side: the upload

    /// Sends the request and returns the response as soon as its head is there. The writer goes on meanwhile.
    ///
    /// A server may answer while it reads, and read on only as its answer is taken. So the upload is part of the response's
    /// life rather than of this call's, and the writer cannot be a child of the caller's task. This is the one task of the
    /// library that has no parent. Invariant: its exchange owns it. It is cancelled when the upload is over, and the upload
    /// ends at the latest with the exchange: when the response is whole, fails, times out, or is dropped. Its errors reach
    /// whoever waits for the head, or else the reader of the body.
    nonisolated(nonsending) func uploading(_ request: HTTPRequest, _ pump: @escaping Pump) async throws -> Response {
        // A child would inherit the executor that the caller's task prefers; a task without a parent has to be told.
        let executor = withUnsafeCurrentTask { $0?.unownedTaskExecutor?.asTaskExecutor() }
        Task(executorPreference: executor) {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await self.runWriter(pump) }
                await self.uploadEnd()
                group.cancelAll()
            }
        }
        return try await perform(request)
    }

    nonisolated(nonsending) func runWriter(_ pump: Pump) async {
        // A client may send again what has not begun, or what a server refuses at its head, and then the writer must not have
        // been called.
        if lease != 0 {
            guard await untilBodyIsWanted(), takeBody() else { return }
        }
        do {
            try await pump(RequestBodyWriter(exchange: self))
            // Many sequences end early, and without an error, in a task that is cancelled: the body may lack its rest.
            try Task.checkCancellation()
            await finishUpload(nil)
        } catch {
            // Where the response is complete already, this changes nothing.
            await finishUpload(error)
        }
    }

    /// Hands a chunk over and waits until it is on its way.
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

    /// Whether nobody has begun to read a streamed body.
    var isBodyUntouched: Bool { !bodyClaim.load(ordering: .relaxed) }

    /// Takes a streamed body, from any thread: for its writer, or to be sent with another exchange. False where the other one
    /// has it.
    func takeBody() -> Bool { !bodyClaim.exchange(true, ordering: .relaxed) }

    /// Waits until the request has begun and nothing holds its body back; false where that will never be. Cancelling fails the
    /// exchange, as it does once the writer writes.
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

    /// The writer is done: `error` nil ends the body, else the stream is reset.
    nonisolated(nonsending) func finishUpload(_ error: (any Error)?) async {
        await connection.loop.run {
            if let error { return self.fail(error) }
            self.finishBody()
        }
    }

    /// Waits until the body is sent, or will not be.
    private nonisolated(nonsending) func uploadEnd() async {
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            connection.loop.execute {
                if self.isOutgoingDone { continuation.resume() } else { self.upload.endWaiter = continuation }
            }
        }
    }

    // MARK: - Loop's side: the upload

    /// Something has changed that the writer waits for: the request has begun, or never will, or its body was released.
    @inline(__always)
    func resumeBeginner() { if upload.beginWaiter != nil { resumeBeginnerNow() } }

    private func resumeBeginnerNow() {
        guard let waiter = upload.beginWaiter else { return }
        let isUnwanted = isOver || isOutgoingDone
        guard isUnwanted || (id > 0 && upload.heldBody == nil) else { return }
        upload.beginWaiter = nil
        // What was never held back is the writer's from the beginning, also where the end came first: its first write says so.
        waiter.resume(returning: id > 0 && (!expectsContinue || !isUnwanted))
    }

    /// The writer's task was cancelled before its turn came.
    private func giveUpBeginning() {
        guard upload.beginWaiter != nil else { return }
        fail(CancellationError())
        resumeBeginner()
    }

    /// 100 came, or was waited for long enough, or is no longer needed.
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
            // The body has been ended without this chunk: it must not look whole to anybody who can still be told.
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

    /// The next part of the body, to be sent now, or once the server has said 100.
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
        // The response is whole and the rest is unwanted.
        return isOutgoingDone ? CancellationError() : nil
    }

    func finishBody() {
        let before = upload.writer
        upload.writer = .returned
        guard !isOver, !isOutgoingDone else { return }
        // A writer that passes over the cancellation of its task must not make a part of a body look like the whole.
        if case .cancelled = before { return fail(CancellationError()) }
        // Nor must one that lets another task write, and does not wait for it.
        if upload.writeWaiter != nil { return fail(H2Error.writerReturnedEarly(self)) }
        if let stated = contentLength ?? statedLength, upload.suppliedBytes != stated {
            return fail(H2Error.bodyLength(upload.suppliedBytes, stated: stated, stream: id))
        }
        put(.finished)
    }

    /// A task that was cancelled before it wrote calls this ahead of `supply`, which therefore looks at the flag.
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
