import H2Client
import H2Measure
import H2Platform

/// The options for the local end of connections, and for TLS beyond its files.
extension FetchSettings {
    mutating func setLocal(_ arguments: Arguments) throws {
        let families = arguments.all(.ipv4, .ipv6).filter(\.isOn)
        if let last = families.last { local.family = last.key == .ipv4 ? .ipv4 : .ipv6 }
        if let path = try arguments.text(.unixSocket) {
            guard SocketAddress(path: path) != nil else {
                throw Failure.usage("--unix-socket takes the path of a socket, of 107 bytes at most")
            }
            if let option = arguments.all(
                .interface, .localPort, .connectTo, .resolve, .proxy, .socks5, .socks5Hostname, .socks4, .socks4a,
                .preproxy
            )
            .first?.spelling {
                throw Failure.usage("--unix-socket says where to connect: leave out \(option)")
            }
            unixSocketPath = path
            proxies = .none
        }
        if let text = try arguments.text(.interface) { try setInterface(text) }
        local.ports = try arguments.value(.localPort) { text in
            let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
            guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1],
                (1...65_535).contains(first), (first...65_535).contains(max(first, last)), first <= last
            else { throw BadValue("write a port such as 40000, or a range such as 40000-40999") }
            return first...last
        }
        local.trafficClass = try arguments.value(.ipTOS) { text in
            guard let value = Int(text), (0...255).contains(value) else { throw BadValue("use 0 to 255") }
            return value
        }
        attemptDelay = try arguments.value(.happyEyeballsTimeout, Quantity.wholeNumber(from: 1)).map {
            .milliseconds(min($0, 86_400_000))
        }
        isWithoutKeepAlive = arguments.last(.keepalive)?.isOn == false
        keepAliveCount = try arguments.value(.keepaliveCount, Quantity.wholeNumber(from: 1)).map { min($0, 127) }
        guard !isWithoutKeepAlive || (!arguments.isGiven(.keepaliveTime) && keepAliveCount == nil) else {
            throw Failure.usage("--no-keepalive sends no probes: leave out --keepalive-time and --keepalive-cnt")
        }
    }

    /// As in curl: `if!NAME`, `host!ADDRESS`, or either without saying which.
    private mutating func setInterface(_ text: String) throws {
        if text.hasPrefix("if!") {
            local.interface = String(text.dropFirst(3))
        } else if text.hasPrefix("host!") {
            local.address = String(text.dropFirst(5))
        } else if Resolver.isAddress(text) {
            local.address = text
        } else {
            local.interface = text
        }
        if let address = local.address, !Resolver.isAddress(address) {
            throw Failure.usage(
                "--interface: '\(shown(address))' is not an address; host names are not looked up for it")
        }
        if let name = local.interface, !(1...15).contains(name.utf8.count) || if_nametoindex(name) == 0 {
            throw Failure.usage("--interface: there is no interface named '\(shown(name))'; 'ip link' lists them")
        }
    }

    mutating func setTLS(_ arguments: Arguments) throws {
        tls = try TLSFiles(arguments).configuration
        if arguments.all(.tlsv12, .tlsv13).last(where: \.isOn)?.key == .tlsv13 { tls.minimumVersion = .tls13 }
        if let version = try arguments.value(.tlsMax, Self.version) { tls.maximumVersion = version }
        guard tls.minimumVersion == .tls12 || tls.maximumVersion == .tls13 else {
            throw Failure.usage("--tlsv1.3 and --tls-max 1.2 leave no version of TLS")
        }
        tls.suites12 = try arguments.text(.ciphers)
        tls.suites13 = try arguments.text(.tls13Ciphers)
        tls.groups = try arguments.text(.groups)
        tls.signatureAlgorithms = try arguments.text(.sigalgs)
        if let list = try arguments.text(.pinnedPublicKey) {
            tls.pinnedKeys = list.split(separator: ";", omittingEmptySubsequences: false).map(String.init)
            for pin in tls.pinnedKeys where !pin.hasPrefix("sha256//") || pin.utf8.count != 52 || !pin.hasSuffix("=") {
                throw Failure.usage(
                    "'\(shown(pin))' is not a pin (--pinnedpubkey): write sha256//BASE64, several with ; between; files of keys "
                        + "are not read")
            }
        }
        if let file = try arguments.text(.crlfile) {
            guard access(file, R_OK) == 0 else {
                throw Failure(.revocationFile, "cannot read \(printable(file)) (--crlfile): \(errnoText(errno))")
            }
            tls.revocationLists = [.file(file)]
        }
        if arguments.isOn(.certStatus) { tls.stapling = .required }
        tls.sendsEarlyData = arguments.isOn(.tlsEarlyData)
        guard !tls.sendsEarlyData || tls.maximumVersion == .tls13 else {
            throw Failure.usage("--tls-earlydata needs TLS 1.3: leave out --tls-max 1.2")
        }
        tls.sessionFile = try arguments.text(.sslSessions)
        tls.keyLogFile = ConnectionConfiguration.TLS.keyLogFileOfEnvironment
        var configuration = ConnectionConfiguration()
        configuration.tls = tls
        do { try configuration.validate() } catch {
            throw Failure.usage("\(error.message)\(error.remedy.isEmpty ? "" : "; \(error.remedy)")")
        }
    }

    private static func version(_ text: String) throws -> ConnectionConfiguration.TLS.Version {
        switch text {
        case "1.2": .tls12
        case "1.3", "default": .tls13
        default: throw BadValue("use 1.2, 1.3 or default")
        }
    }
}
