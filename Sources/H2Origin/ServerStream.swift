import CNghttp2
import H2Client
import H2Platform

/// One request and its response. Reused for later streams of its connection.
final class ServerStream {
    // Set while the stream is open, and its connection outlives it.
    @exclusivity(unchecked) private(set) unowned(unsafe) var connection: ServerConnection!
    @exclusivity(unchecked) private(set) var id: Int32 = 0
    /// Where this stands among the connection's streams.
    @exclusivity(unchecked) var slot = 0
    /// Where this stands with the origin's workers.
    @exclusivity(unchecked) var place = Workers.Place.none

    // MARK: Request
    let request = RequestFields()
    @exclusivity(unchecked) var hasRequestEnded = false
    @exclusivity(unchecked) var priorityUpdate: String?
    @exclusivity(unchecked) private var intake = Intake.hold
    /// Bytes of the request body that wait: unrouted, or to be echoed. Bounded by the stream's window (on HTTP/1.1
    /// by as much), since they are consumed only when they leave.
    @exclusivity(unchecked) private var held: [UInt8] = []
    @exclusivity(unchecked) private var heldStart = 0
    @exclusivity(unchecked) private(set) var receivedBytes = 0
    /// When the route took the body, or it moved on last.
    @exclusivity(unchecked) private(set) var receivedAt: UInt64 = 0
    /// What of the listener's `heldBytes` is this stream's.
    @exclusivity(unchecked) private var heldShare = 0
    /// What of `heldShare` is for the fields of the request.
    @exclusivity(unchecked) private var heldFields = 0
    @exclusivity(unchecked) private var whenRequestEnds: ((ServerStream) -> Void)?

    /// What becomes of the request body.
    enum Intake {
        /// It waits for a route.
        case hold
        case discard
        case digest(BodyDigest)
        /// It waits to be sent back.
        case echo
    }

    // MARK: Response
    @exclusivity(unchecked) private var source = Source.none
    @exclusivity(unchecked) private var offset = 0
    @exclusivity(unchecked) private var end = 0
    @exclusivity(unchecked) private var released = Int.max
    @exclusivity(unchecked) private var isDeferred = false
    @exclusivity(unchecked) private(set) var hasResponded = false
    /// When the body of the response moved on last, or could.
    @exclusivity(unchecked) private var sentAt: UInt64 = 0
    /// Where its last byte stands among those of the connection.
    @exclusivity(unchecked) private var sentPosition = 0
    @exclusivity(unchecked) private(set) var resetsAfterEnd = false
    @exclusivity(unchecked) private var trailers: [(name: String, value: String)] = []
    @exclusivity(unchecked) private var cutOffset = Int.max
    @exclusivity(unchecked) private var cutKind = Cut.stall
    @exclusivity(unchecked) private var timer: LoopTimer?

    /// Where the response body comes from.
    enum Source {
        case none
        case pattern
        case text([UInt8])
        /// Closed when the stream ends.
        case file(CInt, start: Int)
        case echo
    }

    /// What happens instead of the rest of a body.
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

    /// The stream has closed, in whatever way: gives back what it holds, and is as new.
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
        intake = .hold
        (hasRequestEnded, hasResponded, isDeferred, resetsAfterEnd) = (false, false, false, false)
        (offset, end, released, receivedBytes, cutOffset) = (0, 0, .max, 0, .max)
        (receivedAt, sentAt, sentPosition) = (0, 0, 0)
        priorityUpdate = nil
        whenRequestEnds = nil
        trailers = []
        connection.listener.workers?.left(self)
    }

    /// Takes a share of what the origin may hold, until the stream ends; false past the limit.
    func hold(_ count: Int) -> Bool {
        guard connection.listener.hold(count) else { return false }
        heldShare += count
        return true
    }

    /// Takes the share of the fields that have come; false past the limit.
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

    /// One timer a stream: a new one replaces the last. It is cancelled when the stream ends.
    func schedule(after delay: Duration, _ action: @escaping (ServerStream) -> Void) {
        let loop = connection.loop
        if let timer { loop.cancel(timer) }
        // The turn may have begun before the request had come: a delay is never shorter than was asked for.
        loop.readClock()
        timer = loop.schedule(after: delay.clampedNanoseconds) { [unowned self] in
            timer = nil
            let connection = connection!
            action(self)
            connection.scheduleFlush()
        }
    }

    func reset(_ code: UInt32) { connection.reset(self, code) }

    /// Faults have had their say: a worker takes it, where workers are limited.
    func enter() {
        if let workers = connection.listener.workers { workers.admit(self) } else { route() }
    }

    // MARK: - Request body

    var unreadBytes: Int { held.count - heldStart }

    func receive(_ bytes: UnsafeBufferPointer<UInt8>) {
        receivedBytes += bytes.count
        if !bytes.isEmpty { receivedAt = connection.loop.now }
        switch intake {
        case .hold, .echo:
            guard hold(bytes.count) else {
                connection.counters.requestsOverLimit.add(1)
                take(.discard)
                consume(bytes.count)
                return connection.overwhelmed(self)
            }
            held.append(contentsOf: bytes)
            if case .echo = intake { resume() }
        case .discard: consume(bytes.count)
        case .digest(let digest):
            digest.update(UnsafeRawBufferPointer(bytes))
            consume(bytes.count)
        }
    }

    /// Trailers are kept where they are sent back, or may be.
    /// - Returns: false past the limit on what is held, which has ended the request.
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

    /// Decides what becomes of the request body, of which some may have arrived; `then` runs once it is complete.
    func take(_ intake: Intake, then action: ((ServerStream) -> Void)? = nil) {
        self.intake = intake
        // Only from here on is it for the client to go on: before, the request may have waited for a worker, or for 100.
        receivedAt = connection.loop.now
        if case .echo = intake {} else { dropTrailers() }
        let unread = unreadBytes
        if unread > 0 {
            switch intake {
            case .hold, .echo: break
            case .digest(let digest):
                held.withUnsafeBytes { digest.update(UnsafeRawBufferPointer(rebasing: $0[heldStart...])) }
                dropHeld(unread)
            case .discard: dropHeld(unread)
            }
        }
        if hasRequestEnded { action?(self) } else { whenRequestEnds = action }
    }

    private func dropHeld(_ count: Int) {
        heldStart += count
        letGo(count)
        // It may have waited for long, and kept the client from sending.
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

    /// Begins the fields of the response; `respond` submits them, with nothing in between that begins another.
    func fields(_ status: Int) -> FieldList {
        let fields = connection.listener.fields
        fields.begin(status: status)
        return fields
    }

    func inform(_ fields: FieldList) { connection.inform(self, fields) }

    /// Submits the response. `count` is the body's length where it is known beforehand (it is not for an echo).
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

    /// Fields that follow the body; to be set before `respond`.
    func setTrailers(_ trailers: [(name: String, value: String)]) { self.trailers = trailers }

    /// The response's end is followed by RST_STREAM(NO_ERROR), which asks the client to stop sending (RFC 9113 8.1). On
    /// HTTP/1.1 the connection ends instead, as the response says beforehand. To be set before `respond`.
    func resetAfterEnd() { resetsAfterEnd = true }

    func cut(after bytes: Int, _ kind: Cut) {
        cutOffset = max(0, bytes)
        cutKind = kind
    }

    /// Holds the body back but for its first `count` bytes.
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

    /// Whether the client has sent none of its body for longer than `limit`, and nothing of ours keeps it from that.
    func lacksBody(now: UInt64, limit: UInt64) -> Bool {
        guard !hasRequestEnded, now &- receivedAt > limit else { return false }
        switch intake {
        case .discard, .digest: return true
        // What is unread waits for the response to leave.
        case .echo: return unreadBytes == 0
        case .hold: return false
        }
    }

    /// The client has taken more of what was written: its next step counts from here if this stream's was among it.
    func wasTaken(now: UInt64) { if sentPosition > connection.takenBefore { sentAt = now } }

    /// Whether a part of the response's body is there, and none has left for longer than `limit`.
    func keepsBody(now: UInt64, limit: UInt64) -> Bool {
        guard hasResponded, !isDeferred, now &- sentAt > limit else { return false }
        if case .echo = source { return unreadBytes > 0 }
        return offset < end
    }

    /// What of the body can go now.
    enum Portion {
        /// None yet: `ServerConnection.resume` will say when, if ever.
        case later
        /// So many bytes, which `copyBody` then copies. After the last, the fields of `trailerFields` follow.
        case bytes(Int, isLast: Bool)
    }

    /// At most `length` bytes.
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

    /// Copies the next `count` bytes of the body; false where a file no longer has them.
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

    /// Whether all that was released of the body has been taken.
    var isReleasedTaken: Bool { offset >= min(released, end) }
}

/// The bytes of `/bytes/N` and its like: byte i is i modulo 251, a prime, so that a lost, doubled or moved block of any
/// usual size shows.
enum BodyPattern {
    static let period = 251
    // Longer than any DATA frame by a period, so that each is one copy. Filled once, then only read.
    private static let table: [UInt8] = (0..<(16 << 10) + period).map { UInt8($0 % period) }

    static func copy(from offset: Int, to target: UnsafeMutableRawPointer, count: Int) {
        table.withUnsafeBytes { target.copyMemory(from: $0.baseAddress! + offset % period, byteCount: count) }
    }
}

/// SHA-256 of a request body, as it arrives.
final class BodyDigest {
    private let context = EVP_MD_CTX_new()

    init() { EVP_DigestInit_ex(context, EVP_sha256(), nil) }

    deinit { EVP_MD_CTX_free(context) }

    func update(_ bytes: UnsafeRawBufferPointer) { EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) }

    /// Lower-case hexadecimal. To be called once, at the end.
    func finish() -> String {
        var digest = [UInt8](repeating: 0, count: 32)
        EVP_DigestFinal_ex(context, &digest, nil)
        return digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
