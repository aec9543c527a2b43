import HTTPTypes
import Synchronization

/// A request and its response: the stream as the protocol sees it, and the callers waiting for it.
///
/// Invariant behind `@unchecked Sendable`, and behind `@exclusivity(unchecked)`, since a check at each use costs a tenth of a
/// small request: everything here belongs to the connection's loop, except the following, each ordered by the continuation that
/// resumes the reader: what `init` sets; `headError`, `head`, `status`, `isWhole`, `isConnectionReused`, `codings` and `id`,
/// which are constant once the caller of `perform` was resumed; and, if `isWhole`, the figures, which are constant then, and the body,
/// which belongs to the reader that holds `claim`.
final class Exchange: StreamState, @unchecked Sendable {
    let connection: Connection
    @exclusivity(unchecked) private(set) var options: RequestOptions
    /// When `send` was called.
    let calledAt: UInt64

    /// The request while it waits for the loop or for a slot.
    @exclusivity(unchecked) private(set) var request: HTTPRequest?
    /// Whether the request is sent with `expect: 100-continue`. Set by `init`.
    @exclusivity(unchecked) private(set) var expectsContinue = false

    /// The caller that the next event resumes. Only one at a time: a response has one reader.
    enum Waiter {
        case none
        case head(UnsafeContinuation<Bool, Never>)
        case chunk(UnsafeContinuation<BodyStep, Never>)
        /// Wants the whole body, which is collected in the sink.
        case all(UnsafeContinuation<BodyStep, Never>)
        /// Wants only the end; the sink takes the bytes. `readBefore` counts those already read.
        case end(UnsafeContinuation<BodyStep, Never>, readBefore: Int)
        /// No caller: the body is read and dropped, until the timer fires.
        case nobody(LoopTimer)
    }

    /// The result for a reader of the body.
    enum BodyStep: Sendable {
        case chunk([UInt8])
        case end
        /// The end, with the number of bytes that the sink took.
        case drained(Int)
        case failed(any Error)
        /// Another reader has the body.
        case refused(H2Error)

        /// - Throws: the reason if the reader gets nothing.
        @inline(__always)
        func succeeded() throws -> BodyStep {
            switch self {
            case .chunk, .end, .drained: return self
            case .failed(let error): throw error
            case .refused(let error): throw error
            }
        }
    }

    /// Who may read the body. Readers on different threads may take turns; two at once would lose or share bytes.
    enum Claim: UInt8, AtomicRepresentable {
        /// No reader. To held, taken.
        case free
        /// One reader is active. To free, taken.
        case held
        /// One call has taken all of it.
        case taken
    }

    /// Changed by readers if `isWhole`, and only by the loop before that.
    let claim = Atomic<Claim>(.free)

    /// Whether a streamed body is claimed: by its writer, which is about to be called, or by a client that sends it with
    /// another exchange. The first to set it wins; it is never cleared.
    let bodyClaim = Atomic<Bool>(false)

    @exclusivity(unchecked) var waiter = Waiter.none
    @exclusivity(unchecked) var headError: (any Error)?
    /// The whole response had arrived when its head was delivered.
    @exclusivity(unchecked) var isWhole = false
    @exclusivity(unchecked) var isConnectionReused = false
    @exclusivity(unchecked) var isWaitingForSlot = false
    /// Whether the waiting task was asked to watch for its cancellation.
    @exclusivity(unchecked) var isWatched = false
    @exclusivity(unchecked) var hasReleasedSlot = false
    /// The owner's key for this request, reported to it at the end; 0 for none. Set before the start.
    @exclusivity(unchecked) var lease: UInt64 = 0
    /// The loan of the connection's holder that counts this request. Set before the start.
    @exclusivity(unchecked) var loan: Loan?
    /// The request's number in its client; 0 for none.
    @exclusivity(unchecked) var number = 0
    /// The history of a request that is not its caller's first; nil for most. Set before the start, or before a
    /// response without a server is returned.
    @exclusivity(unchecked) var history: RequestHistory?
    /// Why it is not retried. Set before its caller gets the response.
    @exclusivity(unchecked) var retryRefusal: RetryRefusal?
    /// When this attempt began, if it is not the first; 0 for `calledAt`. Set before the start.
    @exclusivity(unchecked) var attemptBeganAt: UInt64 = 0
    /// Nanoseconds that earlier attempts waited for a connection or stream. Set before the start.
    @exclusivity(unchecked) var queuedBefore: UInt64 = 0
    /// Whether the connection had answered a request before this one was sent, so it was alive then.
    @exclusivity(unchecked) private(set) var wasConnectionProven = false
    /// Whether it was sent before the server announced its stream limit, and exceeded it.
    @exclusivity(unchecked) private(set) var wasAboveLimit = false
    @exclusivity(unchecked) private var wasSentBlindly = false
    @exclusivity(unchecked) var submittedAt: UInt64 = 0

    /// State of a streamed body's writer.
    enum Writer {
        /// To cancelled, returned.
        case writing
        /// A write was cancelled: part of its chunk may have been sent, so the body can be neither continued nor ended. To
        /// returned.
        case cancelled
        /// Its closure has returned: nothing may follow.
        case returned
    }

    /// A streamed body being sent.
    struct Upload {
        var writer = Writer.writing
        /// Bytes the writer has handed over.
        var suppliedBytes = 0
        var writeWaiter: UnsafeContinuation<(any Error)?, Never>?
        /// Callers waiting for the end of the upload, and for its start.
        var endWaiter: UnsafeContinuation<Void, Never>?
        var beginWaiter: UnsafeContinuation<Bool, Never>?
        /// Whether the writer's closure has returned, or will not be called.
        var hasReturned = false
        /// The caller waiting for the writer.
        var returnWaiter: UnsafeContinuation<Void, Never>?
        /// The body while `expect: 100-continue` holds it back.
        var heldBody: Outgoing?
    }

    @exclusivity(unchecked) var upload = Upload()
    /// Runs the writer. Set by the caller before the start.
    @exclusivity(unchecked) var uploadTask: Task<Void, Never>?
    /// Waits until a piece of the response's body has been written to a descriptor.
    @exclusivity(unchecked) var outputWaiter: UnsafeContinuation<(any Error)?, Never>?
    /// Why writing the response's body was abandoned: its reader was cancelled, or we ended the exchange.
    @exclusivity(unchecked) var outputFailure: (any Error)?

    /// Body bytes that readers took before a drain began: a drain counts only its own.
    @exclusivity(unchecked) var bodyReadSoFar = 0

    /// Pieces of the decoded body that readers have taken: they may read for a long time without taking encoded bytes.
    let decodedPieces = Atomic<Int>(0)

    /// `readMark` at the last check for unread responses (-1 if it was being read), and since when it has had that value.
    @exclusivity(unchecked) private var readWhenLooked = -1
    @exclusivity(unchecked) private var unreadFrom: UInt64 = 0

    /// See `Exchange+Timers.swift`.
    struct Timers {
        var total: LoopTimer?
        var phase: LoopTimer?
        var awaitContinue: LoopTimer?
        var sending: LoopTimer?
        /// When the response's body last made progress.
        var progressAt: UInt64 = 0
        /// `bytesSent` when a timer last checked the progress of the request's body.
        var bytesSentBefore = 0
    }

    @exclusivity(unchecked) var timers = Timers()
    @exclusivity(unchecked) var lastCheck = LastCheck()

    var connectionID: ConnectionID { connection.info.id }
    var failedAttempts: [FailedAttempt] { history?.failedAttempts ?? [] }
    var redirects: [HTTPClient.Redirect] { history?.redirects ?? [] }

    /// Notes the origin of a request that a proxy forwards, for events. Called before the start.
    func noteTarget(_ origin: Origin) { options.origin = origin }

    /// - Parameter calledAt: when the request began, if earlier than now.
    /// - Throws: `H2Error` (`localIO`) if the body's file cannot be opened.
    init(connection: Connection, body: HTTPRequestBody, options: RequestOptions, calledAt: UInt64? = nil) throws {
        self.connection = connection
        self.options = options
        self.calledAt =
            calledAt ?? (connection.loopIdentity.isCurrent ? connection.loop.now : connection.loop.preciseNow)
        if case .none = body.content, body.trailers == nil {
            super.init()
            return
        }
        var outgoing = Outgoing.done
        var length: Int?
        switch body.content {
        case .none: break
        case .bytes(let bytes):
            length = bytes.count
            if !bytes.isEmpty { outgoing = .bytes(bytes, offset: 0) }
        case .file(let path, let range):
            let file = try BodyFile(path).part(range)
            length = file.length
            outgoing = .file(FileBody(file))
        case .multipart:
            throw H2Error(
                .localIO, initiator: .user, message: "the files of the form were not opened",
                remedy: "send it by a client")
        case .openFile(let file):
            length = file.length
            outgoing = .file(FileBody(file))
        case .stream(let known, _):
            length = known
            outgoing = .awaitingChunk
        }
        super.init()
        contentLength = length
        codings.body = body.coding
        outgoingTrailers = body.trailers
        self.outgoing = outgoing
        if options.expectContinue != nil && !isOutgoingDone {
            expectsContinue = true
            upload.heldBody = outgoing
            self.outgoing = .awaitingChunk
        }
    }

    // MARK: - Loop's side: start

    /// The request must wait for a slot.
    func waitForSlot(_ request: HTTPRequest) {
        self.request = request
        isWaitingForSlot = true
        startTotalTimer()
        if let limit = options.queueTimeout {
            // Time spent waiting for the connection, and in earlier attempts, counts.
            let used = queuedBefore.saturatingSum(sinceAttempt(connection.loop.now))
            startPhaseTimer(.queued, limit, after: limit.clampedNanoseconds - min(used, limit.clampedNanoseconds))
        }
        watchForCancellation()
    }

    /// A slot is free for the request.
    func openAfterWaiting() -> Bool {
        guard !isOver, let request else { return false }
        self.request = nil
        isWaitingForSlot = false
        stopPhaseTimer()
        return open(request)
    }

    /// Opens the stream. Returns false if the request cannot be sent.
    func open(_ request: HTTPRequest) -> Bool {
        submittedAt = connection.loop.now
        isConnectionReused = connection.requests > 0
        wasConnectionProven = connection.hasServed
        wasSentBlindly = !connection.knowsStreamLimit
        do {
            try connection.submit(self, request, expectsContinue: upload.heldBody != nil)
        } catch {
            // This comes first: the caller, told of the failure, may ask for another connection.
            connection.refused(error)
            fail(error)
            return false
        }
        if let stated = statedLength {
            // A fast writer may already have supplied some or all of it.
            var isShort = false
            if case .finished = upload.heldBody ?? outgoing { isShort = upload.suppliedBytes < stated }
            if isShort || upload.suppliedBytes > stated {
                fail(H2Error.bodyLength(upload.suppliedBytes, stated: stated, stream: id))
                return false
            }
        }
        resumeBeginner()
        if options.areDefaults { return true }
        startTotalTimer()
        if isOutgoingDone { awaitWritten() }
        if let limit = options.sendTimeout, !isOutgoingDone { startSendTimer(limit) }
        if let limit = options.expectContinue, upload.heldBody != nil { startContinueTimer(limit.clampedNanoseconds) }
        return true
    }

    /// Since when nobody has read the response although part of its body has arrived, judged by comparing two checks; nil if it
    /// is being read, however slowly, or if there is nothing to read.
    func unreadSince(now: UInt64) -> UInt64? {
        guard case .none = waiter, outputWaiter == nil, !isOver, !body.isEmpty, claim.load(ordering: .relaxed) == .free
        else {
            readWhenLooked = -1
            return nil
        }
        let readMark = bodyReadSoFar &+ decodedPieces.load(ordering: .relaxed)
        if readWhenLooked != readMark { (readWhenLooked, unreadFrom) = (readMark, now) }
        return unreadFrom
    }

    /// Wakes the waiting task to install a cancellation handler; it returns through `waitForHead`.
    func watchForCancellation() {
        guard !isWatched, case .head(let continuation) = waiter else { return }
        isWatched = true
        waiter = .none
        resume(continuation, isHeadHere: false)
    }

    /// The task is back, with a handler installed. Events in the meantime have waited for it.
    func waitForHead(_ continuation: UnsafeContinuation<Bool, Never>) {
        waiter = .head(continuation)
        progressed()
    }

    // MARK: - Loop's side: events

    override func progressed() {
        if !informational.isEmpty { deliverInformational() }
        switch phase {
        case .awaitingHead: return
        case .body: deliverHeadOrBody()
        case .ended:
            // The slot first: the reader, once resumed, may start the next request on another thread.
            connection.noteAnswer()
            finish()
            deliverHeadOrBody()
        case .failed(let error):
            if firstByteAt != 0 { connection.noteAnswer() }
            finish()
            // While the caller waits: once resumed, it reads this on its own thread.
            if wasSentBlindly, case .head = waiter { wasAboveLimit = Int(id) / 2 >= connection.maxConcurrentStreams }
            if case .head(let continuation) = waiter, firstByteAt != 0 {
                // The head and the failure arrived in one read. Deliver the head as if it had come alone and the failure to the
                // reader of the body, so that the result does not depend on how the bytes were split.
                waiter = .none
                resume(continuation, isHeadHere: true)
            }
            resumeAll(error)
        }
    }

    func deliverInformational() {
        let heads = informational
        informational = []
        for head in heads {
            if head.status == 100 { releaseBody() }
            if let listener = options.onInformational {
                listener(
                    HTTPResponse(
                        status: HTTPResponse.Status(
                            code: head.status, reasonPhrase: String(decoding: head.block.reasonPhrase, as: UTF8.self)),
                        headerFields: head.block.fields))
            }
        }
    }

    func deliverHeadOrBody() {
        switch waiter {
        case .none: break
        case .head(let continuation):
            waiter = .none
            stopPhaseTimer()
            connection.noteAnswer()
            if case .ended = phase, slot < 0 {
                // From here on the caller owns the memory. Not while the stream is open for the request's body: its frames
                // would still be counted.
                connection.consumed(self)
                isWhole = true
            }
            resume(continuation, isHeadHere: true)
        case .chunk(let continuation):
            timers.progressAt = connection.loop.now
            guard let step = takeChunk() else { return }
            waiter = .none
            stopPhaseTimer()
            resume(continuation, step)
        case .all(let continuation):
            guard reachedEnd() else { return }
            let all = body
            body = []
            claim.store(.taken, ordering: .relaxed)
            resume(continuation, .chunk(all))
        case .end(let continuation, let before):
            guard reachedEnd() else { return }
            resume(continuation, .drained(bodyReceived - before))
        case .nobody(let timer):
            guard case .ended = phase else { return }
            waiter = .none
            connection.loop.cancel(timer)
        }
    }

    /// Whether a waiter for the whole body can stop waiting because it is complete.
    private func reachedEnd() -> Bool {
        timers.progressAt = connection.loop.now
        guard case .ended = phase else { return false }
        waiter = .none
        stopPhaseTimer()
        return true
    }

    func resume(_ continuation: UnsafeContinuation<Bool, Never>, isHeadHere: Bool) {
        Handover.give(self)
        continuation.resume(returning: isHeadHere)
    }

    func resume(_ continuation: UnsafeContinuation<BodyStep, Never>, _ step: BodyStep) {
        Handover.give(self)
        continuation.resume(returning: step)
    }

    /// Takes what can be read: the buffered part, the end, or the failure; nil if the reader has to wait.
    func takeChunk() -> BodyStep? {
        if !body.isEmpty {
            let chunk = body
            body = []
            if !isWhole {
                bodyReadSoFar += chunk.count
                connection.consumed(self)
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

    /// Whether there is no other reader. Used on the loop, before the body is complete.
    var mayRead: Bool {
        guard case .none = waiter else { return false }
        return claim.load(ordering: .relaxed) != .held
    }

    func begin(_ newWaiter: Waiter) {
        waiter = newWaiter
        timers.progressAt = connection.loop.now
        // Reading may have opened a window.
        connection.markDirty()
        switch phase {
        case .failed(let error): resumeAll(error)
        default: deliverHeadOrBody()
        }
        if case .none = waiter { return }
        if let limit = options.bodyProgressTimeout { startPhaseTimer(.betweenBytes, limit) }
    }

    /// Ends the exchange from our side: resets the stream if it is open and tells the waiting callers.
    func fail(_ error: any Error) {
        guard !isOver else { return }
        // An earlier failure found by the session is the cause, and this one a consequence.
        let error: any Error = localFailure ?? error
        phase = .failed(error)
        request = nil
        connection.reset(self)
        connection.gaveUp(self)
        stopSending()
        connection.markDirty()
        if isWaitingForSlot {
            isWaitingForSlot = false
            connection.leftQueue()
        }
        finish()
        resumeAll(error)
        giveUpOutput(error)
    }

    /// The reader cannot take the available data. To the reader the body failed, even if the stream has ended well by now.
    func failReading(_ error: any Error) {
        if case .ended = phase { phase = .failed(error) } else { fail(error) }
    }

    func resumeAll(_ error: any Error) {
        let waiter = waiter
        self.waiter = .none
        switch waiter {
        case .none: break
        case .head(let continuation):
            headError = error
            resume(continuation, isHeadHere: true)
        case .chunk(let continuation):
            // Data that arrived before the failure still belongs to the reader, who gets the error with the next read.
            let isLast = error is CancellationError || body.isEmpty
            resume(continuation, isLast ? .failed(error) : takeChunk() ?? .failed(error))
        case .all(let continuation), .end(let continuation, _): resume(continuation, .failed(error))
        case .nobody(let timer): connection.loop.cancel(timer)
        }
        resumeWriter(error)
    }

    /// The exchange is over: cancels its timers. Once nghttp2 has closed the stream, its slot is free.
    func finish() {
        resumeBeginner()
        // Only options set timers, except that of a body read, which is stopped when its reader is resumed.
        if !options.areDefaults {
            for timer in [timers.total, timers.awaitContinue, timers.sending] {
                if let timer { connection.loop.cancel(timer) }
            }
            (timers.total, timers.awaitContinue, timers.sending) = (nil, nil, nil)
            stopPhaseTimer()
        }
        if slot < 0 && !hasReleasedSlot {
            hasReleasedSlot = true
            if id > 0 { connection.slotFreed() }
            if lease != 0 {
                connection.owner?.released(connection, self)
            } else if let loan {
                loan.ended(self)
            }
        }
    }

    override func wantsBody() {
        switch outgoing {
        case .done:
            awaitWritten()
            upload.heldBody = nil
            resumeBeginner()
            if upload.writeWaiter != nil { resumeWriter(uploadError()) }
            if let waiter = upload.endWaiter {
                upload.endWaiter = nil
                waiter.resume()
            }
        case .awaitingChunk: resumeWriter(nil)
        default: break
        }
    }

    override func load(_ file: FileBody) -> Bool {
        file.beginLoading()
        let status = connection.loop.runBlocking {
            let count = file.load()
            self.connection.loop.execute { self.loaded(file, count) }
        }
        // No thread is available: better to let the loop wait for the disk than the request forever.
        if status != 0 { file.loaded(file.load()) }
        return status != 0
    }

    // MARK: - Facts

    /// Identifies the request in its client; nil if it was sent without one.
    var requestID: HTTPClient.RequestID? { number == 0 ? nil : HTTPClient.RequestID(number: number) }

    /// The status, or the error if there is none.
    var outcome: Result<HTTPResponse.Status, any Error> {
        if case .failed(let error) = phase, firstByteAt == 0 { return .failure(error) }
        return .success(HTTPResponse.Status(code: status))
    }

    func currentTrailers() -> HTTPFields? {
        guard case .ended = phase, hasTrailers else { return nil }
        return trailers.fields
    }

    /// Time from the start of the attempt until a time of the loop.
    private func sinceAttempt(_ time: UInt64) -> UInt64 {
        let began = attemptBeganAt == 0 ? calledAt : attemptBeganAt
        return time > began ? time - began : 0
    }

    /// How long this attempt waited for a connection and a stream.
    var queuedNanoseconds: UInt64 { submittedAt == 0 ? 0 : sinceAttempt(submittedAt) }

    func currentRawTrailers() -> [RawField]? {
        guard case .ended = phase, hasTrailers else { return nil }
        return trailers.rawFields
    }

    func currentMetrics() -> ResponseMetrics {
        func sinceCall(_ time: UInt64) -> Duration? {
            time == 0 ? nil : Duration(nanoseconds: time > calledAt ? time - calledAt : 0)
        }
        let info = connection.knownInfo
        return ResponseMetrics(
            attemptStart: sinceCall(attemptBeganAt) ?? .zero, queued: Duration(nanoseconds: queuedNanoseconds),
            resolve: isConnectionReused ? nil : info.resolve,
            connect: isConnectionReused ? nil : info.connect,
            tls: isConnectionReused ? nil : info.tls,
            // A loop takes the time once an iteration, so its time may be shortly before that of the attempt's start.
            requestSent: sinceCall(sentAt == 0 ? 0 : max(sentAt, attemptBeganAt)) ?? .zero,
            firstByte: sinceCall(firstByteAt), lastByte: sinceCall(lastByteAt),
            bytesSent: bytesSent, bytesReceived: bytesReceived, bodyBytesReceived: bodyReceived)
    }
}

/// The history of a request, in one reference, so that requests without a history pay only for a nil.
final class RequestHistory: Sendable {
    /// Earlier attempts of the request.
    let failedAttempts: [FailedAttempt]
    /// The redirects that led to the request.
    let redirects: [HTTPClient.Redirect]
    /// Whether this is another copy of a request that is in progress (see `HTTPClient.HedgingPolicy`).
    let isHedge: Bool

    init(failedAttempts: [FailedAttempt], redirects: [HTTPClient.Redirect], isHedge: Bool = false) {
        self.failedAttempts = failedAttempts
        self.redirects = redirects
        self.isHedge = isHedge
    }

    /// The same history for another copy.
    static func hedge(of history: RequestHistory?) -> RequestHistory {
        RequestHistory(
            failedAttempts: history?.failedAttempts ?? [], redirects: history?.redirects ?? [], isHedge: true)
    }
}
