import CNghttp2
import H2Client
import H2Platform

/// One request and its response. Reused for later streams of its connection.
///
/// Unchecked exclusivity: for the reason that `ServerConnection` states.
final class ServerStream {
    // Set while the stream is open; the connection outlives the stream.
    @exclusivity(unchecked) private(set) unowned(unsafe) var connection: ServerConnection!
    @exclusivity(unchecked) private(set) var id: Int32 = 0
    /// The index among the connection's streams.
    @exclusivity(unchecked) var slot = 0
    /// The stream's position with the origin's workers.
    @exclusivity(unchecked) var position = Workers.Position.none

    // MARK: Request
    let request = RequestFields()
    @exclusivity(unchecked) var hasRequestEnded = false
    @exclusivity(unchecked) var priorityUpdate: String?
    @exclusivity(unchecked) private var intake = Intake.hold
    /// Bytes of the request body that wait for a route or to be echoed. Bounded by the stream's window (on HTTP/1.1 by the
    /// same size), because they are consumed only when they leave.
    @exclusivity(unchecked) private var held: [UInt8] = []
    @exclusivity(unchecked) private var heldStart = 0
    /// The request body, if a handler gets it as a whole.
    @exclusivity(unchecked) private(set) var collected: [UInt8] = []
    @exclusivity(unchecked) private(set) var receivedBytes = 0
    /// When the route took the body, or the body last made progress.
    @exclusivity(unchecked) private(set) var receivedAt: UInt64 = 0
    /// This stream's share of the listener's `heldBytes`.
    @exclusivity(unchecked) private var heldShare = 0
    /// The part of `heldShare` that is for the request's fields.
    @exclusivity(unchecked) private var heldFields = 0
    @exclusivity(unchecked) private var whenRequestEnds: ((ServerStream) -> Void)?

    /// How the request body is handled.
    enum Intake {
        /// Keep it for a route.
        case hold
        case discard
        case digest(BodyDigest)
        /// Keep it to be sent back.
        case echo
        /// Keep all of it for a handler.
        case collect
    }

    // MARK: Response
    @exclusivity(unchecked) private var source = Source.none
    @exclusivity(unchecked) private var offset = 0
    @exclusivity(unchecked) private var end = 0
    @exclusivity(unchecked) private var released = Int.max
    @exclusivity(unchecked) private var isDeferred = false
    @exclusivity(unchecked) private(set) var hasResponded = false
    /// When the response's body last made progress, or became able to.
    @exclusivity(unchecked) private var sentAt: UInt64 = 0
    /// The position of the body's last sent byte in the connection's output.
    @exclusivity(unchecked) private var sentPosition = 0
    @exclusivity(unchecked) private(set) var resetsAfterEnd = false
    @exclusivity(unchecked) private var trailers: [(name: String, value: String)] = []
    @exclusivity(unchecked) private var cutOffset = Int.max
    @exclusivity(unchecked) private var cutKind = Cut.stall
    @exclusivity(unchecked) private var timer: LoopTimer?

    /// The source of the response body.
    enum Source {
        case none
        case pattern
        case text([UInt8])
        /// Closed when the stream ends.
        case file(CInt, start: Int)
        case echo
    }

    /// How a body is cut short.
    enum Cut {
        case reset(UInt32)
        case stall
        case close(ServerConnection.Ending)
    }

    // MARK: - Life

    func begin(id: Int32, connection: ServerConnection, headerLimit: Int) {
        self.id = id
        self.connection = connection
        request.reset(limit: headerLimit)
    }

    /// Releases everything that a closed stream holds, and prepares it for reuse.
    func release() {
        if let timer { connection.loop.cancel(timer) }
        timer = nil
        if case .file(let descriptor, _) = source { close(descriptor) }
        source = .none
        if unreadBytes > 0 { connection.dropped(self, unreadBytes) }
        if heldShare > 0 { _ = connection.listener.hold(-heldShare) }
        (heldShare, heldFields) = (0, 0)
        held.removeAll(keepingCapacity: held.capacity <= 16 << 10)
        heldStart = 0
        collected = []
        intake = .hold
        (hasRequestEnded, hasResponded, isDeferred, resetsAfterEnd) = (false, false, false, false)
        (offset, end, released, receivedBytes, cutOffset) = (0, 0, .max, 0, .max)
        (receivedAt, sentAt, sentPosition) = (0, 0, 0)
        priorityUpdate = nil
        whenRequestEnds = nil
        trailers = []
        connection.listener.workers?.left(self)
    }

    /// Reserves `count` of the bytes that the origin may hold, until the stream ends; false beyond the limit.
    func hold(_ count: Int) -> Bool {
        guard connection.listener.hold(count) else { return false }
        heldShare += count
        return true
    }

    /// Reserves the bytes of the received fields; false beyond the limit.
    func holdFields() -> Bool {
        let growth = request.memory - heldFields
        guard growth <= 0 || hold(growth) else { return false }
        heldFields += max(growth, 0)
        return true
    }

    private func letGo(_ count: Int) {
        _ = connection.listener.hold(-count)
        heldShare -= count
    }

    /// Schedules `action`. A stream has one timer: a new one replaces the last, and the stream's end cancels it.
    func schedule(after delay: Duration, _ action: @escaping (ServerStream) -> Void) {
        let loop = connection.loop
        if let timer { loop.cancel(timer) }
        // The turn may have begun before the request arrived, and a delay must not be shorter than requested.
        loop.readClock()
        timer = loop.schedule(after: delay.clampedNanoseconds) { [unowned self] in
            timer = nil
            let connection = connection!
            action(self)
            connection.scheduleFlush()
        }
    }

    func reset(_ code: UInt32) { connection.reset(self, code) }

    /// Routes the request after faults, through a worker if workers are limited.
    func enter() {
        if let workers = connection.listener.workers { workers.admit(self) } else { route() }
    }

    // MARK: - Request body

    var unreadBytes: Int { held.count - heldStart }

    func receive(_ bytes: UnsafeBufferPointer<UInt8>) {
        receivedBytes += bytes.count
        if !bytes.isEmpty { receivedAt = connection.loop.now }
        switch intake {
        case .hold, .echo, .collect:
            guard hold(bytes.count) else {
                connection.counters.requestsOverLimit.add(1)
                take(.discard)
                consume(bytes.count)
                return connection.overwhelmed(self)
            }
            if case .collect = intake {
                collected.append(contentsOf: bytes)
                return consume(bytes.count)
            }
            held.append(contentsOf: bytes)
            if case .echo = intake { resume() }
        case .discard: consume(bytes.count)
        case .digest(let digest):
            digest.update(UnsafeRawBufferPointer(bytes))
            consume(bytes.count)
        }
    }

    /// Keeps the trailers if they are, or may be, sent back.
    /// - Returns: false beyond the limit of held bytes, which has ended the request.
    func trailersArrived() -> Bool {
        if holdFields() { return true }
        connection.counters.requestsOverLimit.add(1)
        request.ignoreTrailers()
        connection.overwhelmed(self)
        return false
    }

    private func dropTrailers() {
        request.ignoreTrailers()
        let count = heldFields - request.memory
        guard count > 0 else { return }
        heldFields -= count
        letGo(count)
    }

    func endRequest() {
        hasRequestEnded = true
        if case .echo = intake { resume() }
        if let action = whenRequestEnds {
            whenRequestEnds = nil
            action(self)
        }
    }

    /// Sets how the request body, part of which may have arrived, is handled; `then` runs when it is complete.
    func take(_ intake: Intake, then action: ((ServerStream) -> Void)? = nil) {
        self.intake = intake
        // The client's time counts from here: before, the request may have waited for a worker, or for 100.
        receivedAt = connection.loop.now
        switch intake {
        case .echo, .collect: break
        case .hold, .discard, .digest: dropTrailers()
        }
        let unread = unreadBytes
        if unread > 0 {
            switch intake {
            case .hold, .echo: break
            case .digest(let digest):
                held.withUnsafeBytes { digest.update(UnsafeRawBufferPointer(rebasing: $0[heldStart...])) }
                dropHeld(unread)
            case .discard: dropHeld(unread)
            case .collect:
                collected = Array(held[heldStart...])
                dropHeld(unread)
                // `dropHeld` has just returned as much.
                _ = hold(unread)
            }
        }
        if hasRequestEnded { action?(self) } else { whenRequestEnds = action }
    }

    private func dropHeld(_ count: Int) {
        heldStart += count
        letGo(count)
        // The body may have waited for long, and kept the client from sending.
        receivedAt = connection.loop.now
        if heldStart == held.count {
            held.removeAll(keepingCapacity: true)
            heldStart = 0
        } else if heldStart > 256 << 10 {
            held.removeFirst(heldStart)
            heldStart = 0
        }
        consume(count)
    }

    private func consume(_ count: Int) { connection.consumed(self, count) }

    // MARK: - Response

    /// Begins the response's fields, to be submitted with `respond`. No other response may begin in between.
    func fields(_ status: Int) -> FieldList {
        let fields = connection.listener.fields
        fields.begin(status: status)
        return fields
    }

    func inform(_ fields: FieldList) { connection.inform(self, fields) }

    /// Submits the response. `count` is the body's length, if known beforehand (for an echo it is not).
    func respond(_ fields: FieldList, _ source: Source = .none, count: Int = 0, isHead: Bool = false) {
        guard !hasResponded else { return }
        hasResponded = true
        sentAt = connection.loop.now
        self.source = source
        end = count
        var hasBody = !isHead && (count > 0 || !trailers.isEmpty)
        if case .echo = source { hasBody = !isHead }
        connection.respond(self, fields, hasBody: hasBody, isHead: isHead)
    }

    /// Sets the fields that follow the body. Call this before `respond`.
    func setTrailers(_ trailers: [(name: String, value: String)]) { self.trailers = trailers }

    /// Sends RST_STREAM(NO_ERROR) after the response, which asks the client to stop sending (RFC 9113 section 8.1). On
    /// HTTP/1.1 the connection ends instead, as the response announces. Call this before `respond`.
    func resetAfterEnd() { resetsAfterEnd = true }

    func cut(after bytes: Int, _ kind: Cut) {
        cutOffset = max(0, bytes)
        cutKind = kind
    }

    /// Releases the body's first `count` bytes and holds the rest back.
    func release(_ count: Int) {
        released = count
        resume()
    }

    var isBodyReleased: Bool { released >= end }

    private func resume() {
        guard isDeferred else { return }
        isDeferred = false
        sentAt = connection.loop.now
        connection.resume(self)
    }

    /// Whether the client has sent none of its body for longer than `limit`, although this stream lets it send.
    func lacksBody(now: UInt64, limit: UInt64) -> Bool {
        guard !hasRequestEnded, now &- receivedAt > limit else { return false }
        switch intake {
        case .discard, .digest, .collect: return true
        // Unread bytes wait for the response to be sent.
        case .echo: return unreadBytes == 0
        case .hold: return false
        }
    }

    /// Restarts the time limit if the output that the client has received included bytes of this stream.
    func wasTaken(now: UInt64) { if sentPosition > connection.takenBefore { sentAt = now } }

    /// Whether a part of the response's body is available, but none has been sent for longer than `limit`.
    func keepsBody(now: UInt64, limit: UInt64) -> Bool {
        guard hasResponded, !isDeferred, now &- sentAt > limit else { return false }
        if case .echo = source { return unreadBytes > 0 }
        return offset < end
    }

    /// The part of the body that can be sent now.
    enum Portion {
        /// None yet: `ServerConnection.resume` follows when there is more.
        case later
        /// This many bytes, which `copyBody` then copies. The fields of `trailerFields` follow the last.
        case bytes(Int, isLast: Bool)
    }

    /// Produces at most `length` bytes.
    func produce(_ length: Int) -> Portion {
        var available: Int
        let isWhole: Bool
        if case .echo = source {
            available = unreadBytes
            isWhole = hasRequestEnded
        } else {
            available = min(end, released) - offset
            isWhole = released >= end
        }
        if available > cutOffset - offset || isWhole && offset == cutOffset {
            available = cutOffset - offset
            guard available > 0 else {
                performCut()
                return deferred()
            }
            return .bytes(min(available, length), isLast: false)
        }
        guard available > 0 || isWhole else { return deferred() }
        let count = min(available, length)
        return .bytes(count, isLast: count == available && isWhole)
    }

    private func deferred() -> Portion {
        isDeferred = true
        return .later
    }

    var hasTrailers: Bool {
        if case .echo = source, request.hasTrailers { return true }
        return !trailers.isEmpty
    }

    func trailerFields() -> FieldList {
        let list = FieldList()
        for (name, value) in trailers {
            var (name, value) = (name, value)
            name.withUTF8 { name in value.withUTF8 { list.add(nameBytes: name, bytes: $0) } }
        }
        if case .echo = source {
            request.arena.withUnsafeBufferPointer { arena in
                for entry in request.trailers {
                    list.add(
                        nameBytes: UnsafeBufferPointer(rebasing: arena[entry.name]),
                        bytes: UnsafeBufferPointer(rebasing: arena[entry.value]))
                }
            }
        }
        return list
    }

    private func performCut() {
        switch cutKind {
        case .reset(let code): reset(code)
        case .stall: break
        case .close(let ending): connection.requestClose(ending)
        }
    }

    /// Copies the next `count` bytes of the body; false if a file no longer has them.
    func copyBody(to target: UnsafeMutableRawPointer, count: Int) -> Bool {
        switch source {
        case .none: return count == 0
        case .pattern: BodyPattern.copy(from: offset, to: target, count: count)
        case .text(let bytes):
            bytes.withUnsafeBytes { target.copyMemory(from: $0.baseAddress! + offset, byteCount: count) }
        case .file(let descriptor, let start):
            var done = 0
            while done < count {
                let got = pread(descriptor, target + done, count - done, off_t(start + offset + done))
                if got < 0 && errno == EINTR { continue }
                guard got > 0 else { return false }
                done += got
            }
        case .echo:
            held.withUnsafeBytes { target.copyMemory(from: $0.baseAddress! + heldStart, byteCount: count) }
            dropHeld(count)
        }
        offset += count
        sentAt = connection.loop.now
        sentPosition = connection.outputPosition
        return true
    }

    /// Whether all released bytes of the body have been taken.
    var isReleasedTaken: Bool { offset >= min(released, end) }
}

/// The bytes of `/bytes/N` and similar routes: byte i is i modulo 251, a prime, so that a lost, duplicated or moved block
/// of any usual size is noticed.
enum BodyPattern {
    static let period = 251
    // One period longer than any DATA frame, so that each takes one copy. Filled once, then only read.
    private static let table: [UInt8] = (0..<(16 << 10) + period).map { UInt8($0 % period) }

    static func copy(from offset: Int, to target: UnsafeMutableRawPointer, count: Int) {
        table.withUnsafeBytes { target.copyMemory(from: $0.baseAddress! + offset % period, byteCount: count) }
    }
}

/// Computes the SHA-256 of a request body as it arrives.
final class BodyDigest {
    private let context = EVP_MD_CTX_new()

    init() { EVP_DigestInit_ex(context, EVP_sha256(), nil) }

    deinit { EVP_MD_CTX_free(context) }

    func update(_ bytes: UnsafeRawBufferPointer) { EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) }

    /// The digest in lower-case hexadecimal. Call this once, at the end.
    func finish() -> String {
        var digest = [UInt8](repeating: 0, count: 32)
        EVP_DigestFinal_ex(context, &digest, nil)
        return digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
