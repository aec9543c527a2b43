import HTTPTypes

extension Authenticator {
    /// Returns nil if the request has no credentials for this origin, or has an `authorization` field of its own.
    /// - Parameter isNamedByCaller: whether the caller's own request goes to this origin, rather than a redirect.
    /// - Throws: `H2Error`: `localIO`, `invalidConfiguration`, `timeout`; `CancellationError`.
    static nonisolated(nonsending) func make(
        _ authentication: HTTPAuthentication, for request: HTTPRequest, to origin: Origin, isNamedByCaller: Bool,
        _ limits: WaitLimits
    ) async throws -> Authenticator? {
        try await make(
            authentication, .origin, at: origin, isNamedByCaller: isNamedByCaller,
            present: request.headerFields[.authorization], limits)
    }

    /// Sets the `authorization` field for the next attempt, or removes the one from the attempt before.
    /// - Throws: As `credentials`; `H2Error` (`invalidRequest`) if there are too many fields.
    nonisolated(nonsending) mutating func authorize(
        _ request: inout HTTPRequest, body: HTTPRequestBody, _ limits: WaitLimits
    ) async throws {
        let value = try await credentials(
            method: request.method.rawValue, target: request.path ?? "/", body: body, limits)
        request.headerFields[.authorization] = nil
        guard let value else { return }
        // swift-http-types traps slightly above this.
        guard request.headerFields.count < 65_000 else {
            throw H2Error(
                .invalidRequest, initiator: .user, message: "the request has \(request.headerFields.count) fields",
                remedy: "leave one out: the credentials need a field")
        }
        request.headerFields.append(HTTPField(name: .authorization, lenientValue: value))
    }

    /// Whether to send the request again, after another `authorize`.
    /// - Parameter canSendAgain: whether the request's body allows it.
    /// - Throws: as `answer(status:fields:canSendAgain:)`.
    mutating func answer(_ response: StreamedResponse, canSendAgain: Bool) throws(H2Error) -> Bool {
        guard cares(about: response.status.code) else { return false }
        return try answer(
            status: response.status.code, fields: response.rawHeaderFields, canSendAgain: canSendAgain)
    }
}
