public import HTTPTypes

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
    /// How a request reaches its origin through an HTTP proxy:
    /// - `https` origins, and cleartext HTTP/2, through one tunnel (CONNECT, RFC 9110 section 9.3.6) per connection.
    ///   TLS and HTTP/2 run inside the tunnel, with the origin, and the proxy sees neither.
    /// - `http` origins with requests that name the whole URL (absolute-form, RFC 9112 section 3.2.2; over HTTP/2 in
    ///   `:scheme` and `:authority`), which the proxy sees. With ``HTTPClient/Configuration/connectTo`` there is a
    ///   tunnel to the other endpoint instead.
    ///
    /// Connections that forward requests belong to the proxy: they serve all `http` origins behind it, and the limits
    /// on connections (``HTTPClient/Pool``) count at the proxy, which is the peer that holds them. The same proxy with
    /// another user or password counts as another proxy. Origins have their own connections to the proxy, and do not
    /// share them, with limits on the load of each origin (``HTTPClient/LoadLimits``), with
    /// ``HTTPClient/Configuration/connectTo``, for ``RequestOptions/origin``, and in
    /// ``HTTPClient/withConnection(to:_:)``.
    ///
    /// Names are sent to the proxy and not looked up locally, except by `socks4` and
    /// `socks5`. Time limits are those of
    /// ``ConnectionConfiguration/Timeouts``: `resolve`, `connect` and `tls` for reaching the proxy, `connect` again for
    /// its answer (a proxy connects before it answers), `tls` again for the origin, and `establish` for everything
    /// together. If a proxy refuses, or its answer cannot be used, the error is ``H2Error/Code/proxyFailed``.
    ///
    /// Requests through a proxy never share another origin's connection because of its certificate
    /// (``HTTPClient/Pool/coalesces``). Connections of your own (``HTTP2Connection``, ``HTTP1Connection``) use the same
    /// settings: ``ConnectionConfiguration/proxies``.
    public struct ProxySettings: Sendable {
        enum Source: Sendable {
            case none
            case environment
            case fixed(http: Proxy?, https: Proxy?, except: NoProxy)
            case choice(@Sendable (Origin) -> Proxy?)
        }

        let source: Source

        /// Whether the user's closure decides.
        var asks: Bool {
            if case .choice = source { true } else { false }
        }

        /// TLS options for connections to `https` proxies. nil: the client's own (``ConnectionConfiguration/tls``),
        /// without the settings that are meant for origins: server name, client certificate, pinned keys, verifier and
        /// session file. Early data is never sent to a proxy itself. Default nil.
        public var tls: ConnectionConfiguration.TLS?

        /// How user names and passwords are sent to HTTP proxies. ``HTTPAuthentication/PasswordScheme/basic`` sends
        /// them immediately. The others wait for the proxy's challenge, and reach `http` origins through tunnels as
        /// well, since a challenge to a tunnel is answered once for all of its requests. Default: Basic, which all
        /// proxies support.
        public var passwordScheme = HTTPAuthentication.PasswordScheme.basic

        /// Whether requests to `http` origins are sent over HTTP/2 to an `https` proxy that supports it, many at a time
        /// on one connection. If false, they are forwarded over HTTP/1.1. Tunnels are not affected.
        ///
        /// Turn it off for a proxy that offers HTTP/2 but forwards correctly only what arrives over HTTP/1.1. HAProxy
        /// in front of another proxy, for example, drops the origin from the URL when it converts HTTP/2 to HTTP/1.1.
        /// Default true.
        public var forwardsOverHTTP2 = true

        /// Whether requests to `http` origins go through tunnels (CONNECT) as well, rather than being forwarded. Many
        /// proxies allow tunnels to port 443 only. Default false.
        public var tunnelsHTTP = false

        /// Fields for HTTP proxies: they are sent with CONNECT and with each request that a proxy forwards, and never to
        /// an origin through a tunnel. Fields that belong to a connection (RFC 9110 section 7.6.1) fail over HTTP/2.
        /// Default: none.
        public var fields = HTTPFields()

        /// A SOCKS proxy through which the proxies are reached, as with curl's `--preproxy`. `socks4` and `socks5` look
        /// up the names of the other proxies locally. Reaching it has the limits `resolve` and `connect`, and its answer
        /// `connect` again. It has no effect on origins that are reached directly. Other schemes are an invalid
        /// configuration. Default: none.
        public var preproxy: Proxy?

        /// No proxies.
        public static var none: ProxySettings { ProxySettings(source: .none) }

        /// The settings in the environment when the client is created.
        ///
        /// `http_proxy` is the proxy for `http` origins, `https_proxy` the one for `https` origins, `all_proxy` the one
        /// for both if the other is not set, and `no_proxy` lists exceptions (see ``HTTPClient/NoProxy``). If a
        /// lower-case variable is not set, its upper-case form is read. The exception is HTTP_PROXY in a CGI program
        /// (where REQUEST_METHOD is set), because there it is a field of somebody's request. A value that cannot be
        /// used fails the requests it applies to (`invalidConfiguration`).
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
        /// - Parameter choose: Called for each attempt of a request to an `http` origin, on the caller's thread, since
        ///   it decides which connections can serve the request; and for each new connection to an origin, on an event
        ///   loop's thread. It must not block. Open connections to `https` origins are reused whatever it would return
        ///   now.
        public static func choosing(_ choose: @escaping @Sendable (Origin) -> Proxy?) -> ProxySettings {
            ProxySettings(source: .choice(choose))
        }
    }
}
