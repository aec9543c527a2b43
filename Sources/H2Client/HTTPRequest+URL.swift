public import HTTPTypes

extension HTTPRequest {
    /// A request for an absolute `http` or `https` URL. A user name and password in it become Basic credentials (RFC 7617)
    /// unless the fields have an `authorization` of their own; the fragment is not sent.
    /// - Throws: `H2Error`: `invalidURL`, with what to write instead; `invalidRequest` where credentials would be one field too
    ///   many.
    public init(_ method: Method = .get, url: String, headerFields: HTTPFields = [:]) throws(H2Error) {
        let target = try RequestTarget(url)
        self.init(
            method: method, scheme: target.origin.scheme.rawValue, authority: target.origin.urlAuthority,
            path: target.path, headerFields: headerFields)
        if self.headerFields[.authorization] == nil, let credentials = target.basicCredentials {
            // swift-http-types traps soon after.
            guard headerFields.count < 65_000 else {
                throw H2Error(
                    .invalidRequest, initiator: .user, message: "the request has \(headerFields.count) fields",
                    remedy: "leave one out: the credentials of the URL need a field")
            }
            self.headerFields[.authorization] = credentials
        }
    }
}
