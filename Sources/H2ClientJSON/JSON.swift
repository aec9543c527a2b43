public import FoundationEssentials
public import H2Client
public import HTTPTypes

// A module of its own: FoundationEssentials costs a program 12 MB and a few milliseconds of start-up, which programs without
// JSON should not pay.

extension HTTPRequestBody {
    /// Encodes a value as JSON. It is sent with `content-type: application/json`, unless the request already has that
    /// field.
    /// - Throws: The errors of the encoder.
    public static func json(_ value: some Encodable, encoder: JSONEncoder = JSONEncoder()) throws -> HTTPRequestBody {
        var body = HTTPRequestBody.data(try encoder.encode(value))
        body.contentType = "application/json"
        return body
    }

    /// A copy of data's bytes.
    public static func data(_ data: Data, trailers: HTTPFields? = nil) -> HTTPRequestBody {
        .bytes(Array(data), trailers: trailers)
    }
}

extension CollectedResponse {
    /// A copy of the body as data.
    public var data: Data { Data(body) }

    /// Decodes the body from JSON.
    /// - Throws: `UnexpectedStatus` unless the status is 2xx; the errors of the decoder (`DecodingError`).
    public func json<Value: Decodable>(
        _ type: Value.Type = Value.self, decoder: JSONDecoder = JSONDecoder()
    ) throws -> Value {
        guard status.kind == .successful else { throw UnexpectedStatus(response: self) }
        return try decoder.decode(type, from: Data(body))
    }
}

/// A response whose body was to be decoded, but whose status is not 2xx.
public struct UnexpectedStatus: Error, CustomStringConvertible {
    /// The response. Its body may say why.
    public let response: CollectedResponse

    /// Creates an error, for tests.
    public init(response: CollectedResponse) { self.response = response }

    /// The status and the start of the body.
    public var description: String {
        "the server answered \(response.status.code), not 2xx: \(response.text.prefix(200))"
    }
}

extension HTTPClient {
    /// Sends GET and decodes the body from JSON.
    /// - Throws: The errors of `get`; `UnexpectedStatus`; the errors of the decoder.
    public nonisolated(nonsending) func get<Value: Decodable>(
        _ url: String, as type: Value.Type, headerFields: HTTPFields = [:], options: RequestOptions = RequestOptions(),
        decoder: JSONDecoder = JSONDecoder(), upTo limit: Int = HTTPClient.defaultBodyLimit
    ) async throws -> Value {
        var fields = headerFields
        if fields[.accept] == nil { fields[.accept] = "application/json" }
        return try await get(url, headerFields: fields, options: options, upTo: limit).json(type, decoder: decoder)
    }

    /// Sends a value as JSON by POST, and decodes the response's body from JSON.
    /// - Throws: The errors of `post`; the errors of the encoder; `UnexpectedStatus`; the errors of the decoder.
    public nonisolated(nonsending) func post<Value: Decodable>(
        _ url: String, json value: some Encodable, as type: Value.Type, headerFields: HTTPFields = [:],
        options: RequestOptions = RequestOptions(), encoder: JSONEncoder = JSONEncoder(),
        decoder: JSONDecoder = JSONDecoder(), upTo limit: Int = HTTPClient.defaultBodyLimit
    ) async throws -> Value {
        try await post(
            url, json: value, headerFields: headerFields, options: options, encoder: encoder, upTo: limit
        ).json(type, decoder: decoder)
    }

    /// Sends a value as JSON by POST. The caller checks the response's status.
    /// - Throws: The errors of `post`; the errors of the encoder.
    public nonisolated(nonsending) func post(
        _ url: String, json value: some Encodable, headerFields: HTTPFields = [:],
        options: RequestOptions = RequestOptions(), encoder: JSONEncoder = JSONEncoder(),
        upTo limit: Int = HTTPClient.defaultBodyLimit
    ) async throws -> CollectedResponse {
        try await post(
            url, body: .json(value, encoder: encoder), headerFields: headerFields, options: options,
            upTo: limit)
    }

    /// Sends a value as JSON by PUT. The caller checks the response's status.
    /// - Throws: The errors of `put`; the errors of the encoder.
    public nonisolated(nonsending) func put(
        _ url: String, json value: some Encodable, headerFields: HTTPFields = [:],
        options: RequestOptions = RequestOptions(), encoder: JSONEncoder = JSONEncoder(),
        upTo limit: Int = HTTPClient.defaultBodyLimit
    ) async throws -> CollectedResponse {
        try await put(
            url, body: .json(value, encoder: encoder), headerFields: headerFields, options: options,
            upTo: limit)
    }

    /// Sends a value as JSON by PATCH. The caller checks the response's status.
    /// - Throws: The errors of `patch`; the errors of the encoder.
    public nonisolated(nonsending) func patch(
        _ url: String, json value: some Encodable, headerFields: HTTPFields = [:],
        options: RequestOptions = RequestOptions(), encoder: JSONEncoder = JSONEncoder(),
        upTo limit: Int = HTTPClient.defaultBodyLimit
    ) async throws -> CollectedResponse {
        try await patch(
            url, body: .json(value, encoder: encoder), headerFields: headerFields, options: options,
            upTo: limit)
    }

    /// Sends a value as JSON by PUT, and decodes the response's body from JSON.
    /// - Throws: The errors of `put`; the errors of the encoder; `UnexpectedStatus`; the errors of the decoder.
    public nonisolated(nonsending) func put<Value: Decodable>(
        _ url: String, json value: some Encodable, as type: Value.Type, headerFields: HTTPFields = [:],
        options: RequestOptions = RequestOptions(), encoder: JSONEncoder = JSONEncoder(),
        decoder: JSONDecoder = JSONDecoder(), upTo limit: Int = HTTPClient.defaultBodyLimit
    ) async throws -> Value {
        try await put(
            url, json: value, headerFields: headerFields, options: options, encoder: encoder, upTo: limit
        ).json(type, decoder: decoder)
    }

    /// Sends a value as JSON by PATCH, and decodes the response's body from JSON.
    /// - Throws: The errors of `patch`; the errors of the encoder; `UnexpectedStatus`; the errors of the decoder.
    public nonisolated(nonsending) func patch<Value: Decodable>(
        _ url: String, json value: some Encodable, as type: Value.Type, headerFields: HTTPFields = [:],
        options: RequestOptions = RequestOptions(), encoder: JSONEncoder = JSONEncoder(),
        decoder: JSONDecoder = JSONDecoder(), upTo limit: Int = HTTPClient.defaultBodyLimit
    ) async throws -> Value {
        try await patch(
            url, json: value, headerFields: headerFields, options: options, encoder: encoder, upTo: limit
        ).json(type, decoder: decoder)
    }
}
