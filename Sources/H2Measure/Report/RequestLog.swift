package import H2Client
import H2Platform
import Synchronization

/// The log of each request (`--csv`): a line each, in the order in which they ended.
///
/// Made for an event loop's thread: a line is put together by hand in a buffer that is there already, and one write(2)
/// takes 64 KiB of them. Each thread has its own log (`beside`), which is not to be used by two at once; whole lines of
/// all of them go to one file, so that they never mix.
package final class RequestLog {
    /// What became of a request.
    package enum Result {
        case done
        /// Its cause, as in `BenchResult.errors`.
        case failed(String)
    }

    package static let header =
        "start_seconds,intended_start_seconds,latency_us,corrected_us,first_byte_us,status,bytes,connection,stream,"
        + "result,attempts\n"

    private static let writeSize = 64 << 10
    private static let longestCause = 1000
    /// The ten numbers of a line with their commas, and a cause of which each byte is a quote that is doubled.
    private static let longestLine = 10 * 24 + 2 * longestCause + 16

    private let file: RequestLogFile
    /// Room for what is to be written and the line that goes beyond it.
    private let buffer: UnsafeMutablePointer<UInt8>
    private var count = 0
    /// The error of the first write that failed. From then on nothing is written, and `finish` says so.
    private var failure: CInt = 0

    /// Makes the file, or empties it, and puts the header into it.
    /// - Throws: `H2Error` (`localIO`).
    package convenience init(path: String) throws(H2Error) {
        let file = try RequestLogFile(path: path)
        self.init(file: file)
        for byte in Self.header.utf8 { put(byte) }
        // At once, so that it is the first line whichever thread writes next.
        flush()
        guard failure == 0 else { throw file.error(failure) }
    }

    private init(file: RequestLogFile) {
        self.file = file
        buffer = .allocate(capacity: Self.writeSize + Self.longestLine)
    }

    deinit { buffer.deallocate() }

    /// Another log, for another thread, that appends to the same file.
    package func beside() -> sending RequestLog { RequestLog(file: file) }

    /// Appends a line. Times are nanoseconds since the measured part began, or lengths of time in nanoseconds.
    /// - Parameters:
    ///   - intendedStart: when it was to begin, which is never after `start`.
    ///   - corrected: from then to the response's end.
    ///   - firstByte: from `start` to the response's first byte; nil where none came.
    ///   - status: 0 where no response came, which leaves the column empty.
    ///   - bytes: of the response's body.
    ///   - connection: counted from 1 over all threads.
    ///   - stream: HTTP/2's identifier; with HTTP/1.1 the request's number on its connection.
    ///   - attempts: how often it was sent.
    package func append(
        start: Int64, intendedStart: Int64, latency: UInt64, corrected: UInt64, firstByte: UInt64?, status: Int,
        bytes: Int, connection: Int, stream: Int, result: Result, attempts: Int
    ) {
        guard failure == 0 else { return }
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
        if count >= Self.writeSize { flush() }
    }

    /// Writes what is left. To be called for each log, by whoever ends the measurement.
    /// - Throws: `H2Error` (`localIO`) where this or an earlier write failed.
    package func finish() throws(H2Error) {
        flush()
        guard failure == 0 else { throw file.error(failure) }
    }

    /// The measurement is given up: from now on the log waits only a little while for a reader. From any thread.
    package func giveUp() { file.giveUp() }

    private func flush() {
        guard failure == 0, count > 0 else { return }
        failure = file.append(UnsafeRawBufferPointer(start: buffer, count: count))
        count = 0
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

    /// With zeros before it, so many digits.
    private func putDigits(_ value: UInt64, _ digits: Int) {
        var (rest, at) = (value, count + digits)
        count = at
        for _ in 0..<digits {
            at -= 1
            buffer[at] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
    }

    /// Negative is what began in the warm-up.
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

    /// As RFC 4180 has it, with quotes where they are needed; a control character becomes a space, so that a line stays
    /// one. A long cause is cut where a character begins.
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
private final class RequestLogFile: Sendable {
    private let path: String
    private let descriptor: CInt
    /// A file takes what is appended to it at once and whole, but a pipe may take a part.
    private let lock = PthreadLock()
    /// A pipe or a device, whose reader may be slow or asleep.
    private let mayBlock: Bool
    private let isGivenUp = Atomic<Bool>(false)
    /// How long a write waits for a reader once it is given up.
    private static let patience = Duration.seconds(1)

    init(path: String) throws(H2Error) {
        self.path = path
        let descriptor = openForAppending(path)
        self.descriptor = descriptor
        var status = stat()
        mayBlock = descriptor >= 0 && (fstat(descriptor, &status) != 0 || status.st_mode & S_IFMT != S_IFREG)
        guard descriptor >= 0 else {
            throw H2Error(
                .localIO, initiator: .user, cause: .errno(errno),
                message: "cannot write the request log '\(path)': \(String(cString: strerror(errno)))",
                remedy: "check the path and its rights")
        }
    }

    deinit { close(descriptor) }

    /// 0, or the errno that stopped it.
    func append(_ bytes: UnsafeRawBufferPointer) -> CInt {
        lock.withLock {
            guard mayBlock else { return writeFully(descriptor, bytes) }
            var end: ContinuousClock.Instant?
            return writeFully(descriptor, bytes) {
                guard self.isGivenUp.load(ordering: .relaxed) else { return true }
                let now = ContinuousClock.now
                if end == nil { end = now + Self.patience }
                return now < end ?? now
            }
        }
    }

    func giveUp() { isGivenUp.store(true, ordering: .relaxed) }

    func error(_ number: CInt) -> H2Error {
        H2Error(
            .localIO, initiator: .user, cause: .errno(number),
            message: "the request log '\(path)' is incomplete: \(String(cString: strerror(number)))",
            remedy: "make room there, or write it elsewhere; the other figures are not affected")
    }
}

private func openForAppending(_ path: String) -> CInt {
    open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0o644)
}
