import HTTPTypes

// What a client remembers of earlier responses: hosts that want TLS, and cookies.

extension RequestFlow {
    // MARK: - Before a hop is sent

    /// Turns an `http` URL of a host that wants TLS into `https`. An origin of the request's options is the caller's own choice,
    /// and stays.
    func useTLSIfKnown(_ hop: inout Hop) {
        guard let store = client.configuration.strictTransport, hop.options.origin == nil,
            var origin = try? RequestTarget(of: hop.request).origin
        else { return }
        store.prepare(&hop.request, for: &origin, now: ConnectionPool.wallTime)
    }

    /// Adds the jar's cookies to the request of a hop.
    func addCookies(to request: inout HTTPRequest, _ options: RequestOptions) {
        guard let jar = client.configuration.cookies, let origin = cookieOrigin(of: request, options) else { return }
        jar.prepare(&request, for: origin, now: ConnectionPool.wallTime)
    }

    /// The origin that cookies belong to: the host of the URL, whatever it is connected to.
    private func cookieOrigin(of request: HTTPRequest, _ options: RequestOptions) -> Origin? {
        guard let target = try? RequestTarget(of: request) else { return options.origin }
        guard let other = options.origin, other.scheme != target.origin.scheme else { return target.origin }
        return try? Origin(scheme: other.scheme, host: target.origin.host, port: target.origin.port)
    }

    // MARK: - After its response

    /// Keeps what a response says about later requests.
    func learn(from response: StreamedResponse, to hop: Hop) {
        if let jar = client.configuration.cookies {
            let fields = response.exchange.head.values(of: "set-cookie")
            if !fields.isEmpty, let origin = cookieOrigin(of: hop.request, hop.options) {
                jar.learn(from: fields, request: hop.request, origin: origin, now: ConnectionPool.wallTime)
            }
        }
        // With an origin of the caller's own, the certificate says nothing about the URL's host.
        if let store = client.configuration.strictTransport, hop.options.origin == nil,
            let field = response.exchange.head.values(of: "strict-transport-security").first,
            let origin = try? RequestTarget(of: hop.request).origin
        {
            let tls = client.configuration.originTLS[origin] ?? client.configuration.connection.tls
            store.learn(
                from: field, origin: origin, isVerified: tls.verifiesPeer, now: ConnectionPool.wallTime)
        }
    }

    /// Removes from a redirect's request those of the caller's own cookies that the response has replaced: the jar has the
    /// new ones.
    func removeReplacedCookies(from request: inout HTTPRequest, _ response: StreamedResponse) {
        guard client.configuration.cookies != nil, request.headerFields[.cookie] != nil else { return }
        CookieJar.removeCookies(
            replacedBy: response.exchange.head.values(of: "set-cookie"), from: &request, now: ConnectionPool.wallTime)
    }
}
