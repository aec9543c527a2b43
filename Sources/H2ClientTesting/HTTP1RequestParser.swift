import H2Client
import H2Platform

/// Parses consecutive HTTP/1.1 and 1.0 requests (RFC 9112) from bytes in pieces of any size.
///
/// It is strict: anything that two parsers could read differently is refused, because it could smuggle requests past
/// checks. Lines are parsed in place; only a line that arrives in pieces is copied.
///
/// Unchecked exclusivity: used on one thread, and no method modifies a property while another one runs.
final class HTTP1RequestParser {
    /// The result of parsing bytes.
    enum Event {
        /// Nothing yet: more bytes or another call are needed.
        case none
        /// The request's fields are complete.
        case head
        /// This many bytes, the last of those used, belong to the body.
        case body(Int)
        /// The request is complete.
        case end
        case refused(Refusal)
    }

    /// The status and reason for refusing a message. The start of the next message is then unknown.
    struct Refusal {
        var status: Int
        var reason: StaticString
    }

    private enum State {
        case requestLine, fields
        case content(Int)
        case chunkSize, chunk(Int), chunkEnd, trailers
        /// The end of the request is still to be reported.
        case ending
        /// Until `beginRequest`.
        case complete
    }
    @exclusivity(unchecked) private var state = State.requestLine
    @exclusivity(unchecked) private var request: RequestFields
    /// The beginning of an incomplete line.
    @exclusivity(unchecked) private var pending = OutputBuffer(capacity: 256)
    private let lineLimit: Int
    private static let chunkLineLimit = 1024

    // Properties of the request.
    @exclusivity(unchecked) private(set) var isHTTP10 = false
    @exclusivity(unchecked) private(set) var hasBody = false
    @exclusivity(unchecked) private(set) var expectsContinue = false
    @exclusivity(unchecked) private var saysClose = false
    @exclusivity(unchecked) private var saysKeepAlive = false
    @exclusivity(unchecked) private var hasHost = false
    @exclusivity(unchecked) private var isChunked = false
    @exclusivity(unchecked) private var contentLength: Int?
    @exclusivity(unchecked) private var hasSkippedEmptyLine = false

    /// For each byte: 0 if it is not allowed in a token (RFC 9110 section 5.6.2), otherwise the byte in lower case.
    private let tokenTable: UnsafeMutablePointer<UInt8>

    init(request: RequestFields, lineLimit: Int) {
        self.request = request
        self.lineLimit = lineLimit
        tokenTable = .allocate(capacity: 256)
        tokenTable.initialize(repeating: 0, count: 256)
        for byte in "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz".utf8 { tokenTable[Int(byte)] = byte }
        for byte in UInt8(ascii: "A")...UInt8(ascii: "Z") { tokenTable[Int(byte)] = byte | 0x20 }
    }

    deinit { tokenTable.deallocate() }

    /// Begins the next request.
    func beginRequest() {
        state = .requestLine
        pending.removeFirst(pending.count)
        (isHTTP10, hasBody, expectsContinue, saysClose, saysKeepAlive) = (false, false, false, false, false)
        (hasHost, isChunked, contentLength, hasSkippedEmptyLine) = (false, false, nil, false)
    }

    /// Whether no byte of a request has arrived.
    var isAtStart: Bool { if case .requestLine = state { pending.isEmpty } else { false } }
    var isComplete: Bool { if case .complete = state { true } else { false } }
    /// Whether the connection is to persist (RFC 9112 section 9.3).
    var isPersistent: Bool { !saysClose && (!isHTTP10 || saysKeepAlive) }

    /// Parses bytes from the front of `bytes`, which may be changed to lower case; returns how many were used.
    func next(_ bytes: UnsafeMutableRawBufferPointer) -> (used: Int, event: Event) {
        switch state {
        case .complete: return (0, .none)
        case .ending:
            state = .complete
            return (0, .end)
        case .content(let left):
            let count = min(left, bytes.count)
            state = count == left ? .ending : .content(left - count)
            return (count, .body(count))
        case .chunk(let left):
            let count = min(left, bytes.count)
            state = count == left ? .chunkEnd : .chunk(left - count)
            return (count, .body(count))
        case .requestLine, .fields, .chunkSize, .chunkEnd, .trailers: return nextLine(bytes)
        }
    }

    /// Whether `next` has an event to report without further bytes.
    var hasMore: Bool { if case .ending = state { true } else { false } }

    // MARK: - Lines

    private func nextLine(_ bytes: UnsafeMutableRawBufferPointer) -> (used: Int, event: Event) {
        guard let start = bytes.baseAddress, !bytes.isEmpty else { return (0, .none) }
        guard let feed = memchr(start, 10, bytes.count) else {
            if let refusal = refusalOfPart(bytes) { return (bytes.count, .refused(refusal)) }
            pending.append(start, count: bytes.count)
            return (bytes.count, .none)
        }
        let count = start.distance(to: UnsafeMutableRawPointer(mutating: feed)) + 1
        guard !pending.isEmpty else {
            return (count, line(UnsafeMutableRawBufferPointer(start: start, count: count)))
        }
        pending.append(start, count: count)
        defer { pending.removeFirst(pending.count) }
        return (count, line(UnsafeMutableRawBufferPointer(mutating: pending.bytes)))
    }

    /// The error that an incomplete line already has, if any.
    private func refusalOfPart(_ bytes: UnsafeMutableRawBufferPointer) -> Refusal? {
        let count = pending.count + bytes.count
        switch state {
        case .requestLine:
            // Other protocols, such as TLS, may never send a line end.
            for (index, byte) in bytes.enumerated() where !(0x20...0x7e).contains(byte) {
                guard byte == 13, index == bytes.count - 1 else { return Self.badLine }
            }
            return count > lineLimit ? Refusal(status: 414, reason: "the request line is too long") : nil
        case .chunkSize, .chunkEnd:
            return count > Self.chunkLineLimit ? Refusal(status: 400, reason: "a chunk's size is too long") : nil
        default: return count > lineLimit ? Self.tooLarge : nil
        }
    }

    private static let badLine = Refusal(status: 400, reason: "the request line is malformed")
    private static let tooLarge = Refusal(status: 431, reason: "the request's header fields are too large")

    /// Parses a line including its line end.
    private func line(_ whole: UnsafeMutableRawBufferPointer) -> Event {
        // RFC 9112 section 2.2 allows treating a bare LF as a line end, and a bare CR as a space. Both are refused here,
        // like every other control character.
        guard whole.count >= 2, whole[whole.count - 2] == 13 else {
            return .refused(Refusal(status: 400, reason: "a line ends without CR"))
        }
        let line = UnsafeMutableRawBufferPointer(rebasing: whole[..<(whole.count - 2)])
        switch state {
        case .requestLine: return requestLine(line)
        case .fields: return line.isEmpty ? headEnded() : field(line)
        case .chunkSize: return chunkSize(line)
        case .chunkEnd:
            guard line.isEmpty else { return Self.refused("a chunk is longer than its size") }
            state = .chunkSize
            return .none
        case .trailers:
            guard line.isEmpty else { return field(line) }
            state = .complete
            return .end
        case .content, .chunk, .ending, .complete: return .none
        }
    }

    private static func refused(_ reason: StaticString) -> Event { .refused(Refusal(status: 400, reason: reason)) }

    // MARK: - Request line

    private func requestLine(_ line: UnsafeMutableRawBufferPointer) -> Event {
        if line.isEmpty, !hasSkippedEmptyLine {
            // RFC 9112 section 2.2: one empty line may precede a request.
            hasSkippedEmptyLine = true
            return .none
        }
        guard line.count <= lineLimit else {
            return .refused(Refusal(status: 414, reason: "the request line is too long"))
        }
        guard let first = line.firstIndex(of: 32), let last = line.lastIndex(of: 32), first < last, first > 0 else {
            return .refused(Self.badLine)
        }
        let method = UnsafeMutableRawBufferPointer(rebasing: line[..<first])
        let target = UnsafeMutableRawBufferPointer(rebasing: line[(first + 1)..<last])
        let version = UnsafeMutableRawBufferPointer(rebasing: line[(last + 1)...])
        guard method.allSatisfy({ tokenTable[Int($0)] != 0 }) else { return .refused(Self.badLine) }
        // Two spaces in a row would leave one in the target.
        guard !target.isEmpty, target.allSatisfy({ (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "#") }) else {
            return Self.refused("the request's target is malformed")
        }
        guard version.count == 8, memcmp(version.baseAddress!, "HTTP/", 5) == 0, Self.isDigit(version[5]),
            version[6] == UInt8(ascii: "."), Self.isDigit(version[7])
        else { return .refused(Self.badLine) }
        guard version[5] == UInt8(ascii: "1") else {
            return .refused(Refusal(status: 505, reason: "this is not the version of HTTP that is spoken here"))
        }
        // A higher minor version is treated as 1.1 (RFC 9110 section 2.5).
        isHTTP10 = version[7] == UInt8(ascii: "0")
        state = .fields
        if case .refused(let refusal) = add(":method", method) { return .refused(refusal) }
        return addTarget(target, method: method)
    }

    /// Adds the target (RFC 9112 section 3.2): `/path`, `http://host/path`, or for two methods `host:port` and `*`.
    private func addTarget(
        _ target: UnsafeMutableRawBufferPointer, method: UnsafeMutableRawBufferPointer
    ) -> Event {
        if target[0] == UInt8(ascii: "/") { return add(":path", target) }
        if Self.isEqual(method, "CONNECT") || (Self.isEqual(method, "OPTIONS") && Self.isEqual(target, "*")) {
            return add(":path", target)
        }
        for scheme in ["https://", "http://"] as [StaticString] {
            let length = scheme.utf8CodeUnitCount
            guard target.count > length,
                Self.isSame(UnsafeMutableRawBufferPointer(rebasing: target[..<length]), scheme)
            else { continue }
            let rest = UnsafeMutableRawBufferPointer(rebasing: target[length...])
            let end = rest.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? rest.count
            let authority = UnsafeMutableRawBufferPointer(rebasing: rest[..<end])
            guard !authority.isEmpty, Self.isHost(authority) else { break }
            let path = UnsafeMutableRawBufferPointer(rebasing: rest[end...])
            if case .refused(let refusal) = add(":authority", authority) { return .refused(refusal) }
            if path.first == UInt8(ascii: "/") { return add(":path", path) }
            // The target has no path: insert a slash before the query, if any.
            let slashed = UnsafeMutableRawBufferPointer.allocate(byteCount: path.count + 1, alignment: 1)
            defer { slashed.deallocate() }
            slashed[0] = UInt8(ascii: "/")
            for (index, byte) in path.enumerated() { slashed[index + 1] = byte }
            return add(":path", slashed)
        }
        return Self.refused("the request's target is malformed")
    }

    // MARK: - Fields

    private func field(_ line: UnsafeMutableRawBufferPointer) -> Event {
        guard line[0] != 32, line[0] != 9 else { return Self.refused("a field's line is folded") }
        var index = 0
        while index < line.count, line[index] != UInt8(ascii: ":") {
            let lowered = tokenTable[Int(line[index])]
            guard lowered != 0 else { return Self.refused("a field's name is malformed") }
            line[index] = lowered
            index += 1
        }
        guard index > 0, index < line.count else { return Self.refused("a field has no name or no colon") }
        let name = UnsafeMutableRawBufferPointer(rebasing: line[..<index])
        var start = index + 1
        var end = line.count
        while start < end, Self.isBlank(line[start]) { start += 1 }
        while end > start, Self.isBlank(line[end - 1]) { end -= 1 }
        let value = UnsafeMutableRawBufferPointer(rebasing: line[start..<end])
        for byte in value where byte < 32 && byte != 9 || byte == 127 {
            return Self.refused("a field's value has a control character")
        }
        if let refusal = note(name, value) { return .refused(refusal) }
        return add(name, value)
    }

    /// Handles fields that determine the message's framing or the connection's persistence.
    private func note(_ name: UnsafeMutableRawBufferPointer, _ value: UnsafeMutableRawBufferPointer) -> Refusal? {
        func refusal(_ reason: StaticString) -> Refusal { Refusal(status: 400, reason: reason) }
        var isInTrailers = false
        if case .trailers = state { isInTrailers = true }
        switch name.count {
        case 4 where Self.isEqual(name, "host"):
            // RFC 9112 section 3.2.
            guard !hasHost, !isInTrailers else { return refusal("there is more than one host field") }
            guard Self.isHost(value) else { return refusal("the host field is malformed") }
            hasHost = true
        case 14 where Self.isEqual(name, "content-length"):
            // RFC 9112 section 6.3. Equal values could be merged, but no well-meaning client sends them.
            guard contentLength == nil, !isInTrailers else { return refusal("there is more than one content-length") }
            guard !value.isEmpty, value.count <= 18, value.allSatisfy({ Self.isDigit($0) }) else {
                return refusal("content-length is no number")
            }
            contentLength = value.reduce(0) { $0 * 10 + Int($1 - 48) }
        case 17 where Self.isEqual(name, "transfer-encoding"):
            guard !isChunked, !isInTrailers else { return refusal("there is more than one transfer-encoding") }
            guard Self.isSame(value, "chunked") else {
                return Refusal(status: 501, reason: "the only transfer-encoding that is known here is chunked")
            }
            isChunked = true
        case 10 where Self.isEqual(name, "connection"):
            forEachToken(value) { token in
                if Self.isSame(token, "close") { saysClose = true }
                if Self.isSame(token, "keep-alive") { saysKeepAlive = true }
            }
        case 6 where Self.isEqual(name, "expect"):
            if Self.isSame(value, "100-continue") { expectsContinue = true }
        default: break
        }
        return nil
    }

    private func headEnded() -> Event {
        if !isHTTP10, !hasHost { return Self.refused("there is no host field") }
        if isChunked {
            // RFC 9112 section 6.1: both fields together may be an attempt at request smuggling.
            guard contentLength == nil else { return Self.refused("both content-length and transfer-encoding") }
            guard !isHTTP10 else { return Self.refused("transfer-encoding in HTTP/1.0") }
            state = .chunkSize
        } else if let contentLength, contentLength > 0 {
            state = .content(contentLength)
        } else {
            state = .ending
        }
        hasBody = !hasMore
        // RFC 9110 section 10.1.1.
        if isHTTP10 || !hasBody { expectsContinue = false }
        return .head
    }

    private func chunkSize(_ line: UnsafeMutableRawBufferPointer) -> Event {
        var size = 0
        var digits = 0
        while digits < line.count, let digit = Self.hexadecimal(line[digits]) {
            guard digits < 15 else { return Self.refused("a chunk is too long") }
            size = size << 4 | digit
            digits += 1
        }
        guard digits > 0 else { return Self.refused("a chunk's size is malformed") }
        // Blanks may precede extensions or pad the size. Extensions are ignored (RFC 9112 section 7.1.1), but must be
        // well-formed enough.
        let extensions = line[digits...].drop { Self.isBlank($0) }
        guard extensions.isEmpty || extensions.first == UInt8(ascii: ";"),
            extensions.allSatisfy({ $0 == 9 || $0 >= 32 && $0 != 127 })
        else { return Self.refused("a chunk's size is malformed") }
        guard line.count <= Self.chunkLineLimit else { return Self.refused("a chunk's size is too long") }
        if size > 0 {
            state = .chunk(size)
        } else {
            state = .trailers
            request.beginTrailers()
        }
        return .none
    }

    // MARK: - Bytes

    private func add(_ name: StaticString, _ value: UnsafeMutableRawBufferPointer) -> Event {
        add(UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount), value)
    }

    private func add(_ name: UnsafeMutableRawBufferPointer, _ value: UnsafeMutableRawBufferPointer) -> Event {
        add(UnsafeBufferPointer(name.assumingMemoryBound(to: UInt8.self)), value)
    }

    private func add(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeMutableRawBufferPointer) -> Event {
        request.add(name, UnsafeBufferPointer(value.assumingMemoryBound(to: UInt8.self)))
        return request.isTooLarge ? .refused(Self.tooLarge) : .none
    }

    private func forEachToken(
        _ value: UnsafeMutableRawBufferPointer, _ body: (UnsafeMutableRawBufferPointer) -> Void
    ) {
        var start = 0
        while start < value.count {
            var end = start
            while end < value.count, value[end] != UInt8(ascii: ",") { end += 1 }
            var (first, last) = (start, end)
            while first < last, Self.isBlank(value[first]) { first += 1 }
            while last > first, Self.isBlank(value[last - 1]) { last -= 1 }
            if first < last { body(UnsafeMutableRawBufferPointer(rebasing: value[first..<last])) }
            start = end + 1
        }
    }

    private static func isEqual(_ bytes: UnsafeMutableRawBufferPointer, _ text: StaticString) -> Bool {
        bytes.count == text.utf8CodeUnitCount && memcmp(bytes.baseAddress!, text.utf8Start, bytes.count) == 0
    }

    /// Whether the texts are equal, ignoring case.
    private static func isSame(_ bytes: UnsafeMutableRawBufferPointer, _ text: StaticString) -> Bool {
        guard bytes.count == text.utf8CodeUnitCount else { return false }
        let other = UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
        return strncasecmp(bytes.baseAddress!, other, bytes.count) == 0
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 }
    private static func isDigit(_ byte: UInt8) -> Bool { byte >= 48 && byte <= 57 }

    /// Whether `bytes` has only characters of `host` or `host:port` (RFC 3986 section 3.2.2); it may be empty.
    private static func isHost(_ bytes: UnsafeMutableRawBufferPointer) -> Bool {
        bytes.allSatisfy { byte in
            switch byte {
            case 48...57, 65...90, 97...122: true
            default: hostCharacters.utf8.contains(byte)
            }
        }
    }
    private static let hostCharacters = "-._~%!$&'()*+,;=:[]"

    private static func hexadecimal(_ byte: UInt8) -> Int? {
        switch byte {
        case 48...57: Int(byte) - 48
        case 65...70: Int(byte) - 55
        case 97...102: Int(byte) - 87
        default: nil
        }
    }
}
