import HTTPTypes

/// What a request must be like in every version of HTTP, before any of it is written.
enum RequestRules {
    /// What a field means for the connection that carries it.
    enum Kind {
        case regular
        /// Stands for the authority.
        case host
        case contentLength
        /// `te: trailers`, the only one there is use for.
        case te
        case connection
        case transferEncoding
        /// It has to do with a connection, and no request of ours needs it.
        case forbidden
    }

    static func kind(_ field: HTTPField) -> Kind {
        switch field.name.canonicalName {
        case "connection": .connection
        case "transfer-encoding": .transferEncoding
        case "keep-alive", "proxy-connection", "upgrade": .forbidden
        case "te": field.value == "trailers" ? .te : .forbidden
        case "host": .host
        case "content-length": .contentLength
        default: .regular
        }
    }

    /// A plain loop over contiguous bytes: a third of what `allSatisfy` on the UTF-8 view costs.
    static func isVisibleASCII(_ string: String) -> Bool {
        var string = string
        return string.withUTF8 { utf8 in
            for byte in utf8 where byte <= 0x20 || byte >= 0x7f { return false }
            return true
        }
    }

    /// The request's path, `/` where it names none.
    static func path(_ request: HTTPRequest) throws(H2Error) -> String {
        let path = request.path ?? "/"
        guard path.utf8.first == UInt8(ascii: "/") || (path == "*" && request.method == .options), isVisibleASCII(path)
        else {
            throw invalid(
                "bad path '\(path)'", "a path begins with '/', and what is not visible ASCII is percent-encoded")
        }
        return path
    }

    static func connectAuthority(_ authority: String?) throws(H2Error) -> String {
        guard let authority else { throw invalid("a CONNECT request needs an authority", "name host:port") }
        return authority
    }

    /// What a `content-length` field says, where `earlier` ones have said the same.
    static func length(_ field: HTTPField, earlier: Int?) throws(H2Error) -> Int {
        guard let length = Int(field.value), length >= 0, String(length) == field.value, earlier ?? length == length
        else { throw invalid("bad content-length '\(field.value)'", "leave the field out") }
        return length
    }

    /// The request's own `content-length` and the body's length are one.
    static func agree(stated: Int, body: Int) throws(H2Error) {
        guard stated == body else {
            throw invalid("content-length says \(stated), the body has \(body) bytes", "leave the field out")
        }
    }

    /// A `content-length` goes with a body: whoever reads the request would wait for one (RFC 9112 section 6.3, RFC 9113
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
