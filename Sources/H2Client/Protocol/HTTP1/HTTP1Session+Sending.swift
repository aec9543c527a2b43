import HTTPTypes

// Serialising requests (RFC 9112 sections 3, 6 and 7.1).

extension HTTP1Session {
    /// The end of the request line, up to the host.
    static let hostAfter11: StaticString = " HTTP/1.1\r\nHost: "
    static let hostAfter10: StaticString = " HTTP/1.0\r\nHost: "

    /// Maximum body bytes moved at once, and per chunk.
    private static let pieceLimit = 32 << 10

    // MARK: - The head

    /// Appends the request line and fields to the output. If this throws, the caller removes them.
    /// - Returns: the rest to be written, and whether the request asks to close the connection.
    func writeHead(
        _ stream: StreamState, _ request: HTTPRequest, expectsContinue: Bool, priority: HTTPPriority?
    ) throws(H2Error) -> (upload: Upload, saysClose: Bool) {
        let contentLength = stream.contentLength
        let host =
            request.headerFields.isEmpty ? nil : request.headerFields.first { RequestRules.kind($0) == .host }?.value
        try writeRequestLine(request, host: host)
        if let contentLength { try RequestRules.length(contentLength) }
        var head = RequestFields(
            hasBody: !stream.isOutgoingDone || stream.outgoingTrailers != nil, codings: stream.codings)
        for field in request.headerFields {
            if try head.take(field, expectsContinue: expectsContinue) { write(field) }
            if request.authority == nil, RequestRules.kind(field) == .host {
                try RequestRules.oneHost(field, host: host)
            }
        }
        if head.hasCookies { writeCookies(request.headerFields) }
        if let trailers = stream.outgoingTrailers {
            for field in trailers where RequestRules.kind(field) != .regular {
                throw RequestRules.invalid(
                    "the trailer field '\(field.name)' is not allowed in HTTP/1.1", "leave it out")
            }
        }
        if let stated = head.statedLength {
            if let contentLength {
                try RequestRules.agree(stated: stated, body: contentLength)
            } else {
                try RequestRules.hasBody(head.hasBody, stated: stated)
            }
            // RFC 9112 section 6.2.
            guard !head.saysChunked else {
                throw RequestRules.invalid("content-length beside transfer-encoding", "leave one of them out")
            }
        }
        if request.method == .connect, head.hasBody {
            throw RequestRules.invalid("a CONNECT request has no body (RFC 9110 section 9.3.6)", "leave it out")
        }
        let upload = try writeFraming(stream, request.method, head, contentLength: contentLength)
        stream.codings.offers = head.codings.offers && request.method != .connect
        if stream.codings.offers {
            write("Accept-Encoding: ")
            write(ContentCoding.acceptEncoding)
            write("\r\n")
        }
        if let coding = head.codings.body {
            write("Content-Encoding: ")
            write(coding.rawValue)
            write("\r\n")
        }
        if sendsHTTP10, expectsContinue || request.headerFields.contains(.expect) {
            throw RequestRules.invalid("HTTP/1.0 has no Expect: 100-continue", "turn it off, or allow HTTP/1.1")
        }
        if expectsContinue { write("Expect: 100-continue\r\n") }
        if let priority {
            write("Priority: ")
            write(priority.fieldValue)
            write("\r\n")
        }
        switch (head.saysClose, head.saysTrailers) {
        case (true, true): write("Connection: close, TE\r\n\r\n")
        case (true, false): write("Connection: close\r\n\r\n")
        // RFC 9110 section 10.1.4: TE applies only to the next hop.
        case (false, true): write("Connection: TE\r\n\r\n")
        case (false, false): write("\r\n")
        }
        if contentLength == nil, head.hasBody { stream.statedLength = head.statedLength }
        return (upload, head.saysClose)
    }

    private func writeRequestLine(_ request: HTTPRequest, host: String?) throws(H2Error) {
        if let scheme = request.scheme, scheme != self.scheme { try RequestRules.scheme(scheme, of: self.scheme) }
        if request.extendedConnectProtocol != nil {
            guard request.method == .connect else { throw RequestRules.onlyConnectHasProtocol() }
            throw RequestRules.invalid("HTTP/1.1 has no extended CONNECT (RFC 8441)", "use HTTP/2")
        }
        var named = request.authority ?? host
        if let other = named, other != authority { named = try RequestRules.authority(other) }
        write(request.method.rawValue)
        write(" ")
        if request.method == .connect {
            write(try RequestRules.connectAuthority(named))
        } else {
            let path = try RequestRules.path(request)
            if let absoluteForm {
                return write(absoluteForm, request, named ?? authority, path)
            }
            write(path)
        }
        if let named, named != authority {
            write(sendsHTTP10 ? Self.hostAfter10 : Self.hostAfter11)
            write(named)
            write("\r\n")
        } else {
            knownHost.withUnsafeBytes { output.append($0.baseAddress.unsafelyUnwrapped, count: $0.count) }
        }
    }

    /// The rest of the request line, and the fields for a proxy that forwards the request; the method is already
    /// written.
    @inline(never)
    private func write(_ form: AbsoluteForm, _ request: HTTPRequest, _ authority: String, _ path: String) {
        write(form.target(authority, path))
        write(sendsHTTP10 ? Self.hostAfter10 : Self.hostAfter11)
        write(authority)
        write("\r\n")
        for field in form.fields {
            write(field.name.rawName)
            write(": ")
            write(field.value)
            write("\r\n")
        }
        guard let authorization = form.authorization(for: request) else { return }
        write("Proxy-Authorization: ")
        write(authorization)
        write("\r\n")
    }

    /// The properties that a request's own fields ask for.
    private struct RequestFields {
        let hasBody: Bool
        var codings: RequestRules.Codings
        var statedLength: Int?
        var saysChunked = false
        var saysClose = false
        var saysTrailers = false
        var hasCookies = false

        init(hasBody: Bool, codings: RequestRules.Codings) {
            self.hasBody = hasBody
            self.codings = codings
        }

        /// Processes a field. Returns whether to write it unchanged.
        mutating func take(_ field: HTTPField, expectsContinue: Bool) throws(H2Error) -> Bool {
            switch RequestRules.kind(field) {
            case .regular: return !(expectsContinue && field.name == .expect)
            case .coding:
                try codings.take(field)
                return true
            case .host: return false
            case .cookie:
                hasCookies = true
                return false
            case .te:
                defer { saysTrailers = true }
                return !saysTrailers
            case .contentLength:
                statedLength = try RequestRules.length(field, earlier: statedLength)
                return false
            case .transferEncoding:
                guard field.value.lowercased() == "chunked", !saysChunked, hasBody else {
                    throw RequestRules.invalid(
                        "bad transfer-encoding '\(field.value)'", "leave the field out: it follows from the body")
                }
                saysChunked = true
                return false
            case .connection:
                for option in field.value.split(separator: ",") {
                    switch option.lowercased().filter({ $0 != " " && $0 != "\t" }) {
                    case "close": saysClose = true
                    case "keep-alive", "te": break
                    default:
                        throw RequestRules.invalid(
                            "the connection option '\(option)' is not spoken here",
                            "leave it out: close and keep-alive are all there is")
                    }
                }
                return false
            case .forbidden:
                throw RequestRules.invalid(
                    "the field '\(field.name)' is not allowed in a request here",
                    "leave it out: connections are kept, and not upgraded")
            }
        }
    }

    /// Writes the body's length (RFC 9112 section 6).
    private func writeFraming(
        _ stream: StreamState, _ method: HTTPRequest.Method, _ head: RequestFields, contentLength: Int?
    ) throws(H2Error) -> Upload {
        let length = contentLength ?? head.statedLength
        // Only chunked bodies have trailers.
        if head.saysChunked || stream.outgoingTrailers != nil || (head.hasBody && length == nil) {
            guard !sendsHTTP10 else {
                throw RequestRules.invalid(
                    "a body of unknown length, or with trailers, cannot be sent over HTTP/1.0",
                    "state its length, or allow HTTP/1.1")
            }
            write("Transfer-Encoding: chunked\r\n")
            return .chunked
        }
        switch method {
        case .get, .head, .delete, .options, .trace, .connect:
            // RFC 9110 section 8.6: if no content is expected, its absence need not be stated.
            guard head.hasBody || head.statedLength != nil else { return .done }
        case .post, .put, .patch: break
        default:
            guard length != nil else { return .done }
        }
        write("Content-Length: ")
        write(String(length ?? 0))
        write("\r\n")
        return head.hasBody ? .plain(sent: 0, of: length ?? 0) : .done
    }

    /// Writes all cookies as one field (RFC 6265 section 5.4, RFC 9113 section 8.2.3).
    private func writeCookies(_ fields: HTTPFields) {
        var isFirst = true
        for field in fields where RequestRules.kind(field) == .cookie {
            write(isFirst ? "Cookie: " : "; ")
            isFirst = false
            field.withUnsafeBytesOfValue { value in
                if let base = value.baseAddress { output.append(base, count: value.count) }
            }
        }
        write("\r\n")
    }

    private func write(_ field: HTTPField) {
        // swift-http-types allows no CR, LF or NUL in names or values.
        write(field.name.rawName)
        write(": ")
        field.withUnsafeBytesOfValue { value in
            if let base = value.baseAddress { output.append(base, count: value.count) }
        }
        write("\r\n")
    }

    private func write(_ text: StaticString) { output.append(text.utf8Start, count: text.utf8CodeUnitCount) }

    private func write(_ text: String) {
        var text = text
        text.withUTF8 { utf8 in
            if let base = utf8.baseAddress { output.append(base, count: utf8.count) }
        }
    }

    // MARK: - The body

    /// Moves available parts of the request's body into `output`, until it holds about `limit` bytes.
    func fillOutput(limit: Int, now: UInt64) {
        guard let stream = current else { return }
        self.now = now
        let before = output.count
        while output.count < limit, writePiece(stream, room: limit - output.count) {}
        stream.bytesSent += max(output.count - before, 0)
    }

    /// Whether there is something to send.
    var hasOutput: Bool {
        if !output.isEmpty { return true }
        if case .done = upload { return false }
        switch current?.outgoing {
        case nil, .awaitingChunk: return false
        case .file(let file): return !file.isLoading
        default: return true
        }
    }

    /// Writes one piece of the body, or its end. Returns false if nothing more is available now.
    private func writePiece(_ stream: StreamState, room: Int) -> Bool {
        if case .done = upload { return false }
        let available: Int
        switch stream.outgoing {
        case .awaitingChunk: return false
        case .bytes(let bytes, let offset), .chunk(let bytes, let offset): available = bytes.count - offset
        case .file(let file): available = file.remaining
        case .finished, .done: available = 0
        }
        // A tiny piece would also cost a chunk header or a system call.
        var count = min(available, max(room, 1_024), Self.pieceLimit)
        if case .file(let file) = stream.outgoing {
            switch stream.piece(of: file, upTo: count) {
            case .later: return false
            case .failed:
                if let failure = stream.localFailure { giveUp(stream, failure) }
                return false
            case .ready(let ready): count = ready
            }
        }
        switch upload {
        case .done: return false
        case .plain(let sent, let length):
            guard sent + available <= length else { return failLength(stream, sent + available, length) }
            upload = .plain(sent: sent + count, of: length)
        case .chunked:
            if count > 0 {
                write(String(count, radix: 16))
                write("\r\n")
            }
        }
        let payload = UnsafeMutableRawBufferPointer(start: output.append(count: count), count: count)
        stream.takeOutgoing(into: payload)
        if case .chunked = upload, count > 0 { write("\r\n") }
        return stream.isOutgoingDone ? writeEnd(stream) : true
    }

    private func writeEnd(_ stream: StreamState) -> Bool {
        switch upload {
        case .done: break
        case .plain(let sent, let length):
            if sent < length { return failLength(stream, sent, length) }
        case .chunked:
            write("0\r\n")
            if let trailers = stream.outgoingTrailers {
                stream.outgoingTrailers = nil
                for field in trailers { write(field) }
            }
            write("\r\n")
        }
        upload = .done
        return false
    }

    private func failLength(_ stream: StreamState, _ count: Int, _ stated: Int) -> Bool {
        giveUp(stream, H2Error.bodyLength(count, stated: stated, stream: stream.id))
        return false
    }

    /// The request cannot be written completely, so nothing can follow it.
    private func giveUp(_ stream: StreamState, _ failure: H2Error) {
        close("a request could not be sent to its end")
        end(stream, failure)
    }
}
