import HTTPTypes

// Requests that a proxy forwards. Its connections belong to the proxy, as if the proxy were an origin, and serve the
// `http` origins behind it. So the limits on connections count at the proxy, which is the peer that holds them.

extension ConnectionPool {
    /// The entry of an origin whose requests share connections to a proxy; nil if it has its own connections, or if
    /// only the configuration's closure knows. Called under the lock.
    func forwardedEntry(for origin: Origin) -> OriginEntry? {
        guard let proxy = proxies?.fixedForwarder(for: origin) else { return nil }
        return entry(for: origin, forwardedBy: proxy)
    }

    /// Called under the lock.
    private func entry(for origin: Origin, forwardedBy proxy: HTTPClient.Proxy) -> OriginEntry? {
        guard let proxies, let key = forwarder(proxy, proxies)?.key else { return nil }
        let entry = OriginEntry(
            origin: origin, key: key, scheme: origin.scheme.rawValue, authority: origin.authority, forwarder: proxy)
        // A closure may choose a different proxy next time.
        if !proxies.asks { remember(entry, as: origin.description) }
        return entry
    }

    /// The entry that represents the proxy among the origins. Called under the lock.
    private func forwarder(_ proxy: HTTPClient.Proxy, _ proxies: Proxies) -> OriginEntry? {
        if let known = forwarders[proxy] { return known }
        // Its requests are for `http` origins, even if the proxy is reached over TLS.
        guard let origin = try? Origin(scheme: .http, host: proxy.host, port: proxy.port) else { return nil }
        let entry = OriginEntry(
            origin: origin, key: state.addOrigin(isSecure: proxies.mayForwardOverHTTP2(proxy)),
            scheme: origin.scheme.rawValue, authority: origin.authority, forwarder: proxy)
        forwarders[proxy] = entry
        add(entry)
        return entry
    }

    /// Like `lease`, but first calls the configuration's closure, if any, for the proxy that forwards the request.
    /// - Throws: `H2Error`, like `lease`.
    @inline(never)
    func leaseAsking(
        for request: HTTPRequest, to origin: Origin?, kind: LeaseKind, now: UInt64
    ) throws(H2Error) -> Checkout {
        guard origin == nil, let proxies, proxies.asks else {
            return try lease(for: request, to: origin, kind: kind, now: now)
        }
        let target = try locked { () throws(H2Error) in try entry(for: request) }.origin
        // The user's code must not run under the lock.
        let proxy = proxies.chosenForwarder(for: target)
        return try locked { () throws(H2Error) in
            if let proxy, let forwarded = entry(for: target, forwardedBy: proxy) {
                return try lease(forwarded, kind, now)
            }
            return try lease(try entry(for: request), kind, now)
        }
    }

    /// Waits for an exclusive connection of the kind that the client's requests to this origin would use.
    /// - Throws: like `lend`.
    nonisolated(nonsending) func lendPooled(_ origin: Origin) async throws -> (Loan, OriginKey) {
        try await lend(origin, forwardedBy: proxies?.chosenForwarder(for: origin))
    }

    /// The entry of the origin, or of the proxy that forwards its requests. Called under the lock.
    func entry(for origin: Origin, maybeForwardedBy proxy: HTTPClient.Proxy?) -> OriginEntry {
        proxy.flatMap { entry(for: origin, forwardedBy: $0) } ?? entry(for: origin)
    }
}
