import H2Platform

/// The proxy settings as rules, after reading the environment.
struct ProxyRules: Sendable {
    private typealias Configured = Result<HTTPClient.Proxy?, H2Error>

    private enum Choice: Sendable {
        case fixed(http: Configured, https: Configured, except: HTTPClient.NoProxy)
        case closure(@Sendable (Origin) -> HTTPClient.Proxy?)
    }

    private let choice: Choice

    /// Whether the user's closure decides.
    var asks: Bool {
        if case .closure = choice { true } else { false }
    }

    /// Returns nil if no request can need a proxy.
    init?(
        _ settings: HTTPClient.ProxySettings,
        environment: @escaping (String) -> String? = { getenv($0).map { String(cString: $0) } }
    ) {
        switch settings.source {
        case .none: return nil
        case .choice(let choose): choice = .closure(choose)
        case .fixed(http: nil, https: nil, except: _): return nil
        case .fixed(let http, let https, let exceptions):
            choice = .fixed(http: .success(http), https: .success(https), except: exceptions)
        case .environment:
            let variables = ProxyVariables(environment)
            let (http, https) = (variables.proxy(for: .http), variables.proxy(for: .https))
            if case .success(nil) = http, case .success(nil) = https { return nil }
            choice = .fixed(http: http, https: https, except: HTTPClient.NoProxy(variables.exceptions))
        }
    }

    /// The proxy for an origin; nil for a direct connection.
    /// - Throws: `H2Error` (`invalidConfiguration`) if the environment names a proxy that cannot be used.
    func proxy(for origin: Origin) throws(H2Error) -> HTTPClient.Proxy? {
        switch choice {
        case .closure(let choose): return choose(origin)
        case .fixed(let http, let https, let exceptions):
            if exceptions.contains(origin) { return nil }
            return try (origin.scheme == .https ? https : http).get()
        }
    }
}

/// The proxy environment variables that many programs read.
struct ProxyVariables {
    private let value: (String) -> String?

    init(_ value: @escaping (String) -> String?) { self.value = value }

    /// The list of exceptions.
    var exceptions: String { first("no_proxy", "NO_PROXY")?.text ?? "" }

    func proxy(for scheme: Origin.Scheme) -> Result<HTTPClient.Proxy?, H2Error> {
        // A CGI program gets request fields as HTTP_…, so HTTP_PROXY may come from a `Proxy` field (CVE-2016-5385).
        let isCGI = value("REQUEST_METHOD") != nil
        let own =
            switch scheme {
            case .https: first("https_proxy", "HTTPS_PROXY")
            case .http: first("http_proxy", isCGI ? nil : "HTTP_PROXY")
            }
        guard let variable = own ?? first("all_proxy", "ALL_PROXY"), !variable.text.isEmpty else {
            return .success(nil)
        }
        do throws(H2Error) {
            return .success(try HTTPClient.Proxy(variable.text))
        } catch {
            return .failure(
                H2Error(
                    .invalidConfiguration, initiator: .user,
                    message: "the environment variable \(variable.name) cannot be used: \(error.message)",
                    remedy: error.remedy))
        }
    }

    /// The first of the variables that is set. An empty one counts: it disables a more general one.
    private func first(_ names: String?...) -> (name: String, text: String)? {
        for case let name? in names {
            if let text = value(name) { return (name, text) }
        }
        return nil
    }
}
