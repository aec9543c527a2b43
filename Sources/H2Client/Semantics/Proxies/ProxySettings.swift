extension HTTPClient {
    /// Which requests go through which proxy.
    ///
    /// ```swift
    /// var configuration = HTTPClient.Configuration()
    /// configuration.proxies = .environment
    /// let tor = try HTTPClient.Proxy("socks5h://127.0.0.1:9050")
    /// configuration.proxies = .choosing { origin in origin.host.hasSuffix(".onion") ? tor : nil }
    /// ```
    ///
    /// How a request gets through an HTTP proxy:
    /// - `https` origins, and cleartext HTTP/2, by a tunnel (CONNECT, RFC 9110 section 9.3.6) per connection. TLS and HTTP/2 are
    ///   spoken with the origin, inside the tunnel, and the proxy sees neither.
    /// - `http` origins by requests that name the whole URL (absolute-form, RFC 9112 section 3.2.2), which the proxy sees. Such a
    ///   connection to the proxy serves one origin, and is reused for it like any other. With
    ///   ``HTTPClient/Configuration/connectTo`` there is a tunnel to the other endpoint instead.
    ///
    /// Names are sent to the proxy, and not looked up here, except by `socks5`. Time limits are those of
    /// ``ConnectionConfiguration/Timeouts``: `resolve`, `connect` and `tls` for reaching the proxy, `connect` again for its
    /// answer (a proxy connects before it answers), `tls` again for the origin, and `establish` for all together. A proxy that
    /// refuses, or whose answer cannot be used, is ``H2Error/Code/proxyFailed``.
    ///
    /// Requests through a proxy share no other origin's connection (``HTTPClient/Pool/coalesces``). Connections of one's own
    /// (``HTTP2Connection``, ``HTTP1Connection``) go through no proxy.
    public struct ProxySettings: Sendable {
        enum Source: Sendable {
            case none
            case environment
            case fixed(http: Proxy?, https: Proxy?, except: NoProxy)
            case choice(@Sendable (Origin) -> Proxy?)
        }

        let source: Source

        /// TLS options for connections to `https` proxies. nil: the client's own (``ConnectionConfiguration/tls``), without what
        /// is meant for origins: server name, client certificate, pinned keys, verifier and session file. Default nil.
        public var tls: ConnectionConfiguration.TLS?

        /// How user names and passwords of HTTP proxies are sent. ``HTTPAuthentication/PasswordScheme/basic`` sends them at once;
        /// the others wait for the proxy's challenge, and reach `http` origins by tunnels as well, since a challenge to a tunnel
        /// is answered once for all of its requests. Default: Basic, which all proxies know.
        public var passwordScheme = HTTPAuthentication.PasswordScheme.basic

        /// No proxies.
        public static var none: ProxySettings { ProxySettings(source: .none) }

        /// What the environment says when the client is created.
        ///
        /// `http_proxy` is the proxy for `http` origins, `https_proxy` the one for `https` origins, `all_proxy` the one for
        /// both where the other is not set, and `no_proxy` lists exceptions (see ``HTTPClient/NoProxy``). Each is also read in upper
        /// case if the lower case one is not set; except HTTP_PROXY in a CGI program (where REQUEST_METHOD is set), since there it is a
        /// field of somebody's request. A value that cannot be used fails the requests that it is meant for
        /// (`invalidConfiguration`).
        public static var environment: ProxySettings { ProxySettings(source: .environment) }

        /// One proxy for all requests.
        /// - Parameters:
        ///   - proxy: The proxy.
        ///   - exceptions: The hosts that are reached directly. Default: none.
        public static func all(_ proxy: Proxy, except exceptions: NoProxy = "") -> ProxySettings {
            .fixed(http: proxy, https: proxy, except: exceptions)
        }

        /// A proxy for each scheme.
        /// - Parameters:
        ///   - http: For `http` origins; nil for none.
        ///   - https: For `https` origins; nil for none.
        ///   - exceptions: The hosts that are reached directly. Default: none.
        public static func fixed(http: Proxy?, https: Proxy?, except exceptions: NoProxy = "") -> ProxySettings {
            ProxySettings(source: .fixed(http: http, https: https, except: exceptions))
        }

        /// Asks for the proxy of an origin; nil means that the origin is reached directly.
        /// - Parameter choose: Called once for each new connection, on an event loop's thread; it must not block. Open
        ///   connections are reused whatever it would say now.
        public static func choosing(_ choose: @escaping @Sendable (Origin) -> Proxy?) -> ProxySettings {
            ProxySettings(source: .choice(choose))
        }
    }
}
