import H2Client

/// The scheme of URLs without one, and the schemes that are allowed.
struct URLSchemes: Sendable, Equatable {
    /// --proto-default.
    var preset: Origin.Scheme?
    /// --proto.
    var allowed: [Origin.Scheme] = [.http, .https]
    /// --proto-redir, of those.
    var redirects: [Origin.Scheme] = [.http, .https]

    /// Names that curl knows. To allow what h2get does not fetch changes nothing.
    private static let otherNames: Set<String> = [
        "dict", "file", "ftp", "ftps", "gopher", "gophers", "imap", "imaps", "ipfs", "ipns", "ldap", "ldaps", "mqtt",
        "mqtts", "pop3", "pop3s", "rtmp", "rtmpe", "rtmps", "rtmpt", "rtmpte", "rtmpts", "rtsp", "scp", "sftp", "smb",
        "smbs", "smtp", "smtps", "telnet", "tftp", "ws", "wss",
    ]
    /// Beginnings of host names that curl takes for a protocol.
    private static let hostPrefixes = ["ftp", "dict", "ldap", "imap", "smtp", "pop3"]

    init() {}

    /// - Throws: `Failure` (`usage`).
    init(_ arguments: Arguments) throws {
        preset = try arguments.value(.protoDefault) { text in
            guard let scheme = Origin.Scheme(rawValue: text.lowercased()) else { throw BadValue("write http or https") }
            return scheme
        }
        for list in try arguments.texts(.proto) { allowed = try Self.allowed(list, "--proto") }
        for list in try arguments.texts(.protoRedir) { redirects = try Self.allowed(list, "--proto-redir") }
        redirects.removeAll { !allowed.contains($0) }
    }

    /// Parses `=https`, `-http`, `all,-http` and so on: = allows only this, + and no sign this too, - does not.
    private static func allowed(_ list: String, _ option: String) throws -> [Origin.Scheme] {
        var allowed: [Origin.Scheme] = [.http, .https]
        for part in list.split(separator: ",", omittingEmptySubsequences: true) {
            let sign = part.utf8.first.flatMap { "+-=".utf8.contains($0) ? $0 : nil }
            let name = (sign == nil ? part : part.dropFirst()).lowercased()
            let schemes: [Origin.Scheme]
            if name == "all" {
                schemes = [.http, .https]
            } else if let scheme = Origin.Scheme(rawValue: name) {
                schemes = [scheme]
            } else if otherNames.contains(name) {
                schemes = []
            } else {
                throw Failure.usage(
                    "'\(Arguments.quotable(name))' is not a protocol (\(option)); write one such as =https")
            }
            if sign == UInt8(ascii: "=") { allowed = [] }
            allowed.removeAll(where: schemes.contains)
            if sign != UInt8(ascii: "-") { allowed += schemes }
        }
        guard !allowed.isEmpty else {
            throw Failure.usage(
                "\(option) allows neither http nor https, so nothing can be fetched; write one such as =https")
        }
        return allowed
    }

    // MARK: - URLs

    /// A URL with its scheme: its own, that of --proto-default, or http, unless its host's name means another to curl.
    func completed(_ url: String) -> String {
        guard Self.scheme(of: url) == nil else { return url }
        if let preset { return "\(preset.rawValue)://\(url)" }
        let authority = url.utf8.prefix { !"/?#".utf8.contains($0) }
        let host =
            authority.lastIndex(of: UInt8(ascii: "@")).map { authority[authority.index(after: $0)...] } ?? authority
        let name = String(decoding: host, as: UTF8.self).lowercased()
        let other = Self.hostPrefixes.first { name.hasPrefix("\($0).") }
        return "\(other ?? "http")://\(url)"
    }

    /// The target of a URL.
    /// - Throws: `Failure` (`unsupportedProtocol`), `H2Error` (`invalidURL`).
    func target(of url: String, pathAsIs: Bool) throws -> RequestTarget {
        let completed = completed(url)
        // A scheme with one slash is a misspelling rather than a host.
        if let name = Self.scheme(of: completed)?.lowercased(), !Self.hasOneSlash(url) {
            guard let scheme = Origin.Scheme(rawValue: name) else {
                throw Failure(
                    .unsupportedProtocol,
                    completed == url
                        ? "h2get fetches http and https only"
                        : "a host whose name begins with \(name). is taken for \(name), and h2get fetches http and "
                            + "https only; write http:// or https:// before it")
            }
            guard allowed.contains(scheme) else {
                let given = completed == url ? "" : ", which is the scheme of a URL without one (--proto-default)"
                throw Failure(.unsupportedProtocol, "--proto does not allow \(name)\(given)")
            }
            return try RequestTarget(completed, pathAsIs: pathAsIs)
        }
        return try RequestTarget(url, pathAsIs: pathAsIs)
    }

    /// The scheme before `://`, if there is one.
    private static func scheme(of url: String) -> String? {
        let scheme = url.utf8.prefix {
            switch $0 | 0x20 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"): true
            default: (0x30...0x39).contains($0) || "+-.".utf8.contains($0)
            }
        }
        guard !scheme.isEmpty, url.utf8[scheme.endIndex...].starts(with: "://".utf8) else { return nil }
        return String(decoding: scheme, as: UTF8.self)
    }

    private static func hasOneSlash(_ url: String) -> Bool {
        let text = url.lowercased()
        return ["http:/", "https:/"].contains { text.hasPrefix($0) && !text.hasPrefix("\($0)/") }
    }
}
