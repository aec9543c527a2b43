public import HTTPTypes

extension HTTPRequest {
    /// Creates a request for an absolute `http` or `https` URL. A user name and password in the URL become Basic credentials
    /// (RFC 7617) unless `headerFields` has an `authorization`. The fragment is not sent.
    /// - Throws: `H2Error`: `invalidURL`, with advice what to write instead; `invalidRequest` if there are too many fields to
    ///   add the credentials.
    public init(_ method: Method = .get, url: String, headerFields: HTTPFields = [:]) throws(H2Error) {
        let target = try RequestTarget(url)
        self.init(
            method: method, scheme: target.origin.scheme.rawValue, authority: target.origin.urlAuthority,
            path: target.path, headerFields: headerFields)
        if self.headerFields[.authorization] == nil, let credentials = target.basicCredentials {
            // swift-http-types traps slightly above this.
            guard headerFields.count < 65_000 else {
                throw H2Error(
                    .invalidRequest, initiator: .user, message: "the request has \(headerFields.count) fields",
                    remedy: "leave one out: the credentials of the URL need a field")
            }
            self.headerFields[.authorization] = credentials
        }
    }
}
