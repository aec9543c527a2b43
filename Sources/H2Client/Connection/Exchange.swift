import HTTPTypes
import Synchronization

/// One request and its response: the stream as the protocol sees it, and whoever waits for it.
///
/// Invariant behind `@unchecked Sendable`, and behind `@exclusivity(unchecked)`, since a check at each use costs a tenth of a
/// small request: everything here belongs to the connection's loop, with these exceptions, each
/// ordered by the continuation that resumes the reader: what `init` sets; `headError`, `head`, `status`, `isWhole`,
/// `isConnectionReused` and `id`, which do not change once the caller of `perform` was resumed; and, where `isWhole`, the
/// figures, which do not change any more, and the body, which belongs to whichever reader holds `claim`.
final class Exchange: StreamState, @unchecked Sendable {
    let connection: Connection
    let options: RequestOptions
    /// When `send` was called.
    let calledAt: UInt64

    /// The request while it waits for the loop or for a slot.
    @exclusivity(unchecked) private(set) var request: HTTPRequest?
    /// Whether the request goes out with that. Set by `init`.
    @exclusivity(unchecked) private(set) var expectsContinue = false

    /// Whom the next event resumes. One at a time: a response has one reader.
    enum Waiter {
        case none
        case head(UnsafeContinuation<Bool, Never>)
        case chunk(UnsafeContinuation<BodyStep, Never>)
        /// Wants the whole body, which gathers in the sink.
        case all(UnsafeContinuation<BodyStep, Never>)
        /// Wants the end only; the sink takes the bytes. So many had been read before.
        case end(UnsafeContinuation<BodyStep, Never>, readBefore: Int)
        /// Nobody: the body is read and dropped, until the timer fires.
        case nobody(LoopTimer)
    }

    /// What a reader of the body is told.
    enum BodyStep: Sendable {
        case chunk([UInt8])
        case end
        /// The end, and how many bytes the sink took until then.
        case drained(Int)
        case failed(any Error)
        /// Another reader has the body.
        case refused(H2Error)

        /// - Throws: why the reader gets nothing.
        @inline(__always)
        func succeeded() throws -> BodyStep {
            switch self {
            case .chunk, .end, .drained: return self
            case .failed(let error): throw error
            case .refused(let error): throw error
            }
        }
    }

    /// Who may read the body. Readers may follow each other on any threads; two at once would lose or share bytes.
    enum Claim: UInt8, AtomicRepresentable {
        /// Nobody reads. Can go to held, taken.
        case free
        /// One reader is at it. Can go to free, taken.
        case held
        /// One call has had all of it.
        case taken
    }

    /// Changed by readers where `isWhole`, and by the loop alone before that.
    let claim = Atomic<Claim>(.free)

    /// Who has a streamed body: its writer, which is about to be called, or a client that sends it with another exchange.
    /// The first one to set it; it stays so.
    let bodyClaim = Atomic<Bool>(false)

    @exclusivity(unchecked) var waiter = Waiter.none
    @exclusivity(unchecked) var headError: (any Error)?
    /// The whole response had arrived when its head was delivered.
    @exclusivity(unchecked) private(set) var isWhole = false
    @exclusivity(unchecked) private(set) var isConnectionReused = false
    @exclusivity(unchecked) var isWaitingForSlot = false
    /// Whether the waiting task was asked to watch for its cancellation.
    @exclusivity(unchecked) var isWatched = false
    @exclusivity(unchecked) var hasReleasedSlot = false
    /// What the connection's owner counts it by, and wants to be told of at its end; 0 for none. Set before it starts.
    @exclusivity(unchecked) var lease: UInt64 = 0
    /// Whoever holds the connection, and has this request of theirs counted. Set before it starts.
    @exclusivity(unchecked) var loan: Loan?
    /// What the request is known by in its client's events; 0 for nothing.
    @exclusivity(unchecked) var number = 0
    /// What the request has been through before this attempt. Set before it starts.
    @exclusivity(unchecked) var failedAttempts: [FailedAttempt] = []
    /// Why it is not sent again. Set before its caller gets the response.
    @exclusivity(unchecked) var retryRefusal: RetryRefusal?
    /// When this attempt began, where there were others before; 0 for `calledAt`. Set before it starts.
    @exclusivity(unchecked) var attemptBeganAt: UInt64 = 0
    /// Nanoseconds that the attempts before waited for a connection or stream. Set before it starts.
    @exclusivity(unchecked) var queuedBefore: UInt64 = 0
    /// The connection had answered a request before this one was sent: it was alive then.
    @exclusivity(unchecked) private(set) var wasConnectionProven = false
    /// It was sent before the server had told its stream limit, and turned out to be above that.
    @exclusivity(unchecked) private(set) var wasAboveLimit = false
    @exclusivity(unchecked) private var wasSentBlindly = false
    @exclusivity(unchecked) var submittedAt: UInt64 = 0

    /// Where a streamed body's writer stands.
    enum Writer {
        /// Can go to cancelled, returned.
        case writing
        /// A write was cancelled: part of its chunk may be sent, so the body can be neither continued nor ended. Can go to
        /// returned.
        case cancelled
        /// Its closure has returned: nothing may follow.
        case returned
    }

    /// A streamed body on its way.
    struct Upload {
        var writer = Writer.writing
        /// What the writer has handed over.
        var suppliedBytes = 0
        var writeWaiter: UnsafeContinuation<(any Error)?, Never>?
        /// Who waits for the end of the upload, and who for its beginning.
        var endWaiter: UnsafeContinuation<Void, Never>?
        var beginWaiter: UnsafeContinuation<Bool, Never>?
        /// The body while `expect: 100-continue` holds it back.
        var heldBody: Outgoing?
    }

    @exclusivity(unchecked) var upload = Upload()
    /// Who waits until a piece of the response's body has been written to a descriptor.
    @exclusivity(unchecked) var outputWaiter: UnsafeContinuation<(any Error)?, Never>?
    /// Why nobody wants the response's body written any more: its reader was cancelled, or we gave up the exchange.
    @exclusivity(unchecked) var outputFailure: (any Error)?

    /// Body bytes that readers took before a drain began: a drain counts its own alone.
    @exclusivity(unchecked) var bodyReadSoFar = 0

    /// `bodyReadSoFar` when it was looked last whether the response is read, and since when it has been that; -1 where it was
    /// read then.
    @exclusivity(unchecked) private var readWhenLooked = -1
    @exclusivity(unchecked) private var unreadFrom: UInt64 = 0

    /// See `Exchange+Timers.swift`.
    struct Timers {
        var total: LoopTimer?
        var phase: LoopTimer?
        var awaitContinue: LoopTimer?
        var sending: LoopTimer?
        /// When the body of the response made progress.
        var progressAt: UInt64 = 0
        /// `bytesSent` when a timer looked last whether the request's body moves.
        var bytesSentBefore = 0
    }

    @exclusivity(unchecked) var timers = Timers()

    var connectionID: ConnectionID { connection.info.id }

    /// - Parameter calledAt: when the request began its life, where that was before now.
    /// - Throws: `H2Error` (`localIO`) where the body's file cannot be opened.
    init(connection: Connection, body: RequestBody, options: RequestOptions, calledAt: UInt64? = nil) throws {
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
        case .file(let path):
            let file = try BodyFile(path)
            length = file.length
            outgoing = .file(FileBody(file))
        case .openFile(let file):
            length = file.length
            outgoing = .file(FileBody(file))
        case .stream(let known, _):
            length = known
            outgoing = .awaitingChunk
        }
        super.init()
        contentLength = length
        outgoingTrailers = body.trailers
        self.outgoing = outgoing
        if options.expectContinue != nil && !isOutgoingDone {
            expectsContinue = true
            upload.heldBody = outgoing
            self.outgoing = .awaitingChunk
        }
    }

    // MARK: - Loop's side: start

    /// The request has to wait for a slot.
    func waitForSlot(_ request: HTTPRequest) {
        self.request = request
        isWaitingForSlot = true
        startTotalTimer()
        if let limit = options.queueTimeout {
            // What was waited for the connection, and by attempts before this one, counts.
            let used = queuedBefore.saturatingSum(sinceAttempt(connection.loop.now))
            startPhaseTimer(.queued, limit, after: limit.clampedNanoseconds - min(used, limit.clampedNanoseconds))
        }
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
        submittedAt = connection.loop.now
        isConnectionReused = connection.requests > 0
        wasConnectionProven = connection.hasAnswered
        wasSentBlindly = !connection.knowsStreamLimit
        do {
            try connection.submit(self, request, expectsContinue: upload.heldBody != nil)
        } catch {
            // First of all: whoever is told of the failure asks for another connection.
            connection.refused(error)
            fail(error)
            return false
        }
        if let stated = statedLength {
            // A writer that was quick has supplied some, or all, already.
            var isShort = false
            if case .finished = outgoing { isShort = upload.suppliedBytes < stated }
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

    /// Since when nobody has read the response, as far as one look can tell from the one before, though some of its body has
    /// come; nil where somebody reads it, however slowly, or where nothing is there to read.
    func unreadSince(now: UInt64) -> UInt64? {
        guard case .none = waiter, !isOver, !body.isEmpty, claim.load(ordering: .relaxed) == .free else {
            readWhenLooked = -1
            return nil
        }
        if readWhenLooked != bodyReadSoFar { (readWhenLooked, unreadFrom) = (bodyReadSoFar, now) }
        return unreadFrom
    }

    /// Wakes the waiting task to install a cancellation handler; it comes back by `waitForHead`.
    func watchForCancellation() {
        guard !isWatched, case .head(let continuation) = waiter else { return }
        isWatched = true
        waiter = .none
        resume(continuation, isHeadHere: false)
    }

    /// The task is back, under a handler. What happened meanwhile has waited for it.
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
            // The place first: its reader, once resumed, may ask for the next, on another thread.
            connection.noteAnswer()
            finish()
            deliverHeadOrBody()
        case .failed(let error):
            if firstByteAt != 0 { connection.noteAnswer() }
            finish()
            // While its caller waits: once resumed, that reads it on its own thread.
            if wasSentBlindly, case .head = waiter { wasAboveLimit = Int(id) / 2 >= connection.maxConcurrentStreams }
            if case .head(let continuation) = waiter, firstByteAt != 0 {
                // The head came with the failure in one read. It is delivered as if it had come alone, and the failure
                // meets the reader of the body, so that what a caller sees does not depend on how bytes were cut.
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
                // The memory is the caller's from here on. Not while the stream is open for the request's body: frames
                // of it would still be counted.
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

    /// Whether the body of which the waiter wants all is whole, so that it waits no more.
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

    /// What is there to read: all of it, the end, the failure; nil where a reader has to wait.
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

    /// Whether nobody else reads. On the loop, before the body is whole.
    var mayRead: Bool {
        guard case .none = waiter else { return false }
        return claim.load(ordering: .relaxed) != .held
    }

    func begin(_ newWaiter: Waiter) {
        waiter = newWaiter
        timers.progressAt = connection.loop.now
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

    /// The reader cannot take what is there. The stream may have ended well meanwhile: for its reader it has not.
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
        case .chunk(let continuation), .all(let continuation), .end(let continuation, _):
            resume(continuation, .failed(error))
        case .nobody(let timer): connection.loop.cancel(timer)
        }
        resumeWriter(error)
    }

    /// The exchange is over: timers go, and once nghttp2 has let go of the stream its slot is another's.
    func finish() {
        resumeBeginner()
        // Only options set timers, but for that of a body read, which a reader's waking stops.
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
        // No thread to be had: the loop waits for the disk rather than the request for nothing.
        if status != 0 { file.loaded(file.load()) }
        return status != 0
    }

    // MARK: - Facts

    /// The status, where there is one, or why there is none.
    var outcome: Result<Int, any Error> {
        if case .failed(let error) = phase, firstByteAt == 0 { return .failure(error) }
        return .success(status)
    }

    func currentTrailers() -> HTTPFields? {
        guard case .ended = phase, hasTrailers else { return nil }
        return trailers.fields
    }

    /// From the attempt's beginning to a time of the loop's.
    private func sinceAttempt(_ time: UInt64) -> UInt64 {
        let began = attemptBeganAt == 0 ? calledAt : attemptBeganAt
        return time > began ? time - began : 0
    }

    /// How long this attempt has waited for a connection and a stream.
    var queuedNanoseconds: UInt64 { submittedAt == 0 ? 0 : sinceAttempt(submittedAt) }

    func currentRawTrailers() -> [RawField]? {
        guard case .ended = phase, hasTrailers else { return nil }
        return trailers.rawFields
    }

    func currentMetrics() -> ResponseMetrics {
        func sinceCall(_ time: UInt64) -> Duration? {
            time == 0 ? nil : Duration(nanoseconds: time > calledAt ? time - calledAt : 0)
        }
        let info = connection.info
        return ResponseMetrics(
            attemptStart: sinceCall(attemptBeganAt) ?? .zero, queued: Duration(nanoseconds: queuedNanoseconds),
            resolve: isConnectionReused ? nil : info.resolve,
            connect: isConnectionReused ? nil : info.connect,
            tls: isConnectionReused ? nil : info.tls,
            requestSent: sinceCall(sentAt) ?? .zero,
            firstByte: sinceCall(firstByteAt), lastByte: sinceCall(lastByteAt),
            bytesSent: bytesSent, bytesReceived: bytesReceived, bodyBytesReceived: bodyReceived)
    }
}
