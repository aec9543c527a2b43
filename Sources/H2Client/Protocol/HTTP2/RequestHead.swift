import CNghttp2
import HTTPTypes

/// Converts a request's fields to nghttp2's name-value pairs, in scratch memory reused between requests: nghttp2 copies them
/// before `submit` returns.
struct RequestHead: ~Copyable {
    private var bytes: OutputBuffer
    private var pairs: UnsafeMutablePointer<nghttp2_nv>
    private var capacity: Int
    private(set) var count = 0
    /// The value of the request's own `content-length`.
    private(set) var statedLength: Int?
    /// The content codings that were stated.
    private(set) var codings = RequestRules.Codings()
    // Values are in `bytes`, which may move while it grows: until the end, pairs hold offsets.
    private var offset = 0

    init(bytes: Int = 1024, fields: Int = 32) {
        self.bytes = OutputBuffer(capacity: bytes)
        capacity = fields
        pairs = .allocate(capacity: capacity)
    }

    deinit { pairs.deallocate() }

    mutating func removeAll() {
        bytes.removeFirst(bytes.count)
        count = 0
        offset = 0
        statedLength = nil
    }

    /// Fields that hardly ever change: the connection's scheme and authority, and GET.
    struct Known: ~Copyable {
        let scheme: String
        let authority: String
        private let memory: UnsafeMutablePointer<UInt8>
        fileprivate let schemeBytes: UnsafeMutableBufferPointer<UInt8>
        fileprivate let authorityBytes: UnsafeMutableBufferPointer<UInt8>

        /// Lives as long as the session, so that nghttp2 may refer to its bytes.
        init(scheme: String, authority: String) {
            self.scheme = scheme
            self.authority = authority
            let bytes = Array(scheme.utf8) + Array(authority.utf8)
            memory = .allocate(capacity: bytes.count)
            memory.initialize(from: bytes, count: bytes.count)
            schemeBytes = UnsafeMutableBufferPointer(start: memory, count: scheme.utf8.count)
            authorityBytes = UnsafeMutableBufferPointer(
                start: memory + scheme.utf8.count, count: authority.utf8.count)
        }

        deinit { memory.deallocate() }
    }

    private static let noCopy = UInt8(NGHTTP2_NV_FLAG_NO_COPY_NAME.rawValue | NGHTTP2_NV_FLAG_NO_COPY_VALUE.rawValue)

    /// Appends a constant value.
    private mutating func append(staticName: StaticString, staticValue: StaticString) {
        append(
            staticName: staticName,
            lastingValue: UnsafeMutableBufferPointer(
                start: UnsafeMutablePointer(mutating: staticValue.utf8Start), count: staticValue.utf8CodeUnitCount))
    }

    /// Appends a value that is not moved or freed before the session ends.
    private mutating func append(staticName: StaticString, lastingValue: UnsafeMutableBufferPointer<UInt8>) {
        makeRoom()
        (pairs + count).initialize(
            to: nghttp2_nv(
                name: UnsafeMutablePointer(mutating: staticName.utf8Start), value: lastingValue.baseAddress,
                namelen: staticName.utf8CodeUnitCount, valuelen: lastingValue.count, flags: Self.noCopy))
        count += 1
    }

    private mutating func appendMethod(_ method: HTTPRequest.Method) {
        guard method == .get else { return append(staticName: ":method", value: method.rawValue) }
        append(staticName: ":method", staticValue: "GET")
    }

    /// Constant names have static memory, which nghttp2 need not copy.
    mutating func append(staticName: StaticString, value: String) {
        let start = offset
        appendBytes(of: value)
        push(
            name: UnsafeMutablePointer(mutating: staticName.utf8Start), nameLength: staticName.utf8CodeUnitCount,
            valueStart: start, flags: UInt8(NGHTTP2_NV_FLAG_NO_COPY_NAME.rawValue))
    }

    mutating func append(_ field: HTTPField) {
        let start = offset
        appendBytes(of: field.name.canonicalName)
        let nameLength = offset - start
        let valueStart = offset
        field.withUnsafeBytesOfValue { value in
            if let base = value.baseAddress { bytes.append(base, count: value.count) }
            offset += value.count
        }
        // RFC 7541 section 7.1.3: secrets that could be guessed from compressed sizes stay out of the table.
        let isSecret =
            field.indexingStrategy == .disallow || field.name == .authorization || field.name == .proxyAuthorization
            || (field.name == .cookie && offset - valueStart < 20)
        push(
            name: UnsafeMutablePointer(bitPattern: start &+ 1), nameLength: nameLength, valueStart: valueStart,
            flags: isSecret ? UInt8(NGHTTP2_NV_FLAG_NO_INDEX.rawValue) : 0)
    }

    private mutating func appendBytes(of string: String) {
        var string = string
        string.withUTF8 { utf8 in
            if let base = utf8.baseAddress { bytes.append(base, count: utf8.count) }
            offset += utf8.count
        }
    }

    private mutating func push(
        name: UnsafeMutablePointer<UInt8>?, nameLength: Int, valueStart: Int, flags: UInt8
    ) {
        makeRoom()
        (pairs + count).initialize(
            to: nghttp2_nv(
                name: name, value: UnsafeMutablePointer(bitPattern: valueStart &+ 1), namelen: nameLength,
                valuelen: offset - valueStart, flags: flags))
        count += 1
    }

    private mutating func makeRoom() {
        if count == capacity {
            let larger = UnsafeMutablePointer<nghttp2_nv>.allocate(capacity: capacity * 2)
            larger.moveInitialize(from: pairs, count: count)
            pairs.deallocate()
            pairs = larger
            capacity *= 2
        }
    }

    /// Calls `body` with the pairs, their pointers resolved; valid until the next change.
    mutating func withPairs<R>(_ body: (UnsafePointer<nghttp2_nv>, Int) -> R) -> R {
        if let base = bytes.bytes.baseAddress {
            let memory = UnsafeMutablePointer(mutating: base.assumingMemoryBound(to: UInt8.self))
            for index in 0..<count where pairs[index].flags & UInt8(NGHTTP2_NV_FLAG_NO_COPY_VALUE.rawValue) == 0 {
                if pairs[index].flags & UInt8(NGHTTP2_NV_FLAG_NO_COPY_NAME.rawValue) == 0 {
                    pairs[index].name = memory + (Int(bitPattern: pairs[index].name) &- 1)
                }
                pairs[index].value = memory + (Int(bitPattern: pairs[index].value) &- 1)
            }
        }
        return body(pairs, count)
    }
}

extension RequestHead {
    /// Replaces the contents with a request's fields.
    /// - Parameters:
    ///   - contentLength: sent as `content-length` if the request has none.
    ///   - codings: how to handle content codings. On return, `codings` says what was done.
    /// - Throws: `H2Error` (`invalidRequest`).
    mutating func fill(
        _ request: HTTPRequest, known: borrowing Known, contentLength: Int?, expectsContinue: Bool,
        priority: HTTPPriority?, codings: RequestRules.Codings = RequestRules.Codings()
    ) throws(H2Error) {
        removeAll()
        self.codings = codings
        let method = request.method
        appendMethod(method)
        let host =
            request.headerFields.isEmpty ? nil : request.headerFields.first { RequestRules.kind($0) == .host }?.value
        let extended = request.extendedConnectProtocol
        if extended != nil, method != .connect { throw RequestRules.onlyConnectHasProtocol() }
        if method == .connect && extended == nil {
            let authority = try RequestRules.connectAuthority(request.authority ?? host)
            append(staticName: ":authority", value: authority)
            self.codings.offers = false
        } else {
            let path = try RequestRules.path(request)
            if let scheme = request.scheme, scheme != known.scheme {
                try RequestRules.scheme(scheme, of: known.scheme)
            }
            append(staticName: ":scheme", lastingValue: known.schemeBytes)
            if let authority = request.authority ?? host, authority != known.authority {
                append(staticName: ":authority", value: try RequestRules.authority(authority))
            } else {
                append(staticName: ":authority", lastingValue: known.authorityBytes)
            }
            append(staticName: ":path", value: path)
            if let name = extended { append(staticName: ":protocol", value: try RequestRules.protocolName(name)) }
        }
        for field in request.headerFields {
            switch RequestRules.kind(field) {
            case .regular, .te, .cookie: append(field)
            case .coding:
                try self.codings.take(field)
                append(field)
            case .host: if request.authority == nil { try RequestRules.oneHost(field, host: host) }
            case .contentLength:
                let length = try RequestRules.length(field, earlier: statedLength)
                if statedLength == nil { append(field) }
                statedLength = length
            case .connection, .transferEncoding, .forbidden:
                // RFC 9113 section 8.2.2.
                throw RequestRules.invalid(
                    "the field '\(field.name)' is not allowed in HTTP/2", "leave it out (RFC 9113 section 8.2.2)")
            }
        }
        if let contentLength {
            try RequestRules.length(contentLength)
            if let stated = statedLength {
                try RequestRules.agree(stated: stated, body: contentLength)
            } else {
                append(staticName: "content-length", value: String(contentLength))
            }
        }
        if self.codings.offers {
            append(staticName: "accept-encoding", staticValue: ContentCoding.acceptEncoding)
        }
        if let coding = codings.body { append(staticName: "content-encoding", value: coding.rawValue) }
        if expectsContinue { append(staticName: "expect", value: "100-continue") }
        if let priority { append(staticName: "priority", value: priority.fieldValue) }
    }

    /// Replaces the contents with trailer fields.
    mutating func fill(trailers: HTTPFields) throws(H2Error) {
        removeAll()
        for field in trailers {
            if RequestRules.kind(field) != .regular {
                throw RequestRules.invalid("the trailer field '\(field.name)' is not allowed in HTTP/2", "leave it out")
            }
            append(field)
        }
    }
}
