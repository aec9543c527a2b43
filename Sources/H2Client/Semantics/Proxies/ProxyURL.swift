/// The parts of a proxy's URL. Parsed as bytes, not Characters, as for any URL.
struct ProxyURL {
    let scheme: HTTPClient.Proxy.Scheme
    let host: String
    let port: Int?
    var user: String?
    var password: String?

    private static let shape = "write it as scheme://[user:password@]host:port"

    init(_ text: String) throws(H2Error) {
        func bad(_ why: String, _ remedy: String = Self.shape) -> H2Error { Self.bad(text, why, remedy) }
        var rest = Array(text.utf8)[...]
        if let colon = rest.indices.first(where: { rest[$0...].starts(with: "://".utf8) }) {
            let name = String(decoding: rest[..<colon], as: UTF8.self).lowercased()
            guard let scheme = HTTPClient.Proxy.Scheme(rawValue: name) else {
                let known = HTTPClient.Proxy.Scheme.allCases.map(\.rawValue).joined(separator: ", ")
                throw bad("no proxy is known by its scheme", "use one of \(known)")
            }
            self.scheme = scheme
            rest = rest[(colon + 3)...]
        } else {
            scheme = .http
        }
        let end = rest.firstIndex { "/?#".utf8.contains($0) } ?? rest.endIndex
        guard rest[end...].isEmpty || rest[end...].elementsEqual("/".utf8) else {
            throw bad("text after the host", "leave the path out; in a password, write '/' as %2F")
        }
        var authority = rest[..<end]
        if let at = authority.lastIndex(of: UInt8(ascii: "@")) {
            let parts = authority[..<at].split(
                separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
            guard let user = Self.decoded(parts[0]), let password = parts.count > 1 ? Self.decoded(parts[1]) : "" else {
                throw bad("user name or password is not UTF-8 in percent-encoding", "write '%' as %25")
            }
            // `http://@host` and `http://:@host` have no user.
            if !(user.isEmpty && password.isEmpty) {
                self.user = user
                self.password = parts.count > 1 ? password : nil
            }
            authority = authority[(at + 1)...]
        }
        let port: ArraySlice<UInt8>
        if authority.first == UInt8(ascii: "[") {
            guard let close = authority.firstIndex(of: UInt8(ascii: "]")) else { throw bad("'[' without ']'") }
            do throws(HostName.Problem) {
                let address = try HostName.bracketed(authority[(authority.startIndex + 1)..<close])
                host = String(decoding: address, as: UTF8.self)
            } catch {
                throw bad(error.why, "write [::1]:port")
            }
            guard close + 1 == authority.endIndex || authority[close + 1] == UInt8(ascii: ":") else {
                throw bad("text after ']'", "write [::1]:port")
            }
            port = authority[(close + 1)...].dropFirst()
        } else {
            let colon = authority.firstIndex(of: UInt8(ascii: ":")) ?? authority.endIndex
            do throws(HostName.Problem) {
                host = String(decoding: try HostName.decoded(authority[..<colon]), as: UTF8.self)
            } catch {
                throw bad(error.why, error.remedy)
            }
            guard !host.utf8.contains(UInt8(ascii: ":")) else { throw bad("a ':' in the host") }
            port = authority[colon...].dropFirst()
        }
        if port.contains(UInt8(ascii: ":")) { throw bad("an IPv6 address without brackets", "write [::1]:port") }
        self.port = port.isEmpty ? nil : Int(decimal: port) ?? 0
        if self.port == 0 { throw bad("a bad port", "use 1 to 65535") }
    }

    private static func decoded(_ text: ArraySlice<UInt8>) -> String? {
        TokenBytes.percentDecoded(text).flatMap { String(validating: $0, as: UTF8.self) }
    }

    static func bad(_ url: String, _ why: String, _ remedy: String) -> H2Error {
        H2Error(
            .invalidURL, initiator: .user, message: "bad proxy '\(Redaction.url(url))': \(why)", remedy: remedy)
    }
}

extension Int {
    /// A number of up to 5 decimal digits; nil for anything else.
    init?(decimal digits: ArraySlice<UInt8>) {
        guard (1...5).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        self = digits.reduce(0) { $0 * 10 + Int($1 & 15) }
    }
}
