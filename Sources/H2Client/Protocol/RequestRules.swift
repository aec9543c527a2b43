import HTTPTypes

/// Rules that a request must satisfy in every HTTP version, checked before any of it is written.
enum RequestRules {
    /// The meaning of a field for the connection that carries it.
    enum Kind {
        case regular
        /// Corresponds to the authority.
        case host
        case contentLength
        /// Several are one in HTTP/1.1 (RFC 9113 section 8.2.3).
        case cookie
        /// `te: trailers`, the only useful value.
        case te
        case connection
        case transferEncoding
        /// Set by a field that rules out the client's own handling of content codings.
        case coding
        /// Connection-specific, and not needed by any request of ours.
        case forbidden
    }

    static func kind(_ field: HTTPField) -> Kind {
        switch field.name.canonicalName {
        case "connection": .connection
        case "transfer-encoding": .transferEncoding
        case "keep-alive", "proxy-connection", "upgrade": .forbidden
        case "te": field.value == "trailers" ? .te : .forbidden
        case "host": .host
        case "cookie": .cookie
        case "content-length": .contentLength
        case "accept-encoding", "range", "content-encoding": .coding
        default: .regular
        }
    }

    /// The request's path, `/` if it has none.
    static func path(_ request: HTTPRequest) throws(H2Error) -> String {
        var path = request.path ?? "/"
        let isGood = path.withUTF8 { utf8 in
            guard utf8.first == UInt8(ascii: "/") || (utf8.elementsEqual("*".utf8) && request.method == .options) else {
                return false
            }
            // No early exit, so that the compiler can vectorise it.
            var bad: UInt8 = 0
            for byte in utf8 { bad |= (byte &- 0x21 > 0x5d ? 1 : 0) | (byte == UInt8(ascii: "#") ? 1 : 0) }
            return bad == 0
        }
        guard isGood else {
            throw invalid(
                "bad path '\(Redaction.url(path))'",
                "a path begins with '/', has no '#', and what is not visible ASCII is percent-encoded")
        }
        return path
    }

    // The rest of a request's control data (RFC 9110 section 3.7), which must match what the connection expects.
    // swift-http-types ensures that a method is a token.

    /// Verifies that the request's scheme is the connection's (RFC 3986 section 3.1: case-insensitive).
    static func scheme(_ scheme: String, of connection: String) throws(H2Error) {
        guard scheme.lowercased() == connection else {
            throw invalid(
                "the request is for '\(scheme)', the connection for '\(connection)'", "connect to the other origin")
        }
    }

    /// A host with an optional port (RFC 9110 section 7.2) as sent. Characters that could end it or be taken for another part
    /// are rejected, as are user names (RFC 9110 section 4.2.4), and the zone of an IPv6 address is removed (RFC 6874 section
    /// 4).
    static func authority(_ authority: String, needsPort: Bool = false) throws(H2Error) -> String {
        guard let sent = sentAuthority(Array(authority.utf8)[...], needsPort: needsPort) else {
            throw invalid(
                "bad authority '\(Redaction.url(authority))'",
                needsPort ? "name host:port, without a user" : "name host or host:port, without a user")
        }
        return sent
    }

    private static func sentAuthority(_ authority: ArraySlice<UInt8>, needsPort: Bool) -> String? {
        var host = authority
        var port: ArraySlice<UInt8>?
        if authority.first == UInt8(ascii: "[") {
            guard let close = authority.firstIndex(of: UInt8(ascii: "]")),
                let address = try? HostName.normalized(HostName.bracketed(authority.dropFirst().prefix(upTo: close)))
            else { return nil }
            host = Array("[\(Substring(address.utf8.prefix { $0 != UInt8(ascii: "%") }))]".utf8)[...]
            if close + 1 < authority.endIndex {
                guard authority[close + 1] == UInt8(ascii: ":") else { return nil }
                port = authority[(close + 2)...]
            }
        } else {
            if let colon = authority.firstIndex(of: UInt8(ascii: ":")) {
                (host, port) = (authority[..<colon], authority[(colon + 1)...])
            }
            guard isRegisteredName(host) else { return nil }
        }
        guard let port else { return needsPort ? nil : String(decoding: host, as: UTF8.self) }
        let hasPort = !port.isEmpty
        // RFC 3986 section 3.2.3: leading zeros are insignificant.
        let digits = port.drop { $0 == UInt8(ascii: "0") }
        guard digits.count <= 5, digits.allSatisfy({ (0x30...0x39).contains($0) }), hasPort || !needsPort,
            !hasPort || (1...65_535).contains(Int(String(decoding: digits, as: UTF8.self)) ?? 0)
        else { return nil }
        return String(decoding: host, as: UTF8.self) + ":" + String(decoding: digits, as: UTF8.self)
    }

    /// RFC 3986 section 3.2.2, except comma and semicolon, which would look like a list.
    private static func isRegisteredName(_ name: ArraySlice<UInt8>) -> Bool {
        var rest = name
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%") {
                guard rest.popFirst().flatMap(TokenBytes.hexDigit) != nil,
                    rest.popFirst().flatMap(TokenBytes.hexDigit) != nil
                else { return false }
            } else if TokenBytes.lowerCase[Int(byte)] == 0, !"~()=".utf8.contains(byte) {
                return false
            } else if "#^`|".utf8.contains(byte) {
                return false
            }
        }
        return !name.isEmpty
    }

    static func connectAuthority(_ authority: String?) throws(H2Error) -> String {
        guard let authority else { throw invalid("a CONNECT request needs an authority", "name host:port") }
        // RFC 9110 section 9.3.6: there is no default port.
        return try self.authority(authority, needsPort: true)
    }

    /// The protocol that an extended CONNECT asks for (RFC 8441 section 4): a name with an optional version after a slash.
    static func protocolName(_ name: String) throws(H2Error) -> String {
        let parts = Array(name.utf8).split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard parts.count <= 2,
            parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy { TokenBytes.lowerCase[Int($0)] != 0 } })
        else { throw invalid("bad protocol '\(name)'", "name one such as websocket") }
        return name
    }

    /// `:protocol` is only allowed with CONNECT (RFC 8441 section 4).
    static func onlyConnectHasProtocol() -> H2Error {
        invalid("a :protocol without CONNECT", "leave it out, or make the method CONNECT")
    }

    /// A request has one host (RFC 9112 section 3.2).
    static func oneHost(_ field: HTTPField, host: String?) throws(H2Error) {
        guard field.value == host else {
            throw invalid("two Host fields that differ", "leave one of them out")
        }
    }

    /// The content codings that a client states in a request, as far as the request's own fields allow.
    struct Codings {
        /// Whether to offer those available in `accept-encoding`.
        var offers = false
        /// The coding of the request's body, for `content-encoding`.
        var body: ContentCoding?

        /// Applies a field of the kind `coding`.
        mutating func take(_ field: HTTPField) throws(H2Error) {
            if field.name != .contentEncoding {
                // RFC 9110 section 14.2: a range selects encoded bytes, which cannot be decoded by themselves.
                offers = false
            } else if body != nil {
                throw invalid("content-encoding beside a body that the client encodes", "leave one of them out")
            }
        }
    }

    /// The value of a `content-length` field, which must agree with `earlier` ones.
    static func length(_ field: HTTPField, earlier: Int?) throws(H2Error) -> Int {
        guard let length = Int(field.value), length >= 0, String(length) == field.value, earlier ?? length == length
        else { throw invalid("bad content-length '\(field.value)'", "leave the field out") }
        return length
    }

    /// Verifies the length of a body.
    static func length(_ length: Int) throws(H2Error) {
        guard length >= 0 else { throw invalid("a body of \(length) bytes", "state a length of 0 or more, or none") }
    }

    /// Verifies that the request's own `content-length` matches the body's length.
    static func agree(stated: Int, body: Int) throws(H2Error) {
        guard stated == body else {
            throw invalid("content-length says \(stated), the body has \(body) bytes", "leave the field out")
        }
    }

    /// Verifies that a request with `content-length` has a body: a recipient would wait for one (RFC 9112 section 6.3, RFC 9113
    /// section 8.1.1).
    static func hasBody(_ hasBody: Bool, stated: Int) throws(H2Error) {
        guard hasBody || stated == 0 else {
            throw invalid("content-length says \(stated), but there is no body", "leave the field out")
        }
    }

    static func invalid(_ message: String, _ remedy: String) -> H2Error {
        H2Error(.invalidRequest, initiator: .user, message: message, remedy: remedy)
    }
}
