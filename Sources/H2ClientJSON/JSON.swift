public import FoundationEssentials
public import H2Client
public import HTTPTypes

// A module of its own: FoundationEssentials costs a program 12 MB and some milliseconds of start-up, which who sends no JSON
// should not pay.

extension RequestBody {
    /// A value as JSON. Send it with `content-type: application/json`, as `HTTPClient.post(_:json:)` does.
    /// - Throws: what the encoder throws.
    public static func json(_ value: some Encodable, encoder: JSONEncoder = JSONEncoder()) throws -> RequestBody {
        .bytes(Array(try encoder.encode(value)))
    }
}

extension WholeResponse {
    /// The body as a value.
    /// - Throws: `UnexpectedStatus` unless the status is 2xx; what the decoder throws (`DecodingError`).
    public func json<Value: Decodable>(
        _ type: Value.Type = Value.self, decoder: JSONDecoder = JSONDecoder()
    ) throws -> Value {
        guard status.kind == .successful else { throw UnexpectedStatus(response: self) }
        return try decoder.decode(type, from: Data(body))
    }
}

/// A response whose body was to be a value, and whose status says that it is none.
public struct UnexpectedStatus: Error, CustomStringConvertible {
    /// The response, with its body, which may say why.
    public let response: WholeResponse

    /// The status, and the beginning of the body.
    public var description: String {
        "the server answered \(response.status.code), not 2xx: \(response.text.prefix(200))"
    }
}

extension HTTPClient {
    /// GET, and the body as a value.
    /// - Throws: as `get`; `UnexpectedStatus`; what the decoder throws.
    public nonisolated(nonsending) func get<Value: Decodable>(
        _ url: String, as type: Value.Type, headerFields: HTTPFields = [:], options: RequestOptions = RequestOptions(),
        decoder: JSONDecoder = JSONDecoder(), upTo limit: Int = HTTPClient.defaultBodyLimit
    ) async throws -> Value {
        var fields = headerFields
        if fields[.accept] == nil { fields[.accept] = "application/json" }
        return try await get(url, headerFields: fields, options: options, upTo: limit).json(type, decoder: decoder)
    }

    /// POST of a value, and the response's body as another.
    /// - Throws: as `post`; what the encoder throws; `UnexpectedStatus`; what the decoder throws.
    public nonisolated(nonsending) func post<Value: Decodable>(
        _ url: String, json value: some Encodable, as type: Value.Type, headerFields: HTTPFields = [:],
        options: RequestOptions = RequestOptions(), encoder: JSONEncoder = JSONEncoder(),
        decoder: JSONDecoder = JSONDecoder(), upTo limit: Int = HTTPClient.defaultBodyLimit
    ) async throws -> Value {
        try await post(
            url, json: value, headerFields: headerFields, options: options, encoder: encoder, upTo: limit
        ).json(type, decoder: decoder)
    }

    /// POST of a value; the response is for the caller to judge.
    /// - Throws: as `post`; what the encoder throws.
    @discardableResult
    public nonisolated(nonsending) func post(
        _ url: String, json value: some Encodable, headerFields: HTTPFields = [:],
        options: RequestOptions = RequestOptions(), encoder: JSONEncoder = JSONEncoder(),
        upTo limit: Int = HTTPClient.defaultBodyLimit
    ) async throws -> WholeResponse {
        try await post(
            url, body: .json(value, encoder: encoder), headerFields: Self.typed(headerFields), options: options,
            upTo: limit)
    }

    /// PUT of a value; the response is for the caller to judge.
    /// - Throws: as `put`; what the encoder throws.
    @discardableResult
    public nonisolated(nonsending) func put(
        _ url: String, json value: some Encodable, headerFields: HTTPFields = [:],
        options: RequestOptions = RequestOptions(), encoder: JSONEncoder = JSONEncoder(),
        upTo limit: Int = HTTPClient.defaultBodyLimit
    ) async throws -> WholeResponse {
        try await put(
            url, body: .json(value, encoder: encoder), headerFields: Self.typed(headerFields), options: options,
            upTo: limit)
    }

    private static func typed(_ fields: HTTPFields) -> HTTPFields {
        var fields = fields
        if fields[.contentType] == nil { fields[.contentType] = "application/json" }
        return fields
    }
}
