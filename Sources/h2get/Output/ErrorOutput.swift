import H2Client
import H2Measure
import H2Platform

/// Writes to stderr, in order and without blocking the caller.
///
/// A pipe that nobody reads must not stop the event loop, and with it time limits and signals.
///
/// 1. While nothing is queued and there is room, the caller writes.
/// 2. Otherwise up to `queueLimit` bytes are queued, and a thread writes them.
/// 3. Beyond that lines are dropped, and their number is reported once there is room again.
final class ErrorOutput: Sendable {
    static let standard = ErrorOutput(STDERR_FILENO)

    private struct State {
        var queue: [[UInt8]] = []
        var queuedBytes = 0
        var droppedLines = 0
        /// Whether a thread is writing the queue.
        var isBusy = false
    }

    private let descriptor: CInt
    private let queueLimit: Int
    private let state = Locked(State())

    /// - Parameter queueLimit: the maximum number of queued bytes.
    init(_ descriptor: CInt, queueLimit: Int = 4 << 20) {
        (self.descriptor, self.queueLimit) = (descriptor, queueLimit)
    }

    /// Writes `text` now or queues it. Callable from any thread; does not block.
    func put(_ text: String) { put(Array(text.utf8)) }

    func put(_ bytes: [UInt8]) {
        let needsThread = state.withLock { state in
            guard !state.isBusy else {
                add(bytes[...], to: &state)
                return false
            }
            let rest = writeWhatFits(bytes)
            guard !rest.isEmpty else { return false }
            add(rest, to: &state)
            state.isBusy = true
            return true
        }
        // If no thread can be started, blocking is better than losing the output.
        if needsThread, startDetachedThread({ self.writeQueue() }) != 0 { writeQueue() }
    }

    /// Whether earlier bytes still wait to be written.
    var isBusy: Bool { state.withLock { $0.isBusy } }

    /// Waits until everything is written.
    /// - Parameter limit: the maximum wait, in milliseconds.
    func flush(milliseconds limit: Int) {
        let end = ContinuousClock.now + .milliseconds(limit)
        while state.withLock({ $0.isBusy }), ContinuousClock.now < end { usleep(1_000) }
    }

    private func add(_ bytes: ArraySlice<UInt8>, to state: inout State) {
        guard state.queuedBytes + bytes.count <= queueLimit else {
            state.droppedLines += 1
            return
        }
        state.queuedBytes += bytes.count
        state.queue.append(Array(bytes))
    }

    /// Writes without blocking, and returns the bytes that did not fit.
    ///
    /// If poll reports room, PIPE_BUF bytes fit. Lines that fail to be written are lost: there is nowhere to report it.
    private func writeWhatFits(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
        var rest = bytes[...]
        while !rest.isEmpty {
            var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            guard poll(&entry, 1, 0) > 0 else { return rest }
            let written = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, min($0.count, Int(PIPE_BUF))) }
            if written > 0 {
                rest = rest.dropFirst(written)
            } else if written < 0, errno == EAGAIN {
                return rest
            } else if written == 0 || errno != EINTR {
                return []
            }
        }
        return []
    }

    /// Writes the queue. Must run on a thread that may block.
    private func writeQueue() {
        while true {
            let pieces = state.withLock { state -> [[UInt8]] in
                defer { (state.queue, state.queuedBytes) = ([], 0) }
                if state.droppedLines > 0 {
                    let text = "h2get: \(counted(state.droppedLines, "line")) not shown: stderr was not read in time\n"
                    state.queue.append(Array(text.utf8))
                    state.droppedLines = 0
                }
                if state.queue.isEmpty { state.isBusy = false }
                return state.queue
            }
            if pieces.isEmpty { return }
            for piece in pieces { _ = piece.withUnsafeBytes { writeFully(descriptor, $0) } }
        }
    }
}
