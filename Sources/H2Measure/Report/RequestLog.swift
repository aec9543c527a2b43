package import H2Client
import H2Platform

/// The log of each request (`--csv`): a line each, in the order in which they ended.
///
/// It is designed for an event loop's thread: lines are formatted by hand in a preallocated buffer, and another thread writes
/// them in chunks of 64 KiB, so that a slow reader of a pipe does not block the loop. Each thread has its own log (`beside`),
/// which no other thread may use. All write whole lines to the same file, so lines never mix.
package final class RequestLog {
    /// The outcome of a request.
    package enum Result {
        case done
        /// The cause, as in `BenchResult.errors`.
        case failed(String)
    }

    package static let header =
        "start_seconds,intended_start_seconds,latency_us,corrected_us,first_byte_us,status,bytes,connection,stream,"
        + "result,attempts\n"

    private static let writeSize = 64 << 10
    private static let longestCause = 1000
    /// The ten numbers of a line with their commas, and a cause made only of quotes, each of which is doubled.
    private static let longestLine = 10 * 24 + 2 * longestCause + 16

    private let file: RequestLogFile
    /// Room for a full chunk and one more line.
    private let buffer: UnsafeMutablePointer<UInt8>
    private var count = 0
    /// The number of lines in the buffer.
    private var lines = 0

    /// Creates or truncates the file, and writes the header.
    /// - Parameter queueLimit: the number of bytes that may wait for a slow reader; lines beyond that are dropped.
    /// - Throws: `H2Error` (`localIO`).
    package convenience init(path: String, queueLimit: Int = 64 << 20) throws(H2Error) {
        self.init(file: try RequestLogFile(path: path, header: Self.header, queueLimit: queueLimit))
    }

    private init(file: RequestLogFile) {
        self.file = file
        buffer = .allocate(capacity: Self.writeSize + Self.longestLine)
    }

    deinit { buffer.deallocate() }

    /// Another log, for another thread, that appends to the same file.
    package func beside() -> sending RequestLog { RequestLog(file: file) }

    /// Appends a line. Times are nanoseconds since the measured part began, or durations in nanoseconds.
    /// - Parameters:
    ///   - intendedStart: when it was to begin, which is never after `start`.
    ///   - corrected: from `intendedStart` to the response's end.
    ///   - firstByte: from `start` to the response's first byte; nil if none came.
    ///   - status: 0 if no response came, which leaves the column empty.
    ///   - bytes: the size of the response's body.
    ///   - connection: counted from 1 over all threads.
    ///   - stream: HTTP/2's stream identifier; for HTTP/1.1 the request's number on its connection.
    ///   - attempts: the number of times it was sent.
    package func append(
        start: Int64, intendedStart: Int64, latency: UInt64, corrected: UInt64, firstByte: UInt64?, status: Int,
        bytes: Int, connection: Int, stream: Int, result: Result, attempts: Int
    ) {
        putSeconds(start)
        comma()
        putSeconds(intendedStart)
        comma()
        putMicroseconds(latency)
        comma()
        putMicroseconds(corrected)
        comma()
        if let firstByte { putMicroseconds(firstByte) }
        comma()
        if status > 0 { putNumber(UInt64(status)) }
        comma()
        putNumber(UInt64(max(bytes, 0)))
        comma()
        putNumber(UInt64(max(connection, 0)))
        comma()
        putNumber(UInt64(max(stream, 0)))
        comma()
        switch result {
        case .done:
            putAll("done")
        case .failed(var cause): cause.withUTF8 { putQuoted($0) }
        }
        comma()
        putNumber(UInt64(max(attempts, 0)))
        put(UInt8(ascii: "\n"))
        lines += 1
        if count >= Self.writeSize { flush() }
    }

    /// Writes the remaining lines, and waits until they are written. Call it for each log once the measurement is over.
    ///
    /// A cancelled task waits up to one more second for a reader.
    /// - Throws: `H2Error` (`localIO`) if lines are missing from the file.
    nonisolated(nonsending) package func finish() async throws(H2Error) {
        flush()
        let file = file
        await withTaskCancellationHandler {
            await withUnsafeContinuation { file.whenWritten($0) }
        } onCancel: {
            file.giveUp()
        }
        if let error = file.error { throw error }
    }

    /// Drops lines that a reader does not take within a second, since the measurement was cancelled. May be called from any
    /// thread.
    package func giveUp() { file.giveUp() }

    private func flush() {
        guard count > 0 else { return }
        file.append(UnsafeRawBufferPointer(start: buffer, count: count), lines: lines)
        (count, lines) = (0, 0)
    }

    // MARK: A line's parts

    @inline(__always)
    private func put(_ byte: UInt8) {
        buffer[count] = byte
        count += 1
    }

    @inline(__always)
    private func comma() { put(UInt8(ascii: ",")) }

    private func putAll(_ text: StaticString) {
        (buffer + count).update(from: text.utf8Start, count: text.utf8CodeUnitCount)
        count += text.utf8CodeUnitCount
    }

    private func putNumber(_ value: UInt64) {
        var digits = 1
        var bound: UInt64 = 10
        while value >= bound {
            digits += 1
            let next = bound.multipliedReportingOverflow(by: 10)
            if next.overflow { break }
            bound = next.partialValue
        }
        putDigits(value, digits)
    }

    /// Writes a number with leading zeros to a given number of digits.
    private func putDigits(_ value: UInt64, _ digits: Int) {
        var (rest, at) = (value, count + digits)
        count = at
        for _ in 0..<digits {
            at -= 1
            buffer[at] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
    }

    /// Requests that began in the warm-up have a negative time.
    private func putSeconds(_ nanoseconds: Int64) {
        if nanoseconds < 0 { put(UInt8(ascii: "-")) }
        let microseconds = nanoseconds.magnitude / 1000
        putNumber(microseconds / 1_000_000)
        put(UInt8(ascii: "."))
        putDigits(microseconds % 1_000_000, 6)
    }

    private func putMicroseconds(_ nanoseconds: UInt64) {
        putNumber(nanoseconds / 1000)
        put(UInt8(ascii: "."))
        putDigits(nanoseconds % 1000, 3)
    }

    /// Quotes text if needed, as in RFC 4180. Control characters become spaces, so that a line stays one line. A long cause is
    /// cut between characters.
    private func putQuoted(_ text: UnsafeBufferPointer<UInt8>) {
        var length = min(text.count, Self.longestCause)
        if length < text.count { while length > 0, text[length] & 0xc0 == 0x80 { length -= 1 } }
        let quote = UInt8(ascii: "\"")
        let text = text.prefix(length)
        let needsQuotes = text.contains { $0 == quote || $0 == UInt8(ascii: ",") }
        if needsQuotes { put(quote) }
        for byte in text {
            if byte == quote { put(quote) }
            put(byte < 0x20 || byte == 0x7f ? UInt8(ascii: " ") : byte)
        }
        if needsQuotes { put(quote) }
    }
}

/// The file that several threads' logs are written to.
///
/// Lines are queued, and a thread that may block writes them: the event loops never wait for a disk or for the reader of a
/// pipe.
///
/// Invariant behind `@unchecked Sendable`: `state` is touched with the lock held.
private final class RequestLogFile: @unchecked Sendable {
    private struct State {
        var queue: [Piece] = []
        var queuedBytes = 0
        /// Whether a thread is writing.
        var isBusy = false
        /// The errno of the first write that failed. Nothing is written after it.
        var failure: CInt = 0
        /// Lines for which the queue had no room.
        var droppedLines = 0
        /// Lines that were queued when a write failed.
        var lostLines = 0
        var waiters: [UnsafeContinuation<Void, Never>] = []
        /// When writes stop waiting for a reader, after the measurement was cancelled.
        var deadline: ContinuousClock.Instant?
    }

    private struct Piece {
        var bytes: [UInt8]
        var lines: Int
    }

    private let path: String
    private let descriptor: CInt
    private let queueLimit: Int
    /// Whether it is a pipe or a device, whose reader may be slow or absent.
    private let mayBlock: Bool
    private let lock = PthreadLock()
    private var state = State()
    /// How long writes wait for a slow reader once the log is given up.
    private static let patience = Duration.seconds(1)

    init(path: String, header: String, queueLimit: Int) throws(H2Error) {
        (self.path, self.queueLimit) = (path, queueLimit)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0o644)
        self.descriptor = descriptor
        var status = stat()
        mayBlock = descriptor >= 0 && (fstat(descriptor, &status) != 0 || status.st_mode & S_IFMT != S_IFREG)
        guard descriptor >= 0 else {
            throw H2Error(
                .localIO, initiator: .user, cause: .errno(errno),
                message: "cannot write the request log '\(path)': \(describeErrno(errno))",
                remedy: "check the path and its rights")
        }
        // Written at once, to notice a full disk before the measurement begins. A pipe has room for it.
        state.failure = Array(header.utf8).withUnsafeBytes { write($0).status }
        if let error { throw error }
    }

    deinit { close(descriptor) }

    /// Queues whole lines, or drops them if there is no room. Does not block.
    func append(_ bytes: UnsafeRawBufferPointer, lines: Int) {
        let needsThread = lock.withLock {
            guard state.failure == 0 else {
                state.lostLines += lines
                return false
            }
            guard state.queuedBytes + bytes.count <= queueLimit else {
                state.droppedLines += lines
                return false
            }
            state.queue.append(Piece(bytes: Array(bytes), lines: lines))
            state.queuedBytes += bytes.count
            defer { state.isBusy = true }
            return !state.isBusy
        }
        // Without a thread, blocking is bad, but better than losing the lines.
        if needsThread, BlockingThreads.shared.run({ self.writeQueue() }) != 0 { writeQueue() }
    }

    /// Resumes `waiter` once the queue is empty.
    func whenWritten(_ waiter: UnsafeContinuation<Void, Never>) {
        let isWritten = lock.withLock {
            if state.isBusy { state.waiters.append(waiter) }
            return !state.isBusy
        }
        if isWritten { waiter.resume() }
    }

    /// See `RequestLog.giveUp`.
    func giveUp() {
        lock.withLock { if state.deadline == nil { state.deadline = .now + Self.patience } }
    }

    private func writeQueue() {
        while true {
            let (pieces, waiters) = lock.withLock {
                defer { state.queue = [] }
                guard state.queue.isEmpty else { return (state.queue, [UnsafeContinuation<Void, Never>]()) }
                state.isBusy = false
                defer { state.waiters = [] }
                return ([], state.waiters)
            }
            if pieces.isEmpty {
                for waiter in waiters { waiter.resume() }
                return
            }
            for piece in pieces {
                // Written outside of the lock, so that appending never waits for it.
                let hasFailed = lock.withLock { state.failure != 0 }
                let (status, written) = hasFailed ? (0, 0) : piece.bytes.withUnsafeBytes { write($0) }
                lock.withLock {
                    state.queuedBytes -= piece.bytes.count
                    if state.failure == 0 { state.failure = status }
                    if state.failure != 0 {
                        state.lostLines += piece.lines - wholeLines(piece.bytes[..<written])
                    }
                }
            }
        }
    }

    /// Returns 0 or the errno that stopped the write, and the number of bytes written; ECANCELED if nobody read it after it was
    /// given up.
    private func write(_ bytes: UnsafeRawBufferPointer) -> (status: CInt, written: Int) {
        var written = 0
        guard mayBlock else {
            let status = writeFully(descriptor, bytes, onProgress: { written = $0 })
            if status != 0 { cutLastLine() }
            return (status, written)
        }
        let status = writeFully(
            descriptor, bytes, while: { self.lock.withLock { self.state.deadline }.map { .now < $0 } ?? true },
            onProgress: { written = $0 })
        return (status, written)
    }

    private func wholeLines(_ bytes: ArraySlice<UInt8>) -> Int { bytes.count { $0 == UInt8(ascii: "\n") } }

    /// Removes a partly written line.
    private func cutLastLine() {
        var (end, byte) = (lseek(descriptor, 0, SEEK_END), UInt8(0))
        let reading = open(path, O_RDONLY | O_CLOEXEC)
        guard reading >= 0 else { return }
        defer { close(reading) }
        while end > 0, pread(reading, &byte, 1, end - 1) == 1, byte != UInt8(ascii: "\n") { end -= 1 }
        _ = ftruncate(descriptor, end)
    }

    /// Set if lines are missing.
    var error: H2Error? {
        let state = lock.withLock { self.state }
        let complete = "the other figures are not affected"
        let (cause, remedy) =
            switch state.failure {
            case 0 where state.droppedLines == 0: (String?.none, "")
            case 0 where mayBlock: ("its reader was too slow", "read it faster, or write it to a file")
            case 0: ("the disk was too slow", "write it to a faster disk")
            case ECANCELED: ("its reader stopped reading", "read it to its end, or write it to a file")
            case EPIPE: (describeErrno(EPIPE), "keep its reader running until the end")
            case let number: (describeErrno(number), "make room there, or write it elsewhere")
            }
        guard let cause else { return nil }
        let missing = state.droppedLines + state.lostLines
        return H2Error(
            .localIO, initiator: .user, cause: state.failure == 0 ? .unknown : .errno(state.failure),
            message: missing == 0
                ? "cannot write the request log '\(path)': \(cause)"
                : "\(missing) \(missing == 1 ? "line is" : "lines are") missing from the request log '\(path)': \(cause)",
            remedy: "\(remedy); \(complete)")
    }
}
