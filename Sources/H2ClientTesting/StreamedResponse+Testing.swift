public import H2Client
public import HTTPTypes

extension StreamedResponse {
    /// Creates a response without a server, for tests of code that takes one. All of its properties and methods work as with a
    /// real one, and there is no connection.
    ///
    /// ```swift
    /// let response = StreamedResponse(status: .notFound, headerFields: [.contentType: "text/plain"], body: "no such order")
    /// ```
    /// - Parameters:
    ///   - status: The status code.
    ///   - headerFields: The header fields. None is added, and `content-length` is not compared with the body. Over HTTP/2 their
    ///     names are in lower case.
    ///   - body: The body, and how it arrives.
    ///   - trailerFields: The fields that follow the body.
    ///   - version: The version of HTTP. Over HTTP/1.1 there is a status line, with the usual reason phrase.
    ///   - connectionInfo: The properties of the connection; nil for one to `https://example.com` with its own
    ///     identifier.
    ///   - streamID: The stream. Over HTTP/1.1, the number of the request on its connection.
    ///   - isConnectionReused: Whether the connection served a request before.
    ///   - requestID: The request; nil as without a client.
    ///   - failedAttempts: The attempts before this response.
    ///   - redirects: The redirects that led to this response.
    ///   - metrics: The times and byte counts. `bodyBytesReceived` is counted, not taken from here. As with a real response, `resolve`,
    ///     `connect` and `tls` are nil if the connection is reused, and otherwise those of `connectionInfo` where they are nil
    ///     here. With ``TestResponseBody/chunks(_:then:)`` there is a `lastByte` once the body has ended.
    public init(
        status: HTTPResponse.Status = .ok, headerFields: HTTPFields = [:], body: TestResponseBody = .empty,
        trailerFields: HTTPFields? = nil, version: HTTPProtocolVersion = .http2,
        connectionInfo: ConnectionInfo? = nil, streamID: Int32 = 1, isConnectionReused: Bool = false,
        requestID: HTTPClient.RequestID? = nil, failedAttempts: [FailedAttempt] = [],
        redirects: [HTTPClient.Redirect] = [],
        metrics: ResponseMetrics = ResponseMetrics(firstByte: .zero, lastByte: .zero)
    ) {
        var canned = CannedResponse()
        canned.status = status
        canned.headerFields = headerFields
        canned.body = body.content
        canned.trailerFields = trailerFields
        canned.version = version
        canned.connectionInfo = connectionInfo
        canned.streamID = streamID
        canned.isConnectionReused = isConnectionReused
        canned.requestID = requestID
        canned.failedAttempts = failedAttempts
        canned.redirects = redirects
        canned.metrics = metrics
        self = canned.response()
    }
}

extension CollectedResponse {
    /// Creates a response without a server, for tests of code that takes one.
    ///
    /// ```swift
    /// let order = CollectedResponse(status: .created, headerFields: [.location: "/orders/17"], body: Array("17".utf8))
    /// let missing = CollectedResponse(status: .notFound, text: "no such order")
    /// ```
    ///
    /// Its `response` has everything but the body, which has been read. The parameters are those of
    /// ``StreamedResponse/init(status:headerFields:body:trailerFields:version:connectionInfo:streamID:isConnectionReused:requestID:failedAttempts:redirects:metrics:)``.
    public init(
        status: HTTPResponse.Status = .ok, headerFields: HTTPFields = [:], body: [UInt8] = [],
        trailerFields: HTTPFields? = nil, version: HTTPProtocolVersion = .http2,
        connectionInfo: ConnectionInfo? = nil, streamID: Int32 = 1, isConnectionReused: Bool = false,
        requestID: HTTPClient.RequestID? = nil, failedAttempts: [FailedAttempt] = [],
        redirects: [HTTPClient.Redirect] = [],
        metrics: ResponseMetrics = ResponseMetrics(firstByte: .zero, lastByte: .zero)
    ) {
        let response = StreamedResponse(
            status: status, headerFields: headerFields, body: TestResponseBody(content: .read(count: body.count)),
            trailerFields: trailerFields, version: version, connectionInfo: connectionInfo, streamID: streamID,
            isConnectionReused: isConnectionReused, requestID: requestID, failedAttempts: failedAttempts,
            redirects: redirects,
            metrics: metrics)
        self.init(response: response, body: body)
    }

    /// Creates a response whose body is a text, as `text/plain` in UTF-8.
    public init(
        status: HTTPResponse.Status = .ok, text: String, version: HTTPProtocolVersion = .http2
    ) {
        self.init(
            status: status, headerFields: [.contentType: "text/plain; charset=utf-8"], body: Array(text.utf8),
            version: version)
    }
}
