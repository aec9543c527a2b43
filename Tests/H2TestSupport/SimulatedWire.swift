package import H2Client

/// A byte stream between a client under test and a simulated server, in virtual time.
///
/// Belongs to its world's loop.
package final class SimulatedWire: Wire {
    /// How bytes are cut and delayed.
    package struct Shape: Sendable {
        /// One way, nanoseconds.
        package var latency: ClosedRange<Int> = 0...0
        /// Bytes that arrive together, at most.
        package var piece = 1 << 20
        /// Bytes that may be under way to the server before a write blocks.
        package var room = 1 << 20

        package init() {}
    }

    private let world: SimulatedWorld
    package var shape: Shape
    private var random: SeededGenerator

    /// What the client wrote, as it arrives.
    package var onReceive: ([UInt8]) -> Void = { _ in }
    /// The client has closed, and everything before that has arrived.
    package var onClose: () -> Void = {}
    /// While true nothing that was written arrives, so that the room fills up.
    package var isStalled = false {
        didSet { if !isStalled { deliverHeld() } }
    }

    private var handler: (any ReadinessHandler)?
    private var watched = (readable: true, writable: false)
    private var input: [UInt8] = []
    private var inputStart = 0
    private var hasInputEnded = false
    private var isToldPending = false
    private var underWay = 0
    private var held: [[UInt8]] = []
    private var lastUp: UInt64 = 0
    private var lastDown: UInt64 = 0
    package private(set) var isClosed = false
    package private(set) var failure: H2Error?
    /// Whether the failure is of writing alone.
    private var isStillReadable = false

    package init(_ world: SimulatedWorld, shape: Shape = Shape(), seed: UInt64 = 0) {
        self.world = world
        self.shape = shape
        random = SeededGenerator(seed: seed)
    }

    // MARK: - The client's side

    package var hasBufferedInput: Bool { false }

    package func attach(to loop: H2EventLoop, handler: any ReadinessHandler) {
        self.handler = handler
        tell()
    }

    package func watch(readable: Bool, writable: Bool) {
        watched = (readable, writable)
        tell()
    }

    package func read(into buffer: UnsafeMutableRawBufferPointer) -> WireResult {
        if failure != nil, !isStillReadable { return .failed }
        let count = min(input.count - inputStart, buffer.count)
        guard count > 0 else { return hasInputEnded ? .end : .wouldBlock }
        input.withUnsafeBytes {
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[inputStart..<inputStart + count]))
        }
        inputStart += count
        if inputStart == input.count { (input, inputStart) = ([], 0) }
        return .bytes(count)
    }

    package func write(_ bytes: UnsafeRawBufferPointer) -> WireResult {
        if failure != nil { return .failed }
        let count = min(bytes.count, shape.room - underWay, random.int(1...max(1, shape.piece)))
        guard count > 0 else { return .wouldBlock }
        underWay += count
        let piece = Array(bytes[..<count])
        lastUp = max(lastUp, world.now &+ latency())
        world.at(lastUp) { [self] in
            if isStalled { held.append(piece) } else { arrive(piece) }
        }
        return .bytes(count)
    }

    package func close() {
        guard !isClosed else { return }
        isClosed = true
        handler = nil
        world.at(max(lastUp, world.now &+ latency())) { [self] in
            deliverHeld()
            onClose()
        }
    }

    private func arrive(_ piece: [UInt8]) {
        underWay -= piece.count
        onReceive(piece)
        tell()
    }

    private func deliverHeld() {
        let pieces = held
        held = []
        for piece in pieces { arrive(piece) }
    }

    private func latency() -> UInt64 { UInt64(random.int(shape.latency)) }

    /// Readiness, level-triggered as epoll's is.
    private func tell() {
        guard !isToldPending, handler != nil, !readiness.isEmpty else { return }
        isToldPending = true
        let wire = LoopBound(self)
        world.loop.execute { wire.value.tellNow() }
    }

    private func tellNow() {
        isToldPending = false
        let now = readiness
        guard let handler, !now.isEmpty else { return }
        handler.ready(readable: now.readable, writable: now.writable)
        tell()
    }

    private struct Readiness {
        let readable: Bool
        let writable: Bool
        var isEmpty: Bool { !readable && !writable }
    }

    private var readiness: Readiness {
        let hasInput = input.count > inputStart || hasInputEnded || (failure != nil && !isStillReadable)
        let isWritable = underWay < shape.room || failure != nil
        return Readiness(readable: watched.readable && hasInput, writable: watched.writable && isWritable)
    }

    // MARK: - The server's side

    /// Bytes for the client, cut and delayed as the shape says.
    package func send(_ bytes: [UInt8]) {
        var at = 0
        while at < bytes.count {
            let count = min(bytes.count - at, random.int(1...max(1, shape.piece)))
            let piece = Array(bytes[at..<at + count])
            at += count
            lastDown = max(lastDown, world.now &+ latency())
            world.at(lastDown) { [self] in
                guard !isClosed, !hasInputEnded else { return }
                input += piece
                tell()
            }
        }
    }

    package func send(_ frames: Frame...) { send(frames.flatMap(\.bytes)) }

    /// Ends the server's side after what it has sent.
    package func end() {
        lastDown = max(lastDown, world.now)
        world.at(lastDown) { [self] in
            hasInputEnded = true
            tell()
        }
    }

    /// As TCP's RST: what is under way is lost, in both directions.
    package func breakOff() {
        guard failure == nil else { return }
        failure = H2Error(
            .connectionClosed, scope: .connection, initiator: .remote, cause: .errno(104),
            message: "reading failed: Connection reset by peer (errno 104)", remedy: "connect anew")
        onReceive = { _ in }
        tell()
    }

    /// As a peer that takes no more bytes: writing fails from now on, and what was sent to the client can still be read.
    package func refuseBytes() {
        guard failure == nil else { return }
        failure = H2Error(
            .connectionClosed, scope: .connection, initiator: .remote, cause: .errno(32),
            message: "writing failed: Broken pipe (errno 32)", remedy: "connect anew")
        isStillReadable = true
        tell()
    }
}
