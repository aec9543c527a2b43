public import HTTPTypes

extension RequestTarget {
    /// Creates a request for this target. A user name and password in the URL become Basic credentials (RFC 7617) unless
    /// `headerFields` has an `authorization`. The fragment is not sent.
    ///
    /// ```swift
    /// let request = try RequestTarget("https://example.com/items?page=2").request(.get)
    /// ```
    /// - Throws: `H2Error` (`invalidRequest`) if there are too many fields to add the credentials.
    public func request(
        _ method: HTTPRequest.Method = .get, headerFields: HTTPFields = [:]
    ) throws(H2Error) -> HTTPRequest {
        var request = HTTPRequest(
            method: method, scheme: origin.scheme.rawValue, authority: origin.urlAuthority, path: path,
            headerFields: headerFields)
        if headerFields[.authorization] == nil, let credentials = basicCredentials {
            // swift-http-types traps slightly above this.
            guard headerFields.count < 65_000 else {
                throw H2Error(
                    .invalidRequest, initiator: .user, message: "the request has \(headerFields.count) fields",
                    remedy: "leave one out: the credentials of the URL need a field")
            }
            request.headerFields[.authorization] = credentials
        }
        return request
    }
}

extension HTTPRequest {
    /// Creates a request for an absolute `http` or `https` URL. Not public: an initialiser of a type of another package could
    /// clash with that package's own, or with a third one's.
    /// - Throws: `H2Error`: `invalidURL`, `invalidRequest`.
    package init(_ method: Method = .get, url: String, headerFields: HTTPFields = [:]) throws(H2Error) {
        self = try RequestTarget(url).request(method, headerFields: headerFields)
    }
}
