import H2Client
import HTTPTypes

/// Routes of the user's own (`OriginServer.Configuration.routes`).
extension ServerStream {
    /// The handler for a path: its own, or that of the longest path above it that ends in a slash.
    func handler(for path: Substring) -> OriginServer.Handler? {
        guard connection.listener.hasOwnRoutes else { return nil }
        let routes = connection.listener.configuration.routes
        if let handler = routes[String(path)] { return handler }
        var rest = path
        while let slash = rest.utf8.lastIndex(of: UInt8(ascii: "/")) {
            if let handler = routes[String(rest[...slash])] { return handler }
            rest = rest[..<slash]
        }
        return nil
    }

    /// Collects the body, then answers.
    func answer(_ target: Target, by handler: @escaping OriginServer.Handler) {
        continueIfExpected()
        take(.collect) { stream in
            let response = handler(stream.request(for: target))
            guard response.delay > .zero else { return stream.send(response) }
            stream.schedule(after: response.delay) { $0.send(response) }
        }
    }

    private func request(for target: Target) -> OriginServer.Request {
        var result = OriginServer.Request(
            method: HTTPRequest.Method(request.method) ?? .get, path: String(target.path),
            query: target.query.isEmpty ? nil : String(target.query), authority: request.value(":authority"),
            body: collected, trailerFields: request.hasTrailers ? fields(request.trailers) : nil,
            version: connection is HTTP1ServerConnection ? .http1 : .http2)
        result.headerFields = fields(request.entries.prefix(request.trailerStart))
        if let host = result.headerFields[Self.host] {
            result.authority = result.authority ?? host
            result.headerFields[Self.host] = nil
        }
        return result
    }

    private static let host = HTTPField.Name("host")!
    /// Fields about the connection and the framing (RFC 9110 section 7.6.1, RFC 9113 section 8.2.2).
    private static let framing: Set = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"]

    /// Without pseudo-fields, whose names are not valid.
    private func fields(_ entries: ArraySlice<RequestFields.Entry>) -> HTTPFields {
        var fields = HTTPFields()
        for entry in entries {
            guard let name = HTTPField.Name(request.text(entry.name)) else { continue }
            fields.append(HTTPField(name: name, lenientValue: request.arena[entry.value]))
        }
        return fields
    }

    private func send(_ response: OriginServer.Response) {
        let isHead = request.method == "HEAD"
        let status = response.status.code
        guard (200...999).contains(status) else {
            return answer(500, "the handler's status is \(status), which is not final\n", isHead: isHead)
        }
        let hasContent = status != 204 && status != 304
        let body = hasContent ? response.body : []
        guard body.count <= 1_024 || hold(body.count) else { return refuseForWantOfMemory(isHead: isHead) }
        for field in response.headerFields where Self.framing.contains(field.name.canonicalName) {
            return answer(
                500, "the handler's field '\(field.name)' is the server's business\n", isHead: isHead)
        }
        if let length = response.headerFields[.contentLength], hasContent, !isHead, response.fault == nil,
            length != String(body.count)
        {
            return answer(
                500, "the handler's content-length is \(length), and its body has \(body.count) bytes\n", isHead: isHead
            )
        }
        let trailers = hasContent ? response.trailerFields ?? [:] : [:]
        setTrailers(trailers.map { ($0.name.canonicalName, $0.value) })
        let fields = fields(status)
        for field in response.headerFields {
            let name = Array(field.name.canonicalName.utf8)
            name.withUnsafeBufferPointer { name in
                field.withUnsafeBytesOfValue { fields.add(nameBytes: name, bytes: $0) }
            }
        }
        let fault = hasContent ? response.fault : nil
        let cutAt = fault.map { cut(body, $0) }
        // Without a length, the end of the body is missed even where all of it was sent.
        let hasLength = cutAt.map { $0 < body.count } ?? true
        if hasContent, trailers.isEmpty, hasLength, response.headerFields[.contentLength] == nil {
            fields.add("content-length", number: body.count)
        }
        // A body that is cut has a byte more, which is never reached.
        respond(fields, .text(body), count: body.count + (fault == nil ? 0 : 1), isHead: isHead)
    }

    /// Returns after how many bytes.
    private func cut(_ body: [UInt8], _ fault: OriginServer.Fault) -> Int {
        let (count, kind): (Int, Cut) =
            switch fault {
            case .reset(let code, let count): (count, .reset(code.rawValue))
            case .stall(let count): (count, .stall)
            case .close(let count): (count, .close(.abruptly))
            }
        let length = min(max(count, 0), body.count)
        cut(after: length, kind)
        return length
    }
}
