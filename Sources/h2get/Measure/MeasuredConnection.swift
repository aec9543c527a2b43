import H2Client
import H2Measure

/// The meaning of the connection options that measuring commands share.
struct MeasuredConnection {
    let origin: Origin

    /// The protocols to use: over TLS what ALPN selects, in cleartext HTTP/2 by prior knowledge, unless HTTP/1.1 is requested.
    func protocols(_ arguments: Arguments) throws -> BenchPlan.Protocols {
        let cleartext = try arguments.value(.noTLSProto, Quantity.choice(CleartextProtocol.self))
        let isHTTP1 = arguments.isOn(.h1)
        guard origin.scheme == .http else {
            guard cleartext == nil else {
                throw Failure.usage(
                    "-p says what http:// URLs speak, and these are https://, where ALPN decides: "
                        + (cleartext == .http1 ? "use --h1 instead" : "leave it out"))
            }
            return .tls(isHTTP1 ? ["http/1.1"] : ["h2", "http/1.1"])
        }
        guard !(isHTTP1 && cleartext == .h2c) else {
            throw Failure.usage("--h1 and -p h2c cannot be combined")
        }
        return isHTTP1 || cleartext == .http1 ? .cleartextHTTP1 : .cleartextHTTP2
    }

    func configuration(_ arguments: Arguments) throws -> ConnectionConfiguration {
        var configuration = ConnectionConfiguration()
        if origin.scheme == .http {
            let options = arguments.all(.insecure, .cacert, .cert, .key, .sni)
            if let name = options.first(where: \.isOn)?.spelling {
                throw Failure.usage(
                    "\(name) is about TLS, which http:// URLs do without: leave it out, or use https://")
            }
        }
        guard !(arguments.isOn(.insecure) && arguments.isGiven(.cacert)) else {
            throw Failure.usage("-k accepts any certificate, so --cacert does nothing: keep one")
        }
        configuration.tls = try TLSFiles(arguments).configuration
        configuration.tls.serverName = try arguments.text(.sni)
        configuration.connectTo = try arguments.text(.connectTo).map(endpoint)
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

/// The value of `-p`.
enum CleartextProtocol: String, CaseIterable, Sendable {
    case h2c
    case http1 = "http/1.1"
}
