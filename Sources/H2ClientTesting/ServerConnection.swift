import CNghttp2
import H2Client
import H2Platform

/// A client's connection, independent of the HTTP version: the wire, the output buffer, and the connection's end.
/// Confined to its loop's thread.
///
/// The subclass parses received bytes and routes requests. At the end of the loop's turn one flush takes responses from the
/// subclass into `output` and writes it, up to a fair share, so the responses of one turn leave together. A request that is
/// still being parsed notes in `nextStep` what is to be done to the connection afterwards.
///
/// Run-time exclusivity checks are off for properties accessed per frame or request, here and in the subclasses:
/// everything is on one thread, and no property is held `inout` across a call that leads back to it.
class ServerConnection: ReadinessHandler, Flushable {
    // The listener outlives its connections: it closes them first. The loop holds it while it listens, and its grace timer
    // while it drains.
    unowned(unsafe) let listener: Listener
    final let loop: H2EventLoop
    final let counters: Counters
    final let faults: OriginServer.Faults
    /// The index among the listener's connections.
    @exclusivity(unchecked) final var slot = 0

    final let wire: any SocketWire & Wire
    final let descriptor: CInt
    /// Filled up to `outputMark`, then emptied by writes. A body piece that begins below the mark still fits.
    @exclusivity(unchecked) final var output: OutputBuffer
    static let outputMark = 64 << 10
    /// The maximum bytes of a body that are appended at once.
    static let pieceSize = 16 << 10
    /// The maximum bytes of a piece's framing.
    static let pieceFraming = 16
    final var isOutputFull: Bool { output.count >= Self.outputMark }

    @exclusivity(unchecked) private var requestCount = 0
    @exclusivity(unchecked) private var responseCount = 0
    /// The number of open requests.
    @exclusivity(unchecked) private var openRequests = 0
    /// When the connection was accepted, or its TLS handshake ended.
    final let startedAt: UInt64
    @exclusivity(unchecked) private var lastInput: UInt64
    @exclusivity(unchecked) private var lastOutput: UInt64
    @exclusivity(unchecked) private var writtenBytes = 0
    /// The position of the next byte among all that this connection sends.
    final var outputPosition: Int { writtenBytes + output.count }
    /// The position up to which the client had received the output at the last sweep. With TLS it is slightly too low,
    /// because the system counts records.
    @exclusivity(unchecked) private(set) final var takenPosition = 0
    /// The value of `takenPosition` at the sweep before.
    @exclusivity(unchecked) private(set) final var takenBefore = 0
    @exclusivity(unchecked) private var takenAt: UInt64 = 0
    /// When draining began because the connection was idle.
    @exclusivity(unchecked) private var drainedAt: UInt64?
    @exclusivity(unchecked) private var lingerTimer: LoopTimer?

    @exclusivity(unchecked) private var isDirty = false
    @exclusivity(unchecked) private var isReadQueued = false
    /// Whether the rest of `output` waits for room in the socket.
    @exclusivity(unchecked) private(set) final var isBlocked = false
    /// Whether reading is paused. Set only if a flush will follow, which updates the poller.
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

    /// Starts the connection.
    /// - Parameter input: bytes that were already read from the wire.
    func start(input: UnsafeMutableRawBufferPointer? = nil) {
        wire.attach(to: loop, handler: self)
        scheduleFlush()
        if let input, !received(input) { return }
        // TLS may have read the client's first bytes together with the end of the handshake.
        if wire.hasBufferedInput { read() }
    }

    // MARK: - Overridden by each HTTP version

    // An instance is always of a subclass, which overrides all of these.
    private func abstract() -> Never { preconditionFailure("a subclass does this") }

    /// Parses received bytes, and may modify them. False if the connection must end after a flush.
    func receive(_ bytes: UnsafeMutableRawBufferPointer) -> Bool { abstract() }
    /// The client has ended its side.
    func inputEnded() { close() }
    /// Appends to `output` up to the mark; true if there is no more now.
    func fillOutput() -> Bool { abstract() }
    /// Called when all output is written; true if this produces more.
    func wasDrained() -> Bool { false }
    /// Whether the connection will never produce output again.
    var isFinished: Bool { abstract() }
    /// Accepts no further requests, lets open ones finish, then closes.
    func drain() { abstract() }
    var isDraining: Bool { abstract() }
    /// Drops all requests, because the connection is closing.
    func dropStreams() { abstract() }

    // Called by `ServerStream`.

    /// Ends a request that exceeds the limit of held bytes; on HTTP/1.1 ends the connection.
    func overwhelmed(_ stream: ServerStream) { abstract() }
    /// Records that `count` bytes of the request body have left the stream.
    func consumed(_ stream: ServerStream, _ count: Int) { abstract() }
    /// Records that the stream ended with `count` bytes of the request body unread.
    func dropped(_ stream: ServerStream, _ count: Int) { abstract() }
    /// Resets the stream at once; on HTTP/1.1 ends the connection (see `OriginServer.Faults`).
    func reset(_ stream: ServerStream, _ code: UInt32) { abstract() }
    /// Sends an informational response.
    func inform(_ stream: ServerStream, _ fields: FieldList) { abstract() }
    /// Sends the head of the response; the body is requested later (`ServerStream.produce`).
    func respond(_ stream: ServerStream, _ fields: FieldList, hasBody: Bool, isHead: Bool) { abstract() }
    /// Continues a body, because more can be produced.
    func resume(_ stream: ServerStream) { abstract() }
    /// Refuses a request that was not processed.
    func refuse(_ stream: ServerStream) { abstract() }
    /// Performs the fault `goAwayAfterRequests`.
    func goAwayByFault() { abstract() }
    func goAway(last: Int32, code: UInt32, debug: [UInt8]) { abstract() }
    func ping() {}
    /// The result of submitting SETTINGS for a route.
    enum SettingsSubmission {
        /// They are sent now or later.
        case sent
        /// This HTTP version has no SETTINGS.
        case unknown
        /// They are refused for this reason.
        case refused(String)
    }
    /// Sends SETTINGS, now or later.
    func submit(settings: [nghttp2_settings_entry], after delay: Duration) -> SettingsSubmission { .unknown }
    /// Ends streams or the connection if the client has exceeded a time limit.
    func checkProgress(now: UInt64) {}
    /// Whether `refuse` sends REFUSED_STREAM.
    var canRefuseStreams: Bool { false }

    // MARK: - Requests

    /// Handles a request whose fields are complete: faults first, then its route.
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
        if let bytes = faults.resetAfterBodyBytes { stream.cut(after: bytes, .reset(faults.resetCode.rawValue)) }
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

    /// Records the end of a request and its response, complete or not.
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
        // Input is not watched while reading is paused, so this is a connection error.
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

    /// Handles received bytes; false if the connection is closed.
    private func received(_ bytes: UnsafeMutableRawBufferPointer) -> Bool {
        // After the end of the output, input is ignored.
        if lingerTimer != nil { return true }
        guard receive(bytes) else {
            flush()
            close()
            return false
        }
        if case .close(let ending, flushing: false) = nextStep { close(ending) }
        return !isClosed
    }

    /// Reads in the next turn, because the descriptor does not report bytes that TLS has buffered.
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

    /// Writes `output`; true if all was written. Otherwise the rest waits for room, or the connection is closed.
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

    /// Ends our side of the connection, and gives the client a second to end its own.
    ///
    /// Closing with unread input (such as WINDOW_UPDATEs for the last response, or the rest of a request body) would make the
    /// system reset the connection and discard what the client has not read yet.
    private func linger() {
        guard lingerTimer == nil else { return }
        resumeReading()
        wire.finishWriting()
        lingerTimer = loop.schedule(after: 1_000_000_000) { [weak self] in self?.close() }
    }

    /// Ends the connection after the current call has returned and the buffered output is written.
    final func requestClose(_ ending: Ending) { nextStep = .close(ending, flushing: true) }

    /// Enforces the time limits; called periodically.
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

    /// Asks the system how much the client has received.
    ///
    /// The system reports room only when about a third of its buffer is free, which with a slow client takes longer than any
    /// limit allows.
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

    /// Hands the wire over to a successor.
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
