import H2Client

/// All --connect-to and --resolve rules, with curl's precedence.
///
/// The first matching --connect-to gives the host and port, and the last --resolve for these gives the addresses. A rule
/// for `*` applies if no other does.
struct ConnectRules: Sendable, Equatable {
    var connectTo: [ConnectRule] = []
    var resolve: [ConnectRule] = []

    var isEmpty: Bool { connectTo.isEmpty && resolve.isEmpty }

    /// Where to connect, or nil for the origin's own host and port.
    func target(for origin: Origin) -> ConnectionConfiguration.Endpoint? {
        let target = connectTo.first { $0.matches(origin.host, origin.port) }?.target(for: origin)
        let (host, port) = (target?.host ?? origin.host, target?.port ?? origin.port)
        let matching = resolve.filter { $0.matches(host, port) }
        guard let rule = matching.last(where: { $0.host != nil }) ?? matching.last, let addresses = rule.targetHost
        else {
            return target
        }
        return ConnectionConfiguration.Endpoint(host: addresses, port: port)
    }
}

/// One --connect-to or --resolve: another host or address to connect to, under the same name.
struct ConnectRule: Sendable, Equatable {
    /// nil for any host.
    var host: String?
    var port: Int?
    /// nil for the origin's own host.
    var targetHost: String?
    var targetPort: Int?

    /// - Throws: `Failure` (`usage`).
    init(connectTo argument: String) throws {
        let parts = Self.split(argument)
        guard parts.count == 4 else {
            throw Failure.usage("write --connect-to HOST:PORT:HOST:PORT, an IPv6 address in brackets")
        }
        host = parts[0].isEmpty ? nil : try Self.host(parts[0], "the first host of --connect-to")
        port = try Self.port(parts[1], "the first port of --connect-to")
        targetHost = parts[2].isEmpty ? nil : try Self.host(parts[2], "the second host of --connect-to")
        targetPort = try Self.port(parts[3], "the second port of --connect-to")
    }

    /// - Throws: `Failure` (`usage`).
    init(resolve argument: String) throws {
        switch argument.utf8.first {
        case UInt8(ascii: "+"):
            throw Failure.usage(
                "curl's --resolve entries that time out (+) are not supported; without the + it holds for the run")
        case UInt8(ascii: "-"):
            throw Failure.usage(
                "curl's removal of a --resolve entry (-) is not supported; leave out the --resolve that made it")
        default: break
        }
        let parts = Self.split(argument)
        guard parts.count == 3, !parts[0].isEmpty, !parts[2].isEmpty,
            let port = try Self.port(parts[1], "the port of --resolve")
        else {
            throw Failure.usage("write --resolve HOST:PORT:ADDRESS, an IPv6 address in brackets")
        }
        let addresses = try parts[2].split(separator: ",", omittingEmptySubsequences: false).map {
            try Self.host(String($0), "an address of --resolve")
        }
        if let wrong = addresses.first(where: { !Resolver.isAddress($0) }), addresses.count > 1 {
            throw Failure.usage("'\(shown(wrong))' is not an address (--resolve)")
        }
        host = parts[0] == "*" ? nil : try Self.host(parts[0], "the host of --resolve")
        self.port = port
        targetHost = addresses.joined(separator: ",")
    }

    func matches(_ host: String, _ port: Int) -> Bool {
        (self.host == nil || self.host == host) && (self.port == nil || self.port == port)
    }

    func target(for origin: Origin) -> ConnectionConfiguration.Endpoint {
        ConnectionConfiguration.Endpoint(host: targetHost ?? origin.host, port: targetPort ?? origin.port)
    }

    /// Splits at colons outside brackets, and removes the brackets.
    private static func split(_ text: String) -> [String] {
        var parts = [""]
        var isInBrackets = false
        for character in text {
            switch character {
            case "[": isInBrackets = true
            case "]": isInBrackets = false
            case ":" where !isInBrackets: parts.append("")
            default: parts[parts.count - 1].append(character)
            }
        }
        return parts
    }

    /// Normalizes a host as origins do: lower case, an internationalized name in ASCII form, a zone as it is (RFC 6874 has
    /// `%25` before it).
    /// - Parameter name: the part's name, for errors, which do not repeat a possible password.
    private static func host(_ text: String, _ name: String) throws -> String {
        do {
            guard text.utf8.contains(UInt8(ascii: ":")) else { return try Origin(scheme: .https, host: text).host }
            return try RequestTarget("https://[\(text)]/").origin.host
        } catch {
            throw Failure.usage(
                "\(name) cannot be used: \(error.remedy.isEmpty ? "check how it is written" : error.remedy)")
        }
    }

    private static func port(_ text: String, _ name: String) throws -> Int? {
        if text.isEmpty { return nil }
        guard let port = Int(text), (1...65535).contains(port) else {
            throw Failure.usage("\(name) is not a valid port: use 1 to 65535")
        }
        return port
    }
}
