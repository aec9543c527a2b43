import H2Platform

/// The header fields of a response that decide about its body and its connection.
struct HTTP1Framing {
    private(set) var contentLength: Int?
    private(set) var isChunked = false
    private(set) var saysClose = false
    private(set) var saysKeepAlive = false
    /// `Keep-Alive: timeout=N, max=M` as sent by Apache and gunicorn (RFC 2068 section 19.7.1.1): the seconds after which the
    /// server closes an idle connection, and how many more requests it takes.
    private(set) var keepAliveTimeout: Int?
    private(set) var keepAliveRemaining: Int?

    /// Processes a field. Returns nil, or a description of the error.
    /// - Parameter name: in upper or lower case.
    @inline(__always)
    mutating func take(
        _ name: UnsafePointer<UInt8>, _ nameLength: Int, _ value: UnsafeBufferPointer<UInt8>
    ) -> String? {
        // By length first: few fields have one of these lengths.
        switch nameLength {
        case 10:
            if Self.equals(name, "connection") {
                takeConnection(value)
            } else if Self.equals(name, "keep-alive") {
                takeKeepAlive(value)
            }
            return nil
        case 14 where Self.equals(name, "content-length"): return takeContentLength(value)
        case 17 where Self.equals(name, "transfer-encoding"): return takeTransferEncoding(value)
        default: return nil
        }
    }

    /// Whether a field affects message framing, which a trailer must not (RFC 9110 section 6.5.1).
    static func isFraming(_ name: UnsafePointer<UInt8>, _ nameLength: Int) -> Bool {
        nameLength == 14 && equals(name, "content-length") || nameLength == 17 && equals(name, "transfer-encoding")
    }

    /// Compares ignoring case; `known` is lowercase and of the same length.
    private static func equals(_ name: UnsafePointer<UInt8>, _ known: StaticString) -> Bool {
        let lowerCase = TokenBytes.lowerCase
        for index in 0..<known.utf8CodeUnitCount where lowerCase[Int(name[index])] != known.utf8Start[index] {
            return false
        }
        return true
    }

    private static func equalsIgnoringCase(_ bytes: Slice<UnsafeBufferPointer<UInt8>>, _ known: StaticString) -> Bool {
        guard bytes.count == known.utf8CodeUnitCount else { return false }
        for (index, byte) in bytes.enumerated() {
            let lower = (0x41...0x5a).contains(byte) ? byte | 0x20 : byte
            if lower != known.utf8Start[index] { return false }
        }
        return true
    }

    /// A number of digits only; nil for anything else, and for a number too large for a length.
    private static func number(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) -> Int? {
        guard (1...18).contains(bytes.count) else { return nil }
        var number = 0
        for byte in bytes {
            guard (0x30...0x39).contains(byte) else { return nil }
            number = number * 10 + Int(byte &- 0x30)
        }
        return number
    }

    /// RFC 9112 section 6.3: conflicting lengths allow response smuggling. Identical ones, in a list or in several fields,
    /// count as one: they cannot be misread.
    private mutating func takeContentLength(_ value: UnsafeBufferPointer<UInt8>) -> String? {
        var rest = value[...]
        while true {
            let comma = rest.firstIndex(of: UInt8(ascii: ","))
            let digits = Self.trimmed(rest[..<(comma ?? rest.endIndex)])
            guard let length = Self.number(digits) else {
                let isTooLarge =
                    digits.allSatisfy { (0x30...0x39).contains($0) } && digits.drop { $0 == 0x30 }.count > 18
                let what = isTooLarge ? "a content-length that is too large (10^18 or more)" : "a bad content-length"
                return "\(what): '\(HTTP2Callbacks.escaped(value.baseAddress, min(value.count, 64)))'"
            }
            guard contentLength ?? length == length else { return "two values of content-length that differ" }
            contentLength = length
            guard let comma else { return nil }
            rest = rest[(comma + 1)...]
        }
    }

    private static func trimmed(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) -> Slice<UnsafeBufferPointer<UInt8>> {
        var bytes = bytes
        while let first = bytes.first, first == 0x20 || first == 0x09 { bytes = bytes.dropFirst() }
        while let last = bytes.last, last == 0x20 || last == 0x09 { bytes = bytes.dropLast() }
        return bytes
    }

    private mutating func takeTransferEncoding(_ value: UnsafeBufferPointer<UInt8>) -> String? {
        guard !isChunked else { return "transfer-encoding twice" }
        guard Self.equalsIgnoringCase(value[...], "chunked") else {
            return "a transfer-encoding that was not asked for: "
                + "'\(HTTP2Callbacks.escaped(value.baseAddress, min(value.count, 64)))'"
        }
        isChunked = true
        return nil
    }

    private mutating func takeConnection(_ value: UnsafeBufferPointer<UInt8>) {
        for element in Self.elements(value) {
            if Self.equalsIgnoringCase(element, "close") { saysClose = true }
            if Self.equalsIgnoringCase(element, "keep-alive") { saysKeepAlive = true }
        }
    }

    private mutating func takeKeepAlive(_ value: UnsafeBufferPointer<UInt8>) {
        for element in Self.elements(value) {
            guard let equals = element.firstIndex(of: UInt8(ascii: "=")) else { continue }
            let number = Self.number(element[(equals + 1)...])
            if Self.equalsIgnoringCase(element[..<equals], "timeout") { keepAliveTimeout = number }
            if Self.equalsIgnoringCase(element[..<equals], "max") { keepAliveRemaining = number }
        }
    }

    /// The elements of a list, without surrounding spaces.
    private static func elements(_ value: UnsafeBufferPointer<UInt8>) -> [Slice<UnsafeBufferPointer<UInt8>>] {
        value.split(separator: UInt8(ascii: ",")).map(trimmed)
    }
}
