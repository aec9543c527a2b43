import HTTPTypes

// A client's memory of earlier responses: hosts that want TLS, and cookies.

extension RequestFlow {
    // MARK: - Before a hop is sent

    /// Turns an `http` URL into `https` if its host wants TLS. An origin in the request's options is the caller's own
    /// choice and stays.
    func useTLSIfKnown(_ hop: inout Hop) {
        guard let store = client.configuration.strictTransport, hop.options.origin == nil,
            var origin = try? RequestTarget(of: hop.request).origin
        else { return }
        store.prepare(&hop.request, for: &origin, now: ConnectionPool.wallTime)
    }

    /// Adds the jar's cookies to the request of a hop.
    func addCookies(to request: inout HTTPRequest, _ options: RequestOptions) {
        guard let jar = client.configuration.cookies, let origin = HTTPClient.cookieOrigin(of: request, options)
        else { return }
        jar.prepare(&request, for: origin, now: ConnectionPool.wallTime)
    }

    // MARK: - Before a redirect is followed

    /// Removes those of the caller's own cookies from a redirect's request that the response has replaced: the jar has
    /// the new ones.
    func removeReplacedCookies(from request: inout HTTPRequest, _ response: StreamedResponse) {
        guard client.configuration.cookies != nil, request.headerFields[.cookie] != nil else { return }
        CookieJar.removeCookies(
            replacedBy: response.exchange.head.values(of: "set-cookie"), from: &request, now: ConnectionPool.wallTime)
    }
}

extension HTTPClient {
    /// Stores the parts of a response that matter to later requests.
    func remember(_ response: StreamedResponse, to request: HTTPRequest, _ options: RequestOptions) {
        if let jar = configuration.cookies {
            let fields = response.exchange.head.values(of: "set-cookie")
            if !fields.isEmpty, let origin = Self.cookieOrigin(of: request, options) {
                jar.learn(from: fields, request: request, origin: origin, now: ConnectionPool.wallTime)
            }
        }
        // If the caller chose the origin, the certificate says nothing about the URL's host.
        if let store = configuration.strictTransport, options.origin == nil,
            let field = response.exchange.head.values(of: "strict-transport-security").first,
            let origin = try? RequestTarget(of: request).origin
        {
            let tls = configuration.originTLS[origin] ?? configuration.connection.tls
            store.learn(
                from: field, origin: origin, isVerified: tls.verifiesPeer, now: ConnectionPool.wallTime)
        }
    }

    /// The origin that cookies belong to: the host of the URL, wherever the connection leads.
    fileprivate static func cookieOrigin(of request: HTTPRequest, _ options: RequestOptions) -> Origin? {
        guard let target = try? RequestTarget(of: request) else { return options.origin }
        guard let other = options.origin, other.scheme != target.origin.scheme else { return target.origin }
        return try? Origin(scheme: other.scheme, host: target.origin.host, port: target.origin.port)
    }
}
