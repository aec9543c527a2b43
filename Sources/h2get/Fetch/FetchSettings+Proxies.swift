import H2Client
import H2Measure
import H2Platform
import HTTPTypes

/// The options for proxies, and the environment that curl reads.
extension FetchSettings {
    mutating func setProxies(_ arguments: Arguments) throws {
        let exceptions = HTTPClient.NoProxy(
            try arguments.text(.noproxy) ?? Self.variable("no_proxy") ?? Self.variable("NO_PROXY") ?? "")
        let preproxy = try Self.preproxy(arguments)
        guard let chosen = try Self.chosenProxies(arguments, exceptions) else {
            try refuseProxyOptions(arguments)
            // It is then the only one, as in curl.
            if let preproxy { proxies = .all(preproxy, except: exceptions) }
            return
        }
        proxies = chosen
        proxies.preproxy = preproxy
        let schemes = arguments.all(.proxyBasic, .proxyDigest, .proxyAnyauth).filter(\.isOn)
        if let first = schemes.first, let other = schemes.first(where: { $0.key != first.key }) {
            throw Failure.usage("\(first.spelling) and \(other.spelling) cannot be combined")
        }
        switch schemes.first?.key {
        case .proxyDigest: proxies.passwordScheme = .digest
        case .proxyAnyauth: proxies.passwordScheme = .any
        default: break
        }
        proxies.tunnelsHTTP = arguments.isOn(.proxyTunnel)
        try setProxyFields(arguments)
        try setProxyTLS(arguments)
    }

    /// The proxies of the command line or the environment; nil for none.
    private static func chosenProxies(
        _ arguments: Arguments, _ exceptions: HTTPClient.NoProxy
    ) throws -> HTTPClient.ProxySettings? {
        let login = try arguments.text(.proxyUser).map { try Self.login($0, "-U") }
        guard let last = arguments.all(.proxy, .socks5, .socks5Hostname, .socks4, .socks4a).last else {
            // As in curl, the environment counts only if no proxy is named. Otherwise requests could go past it.
            if arguments.isGiven(.preproxy) { return nil }
            let all = try proxy(named: ["all_proxy", "ALL_PROXY"], login)
            // In a CGI program HTTP_PROXY is a field of somebody's request, so curl does not read it.
            let http = try proxy(named: ["http_proxy"], login) ?? all
            let https = try proxy(named: ["https_proxy", "HTTPS_PROXY"], login) ?? all
            return http == nil && https == nil ? nil : .fixed(http: http, https: https, except: exceptions)
        }
        let text = try last.text
        // -x '' is for no proxy, whatever the environment says.
        guard last.key != .proxy || !text.isEmpty else { return nil }
        let scheme: HTTPClient.Proxy.Scheme? =
            switch last.key {
            case .socks5: .socks5
            case .socks5Hostname: .socks5h
            case .socks4: .socks4
            case .socks4a: .socks4a
            default: nil
            }
        do { return .all(try proxy(text, scheme, login), except: exceptions) } catch {
            throw Failure.usage("\(last.spelling) names no proxy: \(error.message); \(error.remedy)")
        }
    }

    /// --preproxy. Its default scheme is curl's.
    private static func preproxy(_ arguments: Arguments) throws -> HTTPClient.Proxy? {
        guard let text = try arguments.text(.preproxy) else { return nil }
        let hasScheme = text.containsBytes(of: "://")
        let proxy: HTTPClient.Proxy
        do throws(H2Error) { proxy = try Self.proxy(text, hasScheme ? nil : .socks4, nil) } catch {
            throw Failure.usage("--preproxy names no proxy: \(error.message); \(error.remedy)")
        }
        guard [.socks4, .socks4a, .socks5, .socks5h].contains(proxy.scheme) else {
            throw Failure.usage("--preproxy takes a SOCKS proxy, such as socks5h://HOST; use -x for an HTTP proxy")
        }
        return proxy
    }

    private mutating func setProxyFields(_ arguments: Arguments) throws {
        let occurrences = arguments.all(.proxyHeader)
        for (line, source) in try Self.fieldLines(occurrences, option: "--proxy-header") {
            let field = try FieldArgument(line, source: source)
            guard let name = HTTPField.Name(field.name) else { throw Failure.usage(FieldArgument.badName(source)) }
            guard !FieldArgument.isConnectionSpecific(field.name), field.name.lowercased() != "host" else {
                throw Failure.usage("\(source): \(field.name) is the connection's own; leave it out")
            }
            // Nothing is sent by default that `Name:` could leave out.
            guard let bytes = field.bytes else { continue }
            proxies.fields.append(HTTPField(name: name, value: bytes))
        }
    }

    /// Refuses the options that only mean something with a proxy.
    private func refuseProxyOptions(_ arguments: Arguments) throws {
        let useless = arguments.all(
            .proxyUser, .proxyTunnel, .proxyHeader, .proxyBasic, .proxyDigest, .proxyAnyauth, .proxyInsecure,
            .proxyCacert, .proxyCert, .proxyKey)
        if let option = useless.first(where: \.isOn)?.spelling {
            throw Failure.usage("\(option) is for a proxy, and there is none: name it with -x")
        }
    }

    private mutating func setProxyTLS(_ arguments: Arguments) throws {
        let options = arguments.all(.proxyInsecure, .proxyCacert, .proxyCert, .proxyKey).filter(\.isOn)
        guard !options.isEmpty else { return }
        guard !arguments.isGiven(.proxyKey) || arguments.isGiven(.proxyCert) else {
            throw Failure.usage("--proxy-key goes with --proxy-cert")
        }
        var tls = ConnectionConfiguration.TLS()
        tls.verifiesPeer = !arguments.isOn(.proxyInsecure)
        tls.caFile = try arguments.text(.proxyCacert) ?? (tls.verifiesPeer ? TLSFiles.environmentBundle : nil)
        tls.certificateFile = try arguments.text(.proxyCert)
        tls.privateKeyFile = try arguments.text(.proxyKey) ?? tls.certificateFile
        for (path, option) in [
            (tls.caFile, "--proxy-cacert"), (tls.certificateFile, "--proxy-cert"), (tls.privateKeyFile, "--proxy-key"),
        ] {
            guard let path, access(path, R_OK) != 0 else { continue }
            throw Failure(
                option == "--proxy-cacert" ? .authorityFile : .clientCertificate,
                "cannot read \(printable(path)) (\(option)): \(errnoText(errno))")
        }
        proxies.tls = tls
    }

    // MARK: - Reading

    private static func variable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }

    private static func proxy(
        named variables: [String], _ login: (user: String, password: String)?
    ) throws -> HTTPClient.Proxy? {
        for name in variables {
            guard let text = variable(name) else { continue }
            do { return try proxy(text, nil, login) } catch {
                throw Failure.usage("\(name) in the environment names no proxy: \(error.message); \(error.remedy)")
            }
        }
        return nil
    }

    /// A proxy as curl reads it: the default port is 1080, except for https.
    private static func proxy(
        _ text: String, _ scheme: HTTPClient.Proxy.Scheme?, _ login: (user: String, password: String)?
    ) throws(H2Error) -> HTTPClient.Proxy {
        let named = scheme.map { "\($0.rawValue)://\(text)" } ?? text
        let proxy = try HTTPClient.Proxy(named)
        // With another default port the parts are the same.
        let port = proxy.scheme == .http && !Self.namesPort(named) ? 1080 : proxy.port
        return try HTTPClient.Proxy(
            proxy.scheme, host: proxy.host, port: port, user: login?.user ?? proxy.user,
            password: login.map(\.password) ?? proxy.password)
    }

    private static func namesPort(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        let start = bytes.indices.first { bytes[$0...].starts(with: "://".utf8) }.map { $0 + 3 } ?? 0
        let authority = bytes[start...].prefix { $0 != UInt8(ascii: "/") }
        let host = authority.lastIndex(of: UInt8(ascii: "@")).map { authority[($0 + 1)...] } ?? authority
        let end = host.lastIndex(of: UInt8(ascii: "]")) ?? host.startIndex
        return host[end...].contains(UInt8(ascii: ":"))
    }
}
