public import HTTPTypes

/// A response whose body has been read.
public struct WholeResponse: Sendable {
    /// The response; its body is empty now.
    public let response: Response
    /// The body, as it came: a `content-encoding` is not undone.
    public let body: [UInt8]

    /// The status code.
    public var status: HTTPResponse.Status { response.status }
    /// The header fields, parsed when asked for.
    public var headerFields: HTTPFields { response.headerFields }
    /// The body as UTF-8; what is none becomes U+FFFD.
    public var text: String { String(decoding: body, as: UTF8.self) }
}

extension HTTPClient {
    /// What the calls below read of a body at most, if not told otherwise: 64 MiB.
    public static let defaultBodyLimit = 64 << 20

    /// Sends a request and reads the whole body.
    /// - Throws: as `send`; `H2Error` (`bodyTooLarge`) past `limit` bytes. A status is never an error.
    public nonisolated(nonsending) func whole(
        _ request: HTTPRequest, body: RequestBody = .none, options: RequestOptions = RequestOptions(),
        upTo limit: Int = HTTPClient.defaultBodyLimit
    ) async throws -> WholeResponse {
        let response = try await send(request, body: body, options: options)
        return WholeResponse(response: response, body: try await response.body.collect(upTo: limit))
    }

    /// GET (RFC 9110 section 9.3.1), the body read whole.
    /// - Throws: as `whole`; `H2Error` (`invalidURL`).
    public nonisolated(nonsending) func get(
        _ url: String, headerFields: HTTPFields = [:], options: RequestOptions = RequestOptions(),
        upTo limit: Int = HTTPClient.defaultBodyLimit
    ) async throws -> WholeResponse {
        try await whole(HTTPRequest(.get, url: url, headerFields: headerFields), options: options, upTo: limit)
    }

    /// HEAD (RFC 9110 section 9.3.2): the header fields that GET would bring.
    /// - Throws: as `send`; `H2Error` (`invalidURL`).
    public nonisolated(nonsending) func head(
        _ url: String, headerFields: HTTPFields = [:], options: RequestOptions = RequestOptions()
    ) async throws -> WholeResponse {
        try await whole(HTTPRequest(.head, url: url, headerFields: headerFields), options: options, upTo: 0)
    }

    /// POST (RFC 9110 section 9.3.3), the response's body read whole.
    /// - Throws: as `whole`; `H2Error` (`invalidURL`).
    public nonisolated(nonsending) func post(
        _ url: String, body: RequestBody, headerFields: HTTPFields = [:], options: RequestOptions = RequestOptions(),
        upTo limit: Int = HTTPClient.defaultBodyLimit
    ) async throws -> WholeResponse {
        try await whole(
            HTTPRequest(.post, url: url, headerFields: headerFields), body: body, options: options, upTo: limit)
    }

    /// PUT (RFC 9110 section 9.3.4), the response's body read whole.
    /// - Throws: as `whole`; `H2Error` (`invalidURL`).
    public nonisolated(nonsending) func put(
        _ url: String, body: RequestBody, headerFields: HTTPFields = [:], options: RequestOptions = RequestOptions(),
        upTo limit: Int = HTTPClient.defaultBodyLimit
    ) async throws -> WholeResponse {
        try await whole(
            HTTPRequest(.put, url: url, headerFields: headerFields), body: body, options: options, upTo: limit)
    }

    /// DELETE (RFC 9110 section 9.3.5), the response's body read whole.
    /// - Throws: as `whole`; `H2Error` (`invalidURL`).
    public nonisolated(nonsending) func delete(
        _ url: String, headerFields: HTTPFields = [:], options: RequestOptions = RequestOptions(),
        upTo limit: Int = HTTPClient.defaultBodyLimit
    ) async throws -> WholeResponse {
        try await whole(HTTPRequest(.delete, url: url, headerFields: headerFields), options: options, upTo: limit)
    }
}
