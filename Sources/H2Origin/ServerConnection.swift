import CNghttp2
import H2Client
import H2Platform

/// One client's connection, whatever version of HTTP it speaks: the wire, what waits to be written, and how it ends.
/// Belongs to its loop's thread.
///
/// Readable: bytes go to the subclass, which routes requests. At the end of the turn one flush takes responses from the
/// subclass into `output` and writes it, up to a fair share; so the responses of one turn leave together. What a request
/// in the middle of being read wants done to the connection is noted in `nextStep` and done after.
///
/// The run-time checks of exclusive access are off for what is touched per frame or request, here and in the subclasses:
/// it is all on one thread, and no property is held `inout` across a call that leads back to it.
class ServerConnection: ReadinessHandler, Flushable {
    // The listener closes its connections before it goes: the loop holds it while it listens, and while it drains its
    // grace timer does.
    unowned(unsafe) let listener: Listener
    final let loop: EventLoop
    final let counters: Counters
    final let faults: OriginServer.Faults
    /// Where this stands among the listener's connections.
    @exclusivity(unchecked) final var slot = 0

    final let wire: any SocketWire & Wire
    final let descriptor: CInt
    /// Filled up to `outputMark`, then emptied by writes; a piece of a body that was begun below the mark still fits.
    @exclusivity(unchecked) final var output: OutputBuffer
    static let outputMark = 64 << 10
    /// The longest piece of a body that is appended at once, and what its framing may take.
    static let pieceSize = 16 << 10
    static let pieceFraming = 16
    final var isOutputFull: Bool { output.count >= Self.outputMark }

    @exclusivity(unchecked) private var requestCount = 0
    @exclusivity(unchecked) private var responseCount = 0
    /// Requests that are open now.
    @exclusivity(unchecked) private var openRequests = 0
    /// When it was accepted, or had shaken hands.
    final let startedAt: UInt64
    @exclusivity(unchecked) private var lastInput: UInt64
    @exclusivity(unchecked) private var lastOutput: UInt64
    @exclusivity(unchecked) private var writtenBytes = 0
    /// Where the next byte stands among all that this connection sends.
    final var outputPosition: Int { writtenBytes + output.count }
    /// How far the client had taken what was written at the last sweep, and at the one before. With TLS it is a little
    /// less, as the system counts records.
    @exclusivity(unchecked) private(set) final var takenPosition = 0
    @exclusivity(unchecked) private(set) final var takenBefore = 0
    @exclusivity(unchecked) private var takenAt: UInt64 = 0
    /// When it was told to go because it was idle.
    @exclusivity(unchecked) private var drainedAt: UInt64?
    @exclusivity(unchecked) private var lingerTimer: LoopTimer?

    @exclusivity(unchecked) private var isDirty = false
    @exclusivity(unchecked) private var isReadQueued = false
    /// The rest of `output` waits for room in the socket.
    @exclusivity(unchecked) private(set) final var isBlocked = false
    /// Nothing is read meanwhile. Set while a flush is bound to come, which tells the poller.
    @exclusivity(unchecked) final var isReadingPaused = false
    @exclusivity(unchecked) private(set) final var isClosed = false

    /// How a connection ends.
    enum Ending { case politely, abruptly, withReset }
    enum NextStep { case goOn, close(Ending, flushing: Bool) }
    @exclusivity(unchecked) final var nextStep = NextStep.goOn

    private static let readsPerTurn = 16
    private static let buffersPerTurn = 16

    init(
        wire: any SocketWire & Wire, descriptor: CInt, listener: Listener,
        outputCapacity: Int = ServerConnection.outputMark + ServerConnection.pieceSize + ServerConnection.pieceFraming
    ) {
        self.wire = wire
        self.descriptor = descriptor
        self.listener = listener
        loop = listener.loop
        counters = listener.counters
        faults = listener.configuration.faults
        startedAt = loop.now
        (lastInput, lastOutput) = (startedAt, startedAt)
        output = OutputBuffer(capacity: outputCapacity)
    }

    /// `input` is what was read from the wire before.
    func start(input: UnsafeMutableRawBufferPointer? = nil) {
        wire.attach(to: loop, handler: self)
        scheduleFlush()
        if let input, !received(input) { return }
        // TLS may have read the client's first bytes together with the end of its handshake.
        if wire.hasBufferedInput { read() }
    }

    // MARK: - What a version of HTTP does

    // An instance is always of a subclass, which overrides all of these.
    private func abstract() -> Never { preconditionFailure("a subclass does this") }

    /// Takes bytes that have arrived, and may change them. False where the bytes make an end of the connection, once what
    /// is to be said about it is flushed.
    func receive(_ bytes: UnsafeMutableRawBufferPointer) -> Bool { abstract() }
    /// The client has ended its side.
    func inputEnded() { close() }
    /// Appends to `output` up to the mark; true where there is no more now.
    func fillOutput() -> Bool { abstract() }
    /// Everything that could be said was written; true where that makes more to say.
    func wasDrained() -> Bool { false }
    /// Everything was said, for ever.
    var isFinished: Bool { abstract() }
    /// Takes no further requests, lets those under way finish, then closes.
    func drain() { abstract() }
    var isDraining: Bool { abstract() }
    /// The connection is closing: lets go of all requests.
    func dropStreams() { abstract() }

    // What `ServerStream` asks for.

    /// The request makes the origin hold more than it may: ends it, or what comes next to it.
    func overwhelmed(_ stream: ServerStream) { abstract() }
    /// So many bytes of the request body have left the stream.
    func consumed(_ stream: ServerStream, _ count: Int) { abstract() }
    /// The stream has ended with so many bytes of the request body unread.
    func dropped(_ stream: ServerStream, _ count: Int) { abstract() }
    /// Ends the stream at once, or what comes next to it: see `OriginServer.Faults`.
    func reset(_ stream: ServerStream, _ code: UInt32) { abstract() }
    /// Sends an informational response.
    func inform(_ stream: ServerStream, _ fields: FieldList) { abstract() }
    /// Sends the head of the response; the body is asked for later (`ServerStream.produce`).
    func respond(_ stream: ServerStream, _ fields: FieldList, hasBody: Bool, isHead: Bool) { abstract() }
    /// There is more to produce.
    func resume(_ stream: ServerStream) { abstract() }
    /// Refuses a request that was not looked at.
    func refuse(_ stream: ServerStream) { abstract() }
    /// The fault `goAwayAfterRequests`.
    func goAwayByFault() { abstract() }
    func goAway(last: Int32, code: UInt32, debug: [UInt8]) { abstract() }
    func ping() {}
    /// What became of SETTINGS that a route was asked for.
    enum SettingsSubmission {
        /// They leave now or later.
        case sent
        /// This version of HTTP has none.
        case unknown
        /// For this reason.
        case refused(String)
    }
    /// Sends SETTINGS, now or later.
    func submit(settings: [nghttp2_settings_entry], after delay: Duration) -> SettingsSubmission { .unknown }
    /// Ends what a client has kept waiting for longer than the limits allow.
    func checkProgress(now: UInt64) {}
    /// Whether `refuse` says REFUSED_STREAM.
    var canRefuseStreams: Bool { false }

    // MARK: - Requests

    /// A request's fields are complete: faults first, then its route.
    final func arrived(_ stream: ServerStream) {
        requestCount += 1
        counters.requests.add(1)
        guard counters.streamsOpen.current <= listener.configuration.limits.requests,
            stream.holdFields()
        else {
            counters.requestsOverLimit.add(1)
            return refuse(stream)
        }
        if let every = faults.refuseEvery, every > 0, requestCount % every == 0 { return refuse(stream) }
        if requestCount == faults.closeAfterRequests {
            nextStep = .close(.abruptly, flushing: false)
            return
        }
        if requestCount == faults.goAwayAfterRequests { goAwayByFault() }
        if let every = faults.stallEvery, every > 0, requestCount % every == 0 { return }
        if let bytes = faults.resetAfterBodyBytes { stream.cut(after: bytes, .reset(faults.resetCode)) }
        if faults.latency > .zero {
            stream.schedule(after: faults.latency) { $0.enter() }
        } else {
            stream.enter()
        }
    }

    final func opened(_ stream: ServerStream) {
        openRequests += 1
        counters.streamsOpen.add(1)
        counters.streamsPeak.raise(to: counters.streamsOpen.current)
    }

    /// The request and its response are over, in whatever way.
    final func ended(_ stream: ServerStream) {
        openRequests -= 1
        counters.streamsOpen.add(-1)
        let wasAnswered = stream.hasResponded
        stream.release()
        guard wasAnswered else { return }
        responseCount += 1
        if responseCount == faults.closeAfterResponses { requestClose(.politely) }
    }

    // MARK: - Reading

    final func ready(readable: Bool, writable: Bool) {
        // Input is not watched for then, so this is an error of the connection.
        if readable, isReadingPaused { return close() }
        if readable { read() }
        if writable { scheduleFlush() }
    }

    final func unwatched(_ error: H2Error) { close() }

    private func read() {
        isReadQueued = false
        var reads = 0
        while !isClosed, !isReadingPaused {
            guard reads < Self.readsPerTurn else {
                queueRead()
                break
            }
            reads += 1
            lastInput = loop.now
            switch wire.read(into: loop.readBuffer) {
            case .bytes(let count):
                counters.bytesReceived.add(count)
                guard received(UnsafeMutableRawBufferPointer(rebasing: loop.readBuffer[..<count])) else { return }
                if wire.hasBufferedInput { continue }
            case .wouldBlock: break
            case .end: lingerTimer == nil ? inputEnded() : close()
            case .failed: close()
            }
            break
        }
        scheduleFlush()
    }

    /// False where the connection is closed.
    private func received(_ bytes: UnsafeMutableRawBufferPointer) -> Bool {
        // What comes after everything was said is of no interest.
        if lingerTimer != nil { return true }
        guard receive(bytes) else {
            flush()
            close()
            return false
        }
        if case .close(let ending, flushing: false) = nextStep { close(ending) }
        return !isClosed
    }

    /// Reads in the next turn: what TLS holds back is not told by the descriptor.
    private func queueRead() {
        guard !isReadQueued else { return }
        isReadQueued = true
        let connection = LoopBound(self)
        loop.execute { if connection.value.isReadQueued { connection.value.read() } }
    }

    final func resumeReading() {
        guard isReadingPaused else { return }
        isReadingPaused = false
        if wire.hasBufferedInput { queueRead() }
    }

    // MARK: - Writing

    /// Flushes at the end of this turn.
    final func scheduleFlush() {
        guard !isDirty, !isClosed else { return }
        isDirty = true
        loop.markDirty(self)
    }

    final func flush() {
        isDirty = false
        // While the socket is full, nothing is added.
        if isBlocked, !writeOutput() { return }
        var buffers = 0
        var isDrained = false
        while !isClosed {
            if case .goOn = nextStep { isDrained = fillOutput() }
            guard writeOutput() else { return }
            if case .close(let ending, _) = nextStep { return close(ending) }
            if isDrained, !wasDrained() { break }
            buffers += 1
            if buffers == Self.buffersPerTurn {
                scheduleFlush()
                break
            }
        }
        guard !isClosed else { return }
        if isDrained, isFinished { linger() }
        wire.watch(readable: !isReadingPaused, writable: false)
    }

    /// True where everything was written; otherwise the rest waits for room, or the connection is gone.
    private func writeOutput() -> Bool {
        while !output.isEmpty {
            switch wire.write(output.bytes) {
            case .bytes(let count):
                output.removeFirst(count)
                counters.bytesSent.add(count)
                writtenBytes += count
                lastOutput = loop.now
            case .wouldBlock:
                isBlocked = true
                wire.watch(readable: !isReadingPaused, writable: true)
                return false
            case .end, .failed:
                close()
                return false
            }
        }
        isBlocked = false
        return true
    }

    // MARK: - End

    /// Everything was said. A close now, with input unread (WINDOW_UPDATEs of the last response, say, or the rest of a
    /// request body), would make the system reset the connection and throw away what the client has not read yet. So only
    /// our side ends, and the client has a second to end its own.
    private func linger() {
        guard lingerTimer == nil else { return }
        resumeReading()
        wire.finishWriting()
        lingerTimer = loop.schedule(after: 1_000_000_000) { [weak self] in self?.close() }
    }

    /// Ends the connection once what it is in has returned and what is buffered is written.
    final func requestClose(_ ending: Ending) { nextStep = .close(ending, flushing: true) }

    /// Holds the limits on time against what the client does; called every now and then.
    final func sweep(now: UInt64) {
        guard !isClosed, lingerTimer == nil else { return }
        let limits = listener.configuration.limits
        if isBlocked || openRequests > 0 { lookAtSocket(now: now) }
        if isBlocked, now &- max(lastOutput, takenAt) > limits.bodyProgress.clampedNanoseconds {
            counters.connectionsTimedOut.add(1)
            return close(.withReset)
        }
        checkProgress(now: now)
        if !isClosed, let idle = limits.idle { checkIdle(now: now, limit: idle.clampedNanoseconds) }
    }

    /// The system reports room only once about a third of its buffer is free, which takes a slow client longer than any
    /// limit allows: so it is asked what the client has taken.
    private func lookAtSocket(now: UInt64) {
        takenBefore = takenPosition
        let unsent = Int(ch2_unsent_bytes(descriptor))
        guard unsent >= 0, writtenBytes - unsent > takenPosition else { return }
        (takenPosition, takenAt) = (writtenBytes - unsent, now)
    }

    private func checkIdle(now: UInt64, limit: UInt64) {
        if let since = drainedAt {
            if lastInput > since {
                drainedAt = now
            } else if openRequests == 0, now &- since >= 1_000_000_000 {
                close()
            }
        } else if openRequests == 0, now &- max(lastInput, lastOutput) >= limit {
            drainedAt = now
            drain()
        }
    }

    /// Leaves the wire to a successor.
    final func handOver() {
        isClosed = true
        wire.detach()
    }

    func close(_ ending: Ending = .politely) {
        guard !isClosed else { return }
        isClosed = true
        if let lingerTimer { loop.cancel(lingerTimer) }
        dropStreams()
        switch ending {
        case .politely: break
        case .abruptly: ch2_break_connection(descriptor, false)
        case .withReset: ch2_break_connection(descriptor, true)
        }
        wire.close()
        listener.closed(self)
    }
}
