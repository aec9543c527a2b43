import HTTPTypes

/// One request and its response: the stream as the protocol sees it, and whoever waits for it.
///
/// Invariant behind `@unchecked Sendable`: everything here belongs to the connection's loop, with these exceptions, each
/// ordered by the continuation that resumes the reader: what `init` sets; `headError`, `head`, `status`, `isWhole`,
/// `isConnectionReused` and `id`, which do not change once the caller of `perform` was resumed; and, where `isWhole`, the
/// body and the figures as well, which belong to the response's reader from then on.
final class Exchange: StreamState, @unchecked Sendable {
    let connection: HTTP2Multiplexer
    let options: RequestOptions
    let contentLength: Int?
    /// When `send` was called.
    let calledAt: UInt64

    /// The request while it waits for the loop or for a slot.
    @exclusivity(unchecked) private(set) var request: HTTPRequest?
    /// The body while `expect: 100-continue` holds it back.
    @exclusivity(unchecked) private var heldBody: Outgoing?

    /// Whom the next event resumes. One at a time: a response has one reader.
    private enum Waiter {
        case none
        case head(UnsafeContinuation<Bool, Never>)
        case chunk(UnsafeContinuation<BodyStep, Never>)
        /// Wants the end only; the sink takes the bytes.
        case end(UnsafeContinuation<BodyStep, Never>)
    }

    /// What a reader of the body is told.
    enum BodyStep: Sendable {
        case chunk([UInt8])
        case end
        case failed(any Error)
    }

    enum Destination { case descriptor(CInt), nowhere }

    @exclusivity(unchecked) private var waiter = Waiter.none
    @exclusivity(unchecked) private var headError: (any Error)?
    /// The whole response had arrived when its head was delivered.
    @exclusivity(unchecked) private(set) var isWhole = false
    @exclusivity(unchecked) private(set) var isConnectionReused = false
    @exclusivity(unchecked) private var isWaitingForSlot = false
    /// Whether the waiting task was asked to watch for its cancellation.
    @exclusivity(unchecked) private var isWatched = false
    @exclusivity(unchecked) private var hasReleasedSlot = false
    @exclusivity(unchecked) private var submittedAt: UInt64 = 0

    /// A write was cancelled: part of its chunk may be sent, so the body can be neither continued nor ended.
    @exclusivity(unchecked) private var isWritingCancelled = false
    @exclusivity(unchecked) private var writeWaiter: UnsafeContinuation<(any Error)?, Never>?
    @exclusivity(unchecked) private var uploadWaiter: UnsafeContinuation<Void, Never>?

    @exclusivity(unchecked) private var totalTimer: LoopTimer?
    @exclusivity(unchecked) private var phaseTimer: LoopTimer?
    @exclusivity(unchecked) private var continueTimer: LoopTimer?
    @exclusivity(unchecked) private var progressAt: UInt64 = 0

    var connectionID: ConnectionID { connection.info.id }

    /// - Throws: `H2Error` (`localIO`) where the body's file cannot be opened.
    init(connection: HTTP2Multiplexer, body: RequestBody, options: RequestOptions) throws {
        self.connection = connection
        self.options = options
        calledAt = connection.loopIdentity.isCurrent ? connection.loop.now : connection.loop.preciseNow
        if case .none = body.content, body.trailers == nil {
            contentLength = nil
            super.init()
            return
        }
        var outgoing = Outgoing.done
        switch body.content {
        case .none: contentLength = nil
        case .bytes(let bytes):
            contentLength = bytes.count
            if !bytes.isEmpty { outgoing = .bytes(bytes, offset: 0) }
        case .file(let path):
            let (descriptor, length) = try openBodyFile(path)
            contentLength = length
            outgoing = .file(descriptor: descriptor, offset: 0, remaining: length)
        case .stream(let length, _):
            contentLength = length
            outgoing = .awaitingChunk
        }
        super.init()
        outgoingTrailers = body.trailers
        if options.expectContinue != nil, case .done = outgoing {
        } else if options.expectContinue != nil {
            heldBody = outgoing
            outgoing = .awaitingChunk
        }
        self.outgoing = outgoing
    }

    deinit { dropHeldBody() }

    // MARK: - Caller's side: the head

    /// Sends the request and waits for the final response's head. Cancelling resets the stream (CANCEL).
    ///
    /// A cancellation handler costs a small request a tenth of its time: its operation is an async closure, and each
    /// await that something follows looks for the task's executor under a lock. So a request waits without one at first.
    /// If it is not answered within `HTTP2Multiplexer.watchAfter`, or has to queue, the loop wakes it to install one;
    /// until then a cancellation waits for that.
    /// - Throws: `H2Error`, `CancellationError`.
    @inline(__always)
    nonisolated(nonsending) func perform(_ request: HTTPRequest) async throws -> Response {
        if Task.isCancelled { throw CancellationError() }
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
        if let headError { throw headError }
        return Response(
            status: HTTPResponse.Status(code: status),
            body: ResponseBody(exchange: self, guardian: isWhole ? nil : BodyGuardian(exchange: self)))
    }

    /// Waits for the head under a cancellation handler.
    private nonisolated(nonsending) func waitForHead() async {
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
            self.connection.session.consumed(self, self.unread)
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
            self.connection.session.consumed(self, self.unread)
            self.body = []
            return .end($0)
        }
        if case .failed(let error) = step { throw error }
        return bodyReceived - before
    }

    /// Body bytes that readers took before a drain began: a drain counts its own alone.
    @exclusivity(unchecked) private var bodyReadSoFar = 0

    private func writeOut(_ descriptor: CInt) throws {
        let status = body.withUnsafeBytes { writeFully(descriptor, $0) }
        if status != 0 { throw H2Error.cannotWrite(status, stream: id) }
    }

    /// Waits, on the loop, for what `makeWaiter` names. Cancelling resets the stream.
    private nonisolated(nonsending) func wait(
        _ makeWaiter: @escaping (UnsafeContinuation<BodyStep, Never>) -> Waiter
    ) async -> BodyStep {
        await withTaskCancellationHandler {
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
    }

    nonisolated(nonsending) func metrics() async -> ResponseMetrics {
        if isWhole { return currentMetrics() }
        return await connection.loop.run { self.currentMetrics() }
    }

    nonisolated(nonsending) func trailerFields() async -> HTTPFields? {
        if isWhole { return currentTrailers() }
        return await connection.loop.run { self.currentTrailers() }
    }

    /// The last copy of the body was dropped. From any thread.
    func abandonBody() {
        connection.loop.execute {
            if self.isOver {
                self.connection.session.dropUnread(self)
            } else {
                self.fail(
                    H2Error(
                        .streamReset, scope: .stream(self.id), initiator: .user,
                        cause: .http2(.cancel, debugText: ""),
                        message: "the response's body was dropped before its end"))
            }
        }
    }

    // MARK: - Caller's side: the upload

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

    /// The writer is done: `error` nil ends the body, else the stream is reset.
    nonisolated(nonsending) func finishUpload(_ error: (any Error)?) async {
        await connection.loop.run {
            if let error { return self.fail(error) }
            self.finishBody()
        }
    }

    /// Waits until the body is sent, or will not be. Cancelling resets the stream, of which the body's reader is told.
    nonisolated(nonsending) func uploadEnd() async {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                connection.loop.execute {
                    if self.isOutgoingDone { continuation.resume() } else { self.uploadWaiter = continuation }
                }
            }
        } onCancel: {
            connection.loop.execute { self.fail(CancellationError()) }
        }
    }

    // MARK: - Loop's side: start
    // Timers hold the exchange until `finish` cancels them, which every exchange comes to.

    /// The request has to wait for a slot.
    func waitForSlot(_ request: HTTPRequest) {
        self.request = request
        isWaitingForSlot = true
        startTotalTimer()
        if let limit = options.queueTimeout { startPhaseTimer(.queued, limit) }
        watchForCancellation()
    }

    /// The request's turn has come.
    func openAfterWaiting() -> Bool {
        guard !isOver, let request else { return false }
        self.request = nil
        isWaitingForSlot = false
        stopPhaseTimer()
        return open(request)
    }

    /// Opens the stream. False where the request cannot be sent.
    func open(_ request: HTTPRequest) -> Bool {
        let session = connection.session
        submittedAt = connection.loop.now
        isConnectionReused = session.requests > 0
        do {
            try session.submit(
                self, request, contentLength: contentLength, expectsContinue: heldBody != nil,
                priority: options.priority)
        } catch {
            fail(error)
            return false
        }
        if let stated = statedLength {
            // A writer that was quick has supplied some, or all, already.
            var isShort = false
            if case .finished = outgoing { isShort = suppliedBytes < stated }
            if isShort || suppliedBytes > stated {
                fail(H2Error.bodyLength(suppliedBytes, stated: stated, stream: id))
                return false
            }
        }
        if options.areDefaults { return true }
        startTotalTimer()
        if let limit = options.firstByteTimeout { startPhaseTimer(.firstByte, limit) }
        if let limit = options.expectContinue, heldBody != nil {
            continueTimer = connection.loop.schedule(after: limit.clampedNanoseconds) {
                self.releaseBody()
            }
        }
        return true
    }

    private func startTotalTimer() {
        guard let limit = options.timeout, totalTimer == nil else { return }
        // The turn's time is older than the call where that came from another thread while the loop was in its turn.
        let now = connection.loop.now
        let passed = now > calledAt ? now - calledAt : 0
        let left = limit.clampedNanoseconds &- min(passed, limit.clampedNanoseconds)
        totalTimer = connection.loop.schedule(after: left) {
            self.timedOut(.wholeRequest, limit)
        }
    }

    private func startPhaseTimer(_ phase: H2Error.Phase, _ limit: Duration) {
        stopPhaseTimer()
        phaseTimer = connection.loop.schedule(after: limit.clampedNanoseconds) {
            self.timedOut(phase, limit)
        }
    }

    private func stopPhaseTimer() {
        if let phaseTimer { connection.loop.cancel(phaseTimer) }
        phaseTimer = nil
    }

    private func timedOut(_ phase: H2Error.Phase, _ limit: Duration) {
        if phase == .betweenBytes {
            // The timer is not moved for each piece that arrives; it looks when the last one came.
            let quiet = connection.loop.now &- progressAt
            if quiet < limit.clampedNanoseconds {
                phaseTimer = connection.loop.schedule(after: limit.clampedNanoseconds - quiet) {
                    self.timedOut(phase, limit)
                }
                return
            }
        }
        fail(H2Error.timeout(phase, limit, stream: id))
    }

    /// Wakes the waiting task to install a cancellation handler; it comes back by `waitForHead`.
    func watchForCancellation() {
        guard !isWatched, case .head(let continuation) = waiter else { return }
        isWatched = true
        waiter = .none
        continuation.resume(returning: false)
    }

    /// The task is back, under a handler. What happened meanwhile has waited for it.
    private func waitForHead(_ continuation: UnsafeContinuation<Bool, Never>) {
        waiter = .head(continuation)
        progressed()
    }

    // MARK: - Loop's side: events

    override func progressed() {
        if !informational.isEmpty { deliverInformational() }
        switch phase {
        case .awaitingHead: return
        case .body, .ended: deliverHeadOrBody()
        case .failed(let error):
            if case .head(let continuation) = waiter, firstByteAt != 0 {
                // The head came with the failure in one read. It is delivered as if it had come alone, and the failure
                // meets the reader of the body, so that what a caller sees does not depend on how bytes were cut.
                waiter = .none
                continuation.resume(returning: true)
            }
            resumeAll(error)
        }
        if isOver { finish() }
    }

    private func deliverInformational() {
        let heads = informational
        informational = []
        for head in heads {
            if head.status == 100 { releaseBody() }
            if let listener = options.onInformational {
                listener(
                    HTTPResponse(status: HTTPResponse.Status(code: head.status), headerFields: head.block.fields))
            }
        }
    }

    private func deliverHeadOrBody() {
        switch waiter {
        case .none: break
        case .head(let continuation):
            waiter = .none
            stopPhaseTimer()
            if case .ended = phase, slot < 0 {
                // The memory is the caller's from here on. Not while the stream is open for the request's body: frames
                // of it would still be counted.
                connection.session.consumed(self, unread)
                isWhole = true
            }
            continuation.resume(returning: true)
        case .chunk(let continuation):
            progressAt = connection.loop.now
            guard let step = takeChunk() else { return }
            waiter = .none
            stopPhaseTimer()
            continuation.resume(returning: step)
        case .end(let continuation):
            progressAt = connection.loop.now
            guard case .ended = phase else { return }
            waiter = .none
            stopPhaseTimer()
            continuation.resume(returning: .end)
        }
    }

    /// What is there to read: all of it, the end, the failure; nil where a reader has to wait.
    private func takeChunk() -> BodyStep? {
        if !body.isEmpty {
            let chunk = body
            body = []
            if !isWhole {
                bodyReadSoFar += chunk.count
                connection.session.consumed(self, unread)
                connection.markDirty()
            }
            return .chunk(chunk)
        }
        return switch phase {
        case .ended: .end
        case .failed(let error): .failed(error)
        case .awaitingHead, .body: nil
        }
    }

    /// False while another reader waits.
    private var mayBegin: Bool { if case .none = waiter { true } else { false } }

    private func begin(_ newWaiter: Waiter) {
        if !mayBegin {
            switch newWaiter {
            case .chunk(let second), .end(let second):
                return second.resume(returning: .failed(H2Error.secondReader(id)))
            case .none, .head: break
            }
        }
        waiter = newWaiter
        progressAt = connection.loop.now
        // What was read may have opened a window.
        connection.markDirty()
        switch phase {
        case .failed(let error): resumeAll(error)
        default: deliverHeadOrBody()
        }
        if case .none = waiter { return }
        if let limit = options.bodyProgressTimeout { startPhaseTimer(.betweenBytes, limit) }
    }

    /// Ends the exchange from our side: resets the stream if it is open and tells whoever waits.
    func fail(_ error: any Error) {
        guard !isOver else { return }
        // What the session has found already is the reason, and this one of its consequences.
        let error: any Error = localFailure ?? error
        phase = .failed(error)
        request = nil
        connection.session.reset(self, .cancel)
        stopSending()
        connection.markDirty()
        if isWaitingForSlot {
            isWaitingForSlot = false
            connection.leftQueue()
        }
        resumeAll(error)
        finish()
    }

    /// The reader cannot take what is there. The stream may have ended well meanwhile: for its reader it has not.
    private func failReading(_ error: any Error) {
        if case .ended = phase { phase = .failed(error) } else { fail(error) }
    }

    private func resumeAll(_ error: any Error) {
        let waiter = waiter
        self.waiter = .none
        switch waiter {
        case .none: break
        case .head(let continuation):
            headError = error
            continuation.resume(returning: true)
        case .chunk(let continuation), .end(let continuation): continuation.resume(returning: .failed(error))
        }
        resumeWriter(error)
    }

    /// The exchange is over: timers go, and once nghttp2 has let go of the stream its slot is another's.
    private func finish() {
        // Only options set timers, but for that of a body read, which a reader's waking stops.
        if !options.areDefaults {
            if let totalTimer { connection.loop.cancel(totalTimer) }
            if let continueTimer { connection.loop.cancel(continueTimer) }
            (totalTimer, continueTimer) = (nil, nil)
            stopPhaseTimer()
        }
        if slot < 0 && id > 0 && !hasReleasedSlot {
            hasReleasedSlot = true
            connection.slotFreed()
        }
    }

    // MARK: - Loop's side: the upload

    /// 100 came, or was waited for long enough, or is no longer needed.
    private func releaseBody() {
        guard let held = heldBody else { return }
        if let continueTimer { connection.loop.cancel(continueTimer) }
        continueTimer = nil
        guard !isOver, slot >= 0 else { return dropHeldBody() }
        heldBody = nil
        if case .awaitingChunk = held { return }
        put(held)
    }

    /// Closes the file of a body that was held back and is not wanted any more.
    private func dropHeldBody() {
        if case .file(let descriptor, _, _)? = heldBody { closeDescriptor(descriptor) }
        heldBody = nil
    }

    private func supply(_ chunk: [UInt8], _ continuation: UnsafeContinuation<(any Error)?, Never>) {
        precondition(writeWaiter == nil, "one write at a time")
        if let error = uploadError() {
            continuation.resume(returning: error)
            return
        }
        writeWaiter = continuation
        if let limit = contentLength ?? statedLength, suppliedBytes + chunk.count > limit {
            return fail(H2Error.bodyLength(suppliedBytes + chunk.count, stated: limit, stream: id))
        }
        suppliedBytes += chunk.count
        put(.chunk(chunk, offset: 0))
    }

    /// The next part of the body, to be sent now, or once the server has said 100.
    private func put(_ next: Outgoing) {
        guard heldBody == nil else {
            heldBody = next
            return
        }
        outgoing = next
        if slot >= 0 {
            connection.session.resumeBody(self)
            connection.markDirty()
        }
    }

    @exclusivity(unchecked) private var suppliedBytes = 0

    private func uploadError() -> (any Error)? {
        if case .failed(let error) = phase { return error }
        if isWritingCancelled { return CancellationError() }
        if let localFailure { return localFailure }
        // The response is whole and the rest is unwanted.
        return isOutgoingDone ? CancellationError() : nil
    }

    private func finishBody() {
        guard !isOver, !isOutgoingDone else { return }
        // A writer that passes over the cancellation of its task must not make a part of a body look like the whole.
        if isWritingCancelled { return fail(CancellationError()) }
        if let stated = contentLength ?? statedLength, suppliedBytes != stated {
            return fail(H2Error.bodyLength(suppliedBytes, stated: stated, stream: id))
        }
        put(.finished)
    }

    override func wantsBody() {
        switch outgoing {
        case .done:
            dropHeldBody()
            if writeWaiter != nil { resumeWriter(uploadError()) }
            if let uploadWaiter {
                self.uploadWaiter = nil
                uploadWaiter.resume()
            }
        case .awaitingChunk: resumeWriter(nil)
        default: break
        }
    }

    /// A task that was cancelled before it wrote calls this ahead of `supply`, which therefore looks at the flag.
    private func cancelWriting() {
        isWritingCancelled = true
        resumeWriter(CancellationError())
    }

    private func resumeWriter(_ error: (any Error)?) {
        guard let waiter = writeWaiter else { return }
        writeWaiter = nil
        waiter.resume(returning: error)
    }

    // MARK: - Facts

    private func currentTrailers() -> HTTPFields? {
        guard case .ended = phase, hasTrailers else { return nil }
        return trailers.fields
    }

    private func currentMetrics() -> ResponseMetrics {
        func sinceCall(_ time: UInt64) -> Duration? {
            time == 0 ? nil : Duration(nanoseconds: time > calledAt ? time - calledAt : 0)
        }
        let info = connection.info
        return ResponseMetrics(
            queued: sinceCall(submittedAt) ?? .zero,
            resolve: isConnectionReused ? nil : info.resolve,
            connect: isConnectionReused ? nil : info.connect,
            tls: isConnectionReused ? nil : info.tls,
            requestSent: sinceCall(sentAt) ?? .zero,
            firstByte: sinceCall(firstByteAt), lastByte: sinceCall(lastByteAt),
            bytesSent: bytesSent, bytesReceived: bytesReceived, bodyBytesReceived: bodyReceived)
    }
}

extension H2Error {
    static func timeout(_ phase: Phase, _ limit: Duration, stream: Int32) -> H2Error {
        let (what, remedy) =
            switch phase {
            case .queued:
                ("the request waited longer than \(limit) for a stream", "allow more time or send fewer at once")
            case .firstByte: ("no response came within \(limit)", "the server is slow; allow more time")
            case .betweenBytes: ("the response's body made no progress for \(limit)", "the server or the way stalled")
            default: ("the request took longer than \(limit)", "allow more time")
            }
        return H2Error(
            .timeout, scope: .stream(stream), cause: .timeout(phase, after: limit), message: what, remedy: remedy,
            isRetryable: phase == .queued)
    }

    static func bodyLength(_ count: Int, stated: Int, stream: Int32) -> H2Error {
        H2Error(
            .invalidRequest, scope: .stream(stream), initiator: .user,
            message:
                "the request's body has \(count)\(count > stated ? " or more" : "") bytes, not \(stated) as stated",
            remedy: "state the right length, or none")
    }

    static func secondReader(_ stream: Int32) -> H2Error {
        H2Error(
            .invalidRequest, scope: .stream(stream), initiator: .user,
            message: "stream \(stream): the response's body is being read already",
            remedy: "one reader at a time")
    }

    static func cannotWrite(_ status: CInt, stream: Int32) -> H2Error {
        H2Error(
            .localIO, scope: .stream(stream), initiator: .user, cause: .errno(status),
            message: "cannot write the body: \(describeErrno(status))", remedy: "is there room and right to write?")
    }
}
