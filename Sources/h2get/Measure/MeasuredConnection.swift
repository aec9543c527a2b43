import H2Client
import H2Measure

/// The meaning of the connection options that measuring commands share.
struct MeasuredConnection {
    let origin: Origin

    /// The protocols to use: over TLS what ALPN selects, in cleartext HTTP/2 by prior knowledge, unless HTTP/1.1 is requested.
    func protocols(_ arguments: MeasuredProtocolArguments) throws -> BenchPlan.Protocols {
        guard origin.scheme == .http else {
            guard arguments.cleartext == nil else {
                throw Failure.usage(
                    "-p says what http:// URLs speak, and these are https://, where ALPN decides: "
                        + (arguments.cleartext == .http1 ? "use --h1 instead" : "leave it out"))
            }
            return .tls(arguments.http1 ? ["http/1.1"] : ["h2", "http/1.1"])
        }
        guard !(arguments.http1 && arguments.cleartext == .h2c) else {
            throw Failure.usage("--h1 and -p h2c cannot be combined")
        }
        return arguments.http1 || arguments.cleartext == .http1 ? .cleartextHTTP1 : .cleartextHTTP2
    }

    func configuration(_ arguments: MeasuredConnectionArguments, _ tls: TLSArguments) throws -> ConnectionConfiguration
    {
        var configuration = ConnectionConfiguration()
        if origin.scheme == .http {
            for (name, isGiven) in [
                ("-k", tls.insecure), ("--cacert", tls.authorityFile != nil),
                ("--cert", tls.certificate != nil), ("--key", tls.key != nil),
                ("--sni", arguments.serverName != nil),
            ] where isGiven {
                throw Failure.usage(
                    "\(name) is about TLS, which http:// URLs do without: leave it out, or use https://")
            }
        }
        guard !(tls.insecure && tls.authorityFile != nil) else {
            throw Failure.usage("-k accepts any certificate, so --cacert does nothing: keep one")
        }
        configuration.tls = try tls.configuration()
        configuration.tls.serverName = arguments.serverName
        configuration.connectTo = try arguments.connectTo.map(endpoint)
        return configuration
    }

    /// Parses `HOST`, `HOST:PORT` or `[ADDRESS]:PORT`.
    private func endpoint(_ text: String) throws -> ConnectionConfiguration.Endpoint {
        do {
            let target = try RequestTarget("\(origin.scheme.rawValue)://\(text)")
            let named = text.utf8.last == UInt8(ascii: "]") || !text.utf8.contains(UInt8(ascii: ":"))
            guard target.path == "/", target.userInfo == nil, !text.utf8.contains(UInt8(ascii: "/")) else {
                throw BadValue("more than a host and a port")
            }
            return ConnectionConfiguration.Endpoint(
                host: target.origin.host, port: named ? origin.port : target.origin.port)
        } catch {
            throw Failure.usage(
                "write --connect-to HOST or HOST:PORT, an IPv6 address in brackets")
        }
    }
}
