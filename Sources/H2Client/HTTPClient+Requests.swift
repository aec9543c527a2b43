public import HTTPTypes

/// A response whose body has been read completely.
public struct CollectedResponse: Sendable {
    /// The response. Its body has been read.
    public let response: StreamedResponse
    /// The body, without the content codings that ``StreamedResponse/decodedCodings`` names.
    public let body: [UInt8]

    /// The status code.
    public var status: HTTPResponse.Status { response.status }
    /// The header fields, parsed at each access.
    public var headerFields: HTTPFields { response.headerFields }
    /// The version of HTTP that the response came by.
    public var version: HTTPProtocolVersion { response.version }
    /// The body as text. Bytes that are not UTF-8 become U+FFFD.
    public var text: String { String(decoding: body, as: UTF8.self) }

    package init(response: StreamedResponse, body: [UInt8]) {
        self.response = response
        self.body = body
    }
}

extension HTTPClient {
    /// Sends a request to a URL, and waits for the response's header fields. Everything else is as in
    /// ``send(_:body:options:)``.
    ///
    /// ```swift
    /// let response = try await client.send(.get, "https://example.com/large")
    /// for try await chunk in response.body { print(chunk.count) }
    /// ```
    /// - Throws: The errors of ``send(_:body:options:)``; `H2Error` (`invalidURL`).
    public nonisolated(nonsending) func send(
        _ method: HTTPRequest.Method, _ url: String, body: HTTPRequestBody = .empty, headerFields: HTTPFields = [:],
        options: RequestOptions = RequestOptions()
    ) async throws -> StreamedResponse {
        var options = options
        let request = try HTTPRequest(method, url, headerFields, &options)
        return try await send(request, body: body, options: options)
    }

    /// The default limit on the length of a body that is read completely: 64 MiB.
    public static let defaultBodyLimit = 64 << 20

    /// Sends a request and reads the whole body.
    /// - Throws: The errors of ``send(_:body:options:)``; `H2Error` (`bodyTooLarge`) if the body is longer than `limit` bytes.
    ///   A status is never an error.
    public nonisolated(nonsending) func collect(
        _ request: HTTPRequest, body: HTTPRequestBody = .empty, options: RequestOptions = RequestOptions(),
        upTo limit: Int = HTTPClient.defaultBodyLimit
    ) async throws -> CollectedResponse {
        let response = try await send(request, body: body, options: options)
        return CollectedResponse(response: response, body: try await response.body.collect(upTo: limit))
    }

    /// Sends GET (RFC 9110 section 9.3.1) and reads the whole body.
    /// - Throws: The errors of ``collect(_:body:options:upTo:)``; `H2Error` (`invalidURL`).
    public nonisolated(nonsending) func get(
        _ url: String, headerFields: HTTPFields = [:], options: RequestOptions = RequestOptions(),
        upTo limit: Int = HTTPClient.defaultBodyLimit
    ) async throws -> CollectedResponse {
        try await collect(.get, url, .empty, headerFields, options, limit)
    }

    /// Sends HEAD (RFC 9110 section 9.3.2): the response has the header fields of GET and no body.
    /// - Throws: The errors of ``send(_:body:options:)``; `H2Error` (`invalidURL`).
    public nonisolated(nonsending) func head(
        _ url: String, headerFields: HTTPFields = [:], options: RequestOptions = RequestOptions()
    ) async throws -> CollectedResponse {
        try await collect(.head, url, .empty, headerFields, options, 0)
    }

    /// Sends POST (RFC 9110 section 9.3.3) and reads the whole body of the response.
    /// - Throws: The errors of ``collect(_:body:options:upTo:)``; `H2Error` (`invalidURL`).
    public nonisolated(nonsending) func post(
        _ url: String, body: HTTPRequestBody, headerFields: HTTPFields = [:],
        options: RequestOptions = RequestOptions(),
        upTo limit: Int = HTTPClient.defaultBodyLimit
    ) async throws -> CollectedResponse {
        try await collect(.post, url, body, headerFields, options, limit)
    }

    /// Sends PUT (RFC 9110 section 9.3.4) and reads the whole body of the response.
    /// - Throws: The errors of ``collect(_:body:options:upTo:)``; `H2Error` (`invalidURL`).
    public nonisolated(nonsending) func put(
        _ url: String, body: HTTPRequestBody, headerFields: HTTPFields = [:],
        options: RequestOptions = RequestOptions(),
        upTo limit: Int = HTTPClient.defaultBodyLimit
    ) async throws -> CollectedResponse {
        try await collect(.put, url, body, headerFields, options, limit)
    }

    /// Sends PATCH (RFC 5789) and reads the whole body of the response. PATCH is not idempotent.
    /// - Throws: The errors of ``collect(_:body:options:upTo:)``; `H2Error` (`invalidURL`).
    public nonisolated(nonsending) func patch(
        _ url: String, body: HTTPRequestBody, headerFields: HTTPFields = [:],
        options: RequestOptions = RequestOptions(),
        upTo limit: Int = HTTPClient.defaultBodyLimit
    ) async throws -> CollectedResponse {
        try await collect(.patch, url, body, headerFields, options, limit)
    }

    /// Sends DELETE (RFC 9110 section 9.3.5) and reads the whole body of the response.
    /// - Throws: The errors of ``collect(_:body:options:upTo:)``; `H2Error` (`invalidURL`).
    public nonisolated(nonsending) func delete(
        _ url: String, headerFields: HTTPFields = [:], options: RequestOptions = RequestOptions(),
        upTo limit: Int = HTTPClient.defaultBodyLimit
    ) async throws -> CollectedResponse {
        try await collect(HTTPRequest(.delete, url: url, headerFields: headerFields), options: options, upTo: limit)
    }

    private nonisolated(nonsending) func collect(
        _ method: HTTPRequest.Method, _ url: String, _ body: HTTPRequestBody, _ headerFields: HTTPFields,
        _ options: RequestOptions, _ limit: Int
    ) async throws -> CollectedResponse {
        var options = options
        let request = try HTTPRequest(method, url, headerFields, &options)
        return try await collect(request, body: body, options: options, upTo: limit)
    }
}

extension HTTPRequest {
    /// Creates a request for a URL, whose fragment goes into `options`.
    fileprivate init(
        _ method: Method, _ url: String, _ headerFields: HTTPFields, _ options: inout RequestOptions
    ) throws(H2Error) {
        let target = try RequestTarget(url)
        if let fragment = target.fragment { options.fragment = fragment }
        self = try target.request(method, headerFields: headerFields)
    }
}
