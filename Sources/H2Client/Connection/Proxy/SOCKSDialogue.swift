import H2Platform

/// The bytes of a SOCKS server's answers, as they arrive. It takes no more than the expected answer.
private struct SOCKSInput {
    /// The part of the answer that has arrived.
    private(set) var bytes: [UInt8] = []

    /// Takes bytes until the answer has `count` bytes. Returns whether it is complete.
    mutating func take(_ count: Int, from input: inout Slice<UnsafeRawBufferPointer>) -> Bool {
        let missing = max(count - bytes.count, 0)
        bytes += input.prefix(missing)
        input = input.dropFirst(missing)
        return bytes.count >= count
    }

    mutating func removeAll() { bytes = [] }
}

/// SOCKS 5 (RFC 1928), with user name and password (RFC 1929).
final class SOCKS5Dialogue: TunnelDialogue {
    private enum Step { case method, password, reply, open }

    private let proxy: HTTPClient.Proxy
    private let target: TunnelTarget
    private let request: [UInt8]
    private var step = Step.method
    private var input = SOCKSInput()
    private var output = OutputBuffer(capacity: 512)
    /// The code of the refusal; nil if the proxy did not refuse.
    private(set) var refusal: UInt8?

    /// - Parameter address: the address that the name resolved to; nil to send the name.
    /// - Throws: `H2Error` (`proxyFailed`) for a name that is too long.
    init(to target: TunnelTarget, at address: NumericAddress?, through proxy: HTTPClient.Proxy) throws(H2Error) {
        self.proxy = proxy
        self.target = target
        // CONNECT, and a reserved byte.
        var request: [UInt8] = [5, 1, 0]
        if let address = address ?? NumericAddress(target.host) {
            request += [address.bytes.count == 4 ? 1 : 4] + address.bytes
        } else {
            let name = Array(target.host.utf8)
            guard let length = UInt8(exactly: name.count) else {
                throw SOCKSError.unspeakable("a name of more than 255 bytes", target, proxy)
            }
            request += [3, length] + name
        }
        self.request = request + [UInt8(target.port >> 8), UInt8(target.port & 0xff)]
        // Methods: none, and user name with password.
        append(proxy.user == nil ? [5, 1, 0] : [5, 2, 0, 2])
    }

    var outputBytes: UnsafeRawBufferPointer { output.bytes }
    func outputTaken(_ count: Int, now: UInt64) { output.removeFirst(count) }

    var isOpen: Bool {
        if case .open = step { true } else { false }
    }

    func receive(_ bytes: UnsafeRawBufferPointer, now: UInt64) throws(H2Error) -> Int {
        var rest = bytes[...]
        while !isOpen, try advance(&rest) { input.removeAll() }
        return bytes.count - rest.count
    }

    /// Returns false if its answer is not complete.
    private func advance(_ rest: inout Slice<UnsafeRawBufferPointer>) throws(H2Error) -> Bool {
        switch step {
        case .method:
            guard try versioned(5, 2, &rest) else { return false }
            switch input.bytes[1] {
            case 0: ask()
            case 2 where proxy.user != nil:
                let (user, password) = (Array((proxy.user ?? "").utf8), Array((proxy.password ?? "").utf8))
                append([1, UInt8(user.count)] + user + [UInt8(password.count)] + password)
                step = .password
            case 0xff:
                throw SOCKSError.failed(
                    proxy.user == nil ? "wants a user name and a password" : "accepts no user name with a password",
                    target, proxy, proxy.user == nil ? "name them in the proxy's URL" : "its log may say why")
            case let method:
                throw SOCKSError.failed(
                    "chose authentication method \(method), which was not offered", target, proxy,
                    "the fault is the proxy's")
            }
        case .password:
            guard try versioned(1, 2, &rest) else { return false }
            guard input.bytes[1] == 0 else {
                throw SOCKSError.failed(
                    "does not accept these credentials", target, proxy, "check the user name and the password")
            }
            ask()
        case .reply:
            guard try versioned(5, 2, &rest) else { return false }
            if case let code = input.bytes[1], code != 0 {
                refusal = code
                throw SOCKSError.refused(code, target, proxy)
            }
            guard input.take(5, from: &rest) else { return false }
            // The address from which the proxy connects is not needed.
            let length: Int
            switch input.bytes[3] {
            case 1: length = 4
            case 3: length = 1 + Int(input.bytes[4])
            case 4: length = 16
            case let kind:
                throw SOCKSError.failed(
                    "answered with an address of unknown type \(kind)", target, proxy, "the fault is the proxy's")
            }
            guard input.take(4 + length + 2, from: &rest) else { return false }
            step = .open
        case .open: return false
        }
        return true
    }

    private func ask() {
        append(request)
        step = .reply
    }

    private func versioned(
        _ version: UInt8, _ count: Int, _ rest: inout Slice<UnsafeRawBufferPointer>
    ) throws(H2Error) -> Bool {
        let isComplete = input.take(count, from: &rest)
        if let first = input.bytes.first, first != version { throw SOCKSError.notSOCKS(first, target, proxy) }
        return isComplete
    }

    private func append(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { if let base = $0.baseAddress { output.append(base, count: $0.count) } }
    }
}

/// SOCKS 4, and SOCKS 4A, where the proxy looks up names.
final class SOCKS4Dialogue: TunnelDialogue {
    private let proxy: HTTPClient.Proxy
    private let target: TunnelTarget
    private var input = SOCKSInput()
    private var output = OutputBuffer(capacity: 512)
    private(set) var isOpen = false
    /// Whether the proxy rejected the request, or could not connect.
    private(set) var isRejected = false

    /// - Parameter address: the address that the name resolved to; nil to send the name.
    /// - Throws: `H2Error` (`proxyFailed`) for an IPv6 address, which SOCKS 4 does not support.
    init(to target: TunnelTarget, at address: NumericAddress?, through proxy: HTTPClient.Proxy) throws(H2Error) {
        self.proxy = proxy
        self.target = target
        var request: [UInt8] = [4, 1, UInt8(target.port >> 8), UInt8(target.port & 0xff)]
        let user = Array((proxy.user ?? "").utf8) + [0]
        if let address = address ?? NumericAddress(target.host) {
            guard address.bytes.count == 4 else {
                throw SOCKSError.unspeakable("an IPv6 address", target, proxy)
            }
            request += address.bytes + user
        } else {
            // An impossible address means that a name follows.
            request += [0, 0, 0, 1] + user + Array(target.host.utf8) + [0]
        }
        request.withUnsafeBytes { if let base = $0.baseAddress { output.append(base, count: $0.count) } }
    }

    var outputBytes: UnsafeRawBufferPointer { output.bytes }
    func outputTaken(_ count: Int, now: UInt64) { output.removeFirst(count) }

    func receive(_ bytes: UnsafeRawBufferPointer, now: UInt64) throws(H2Error) -> Int {
        var rest = bytes[...]
        let isComplete = input.take(8, from: &rest)
        if let first = input.bytes.first, first != 0 { throw SOCKSError.notSOCKS(first, target, proxy) }
        guard isComplete else { return bytes.count }
        switch input.bytes[1] {
        case 90: isOpen = true
        case 91:
            isRejected = true
            throw SOCKSError.failed(
                "rejected the request, or could not connect", target, proxy, "is the name right, and the server up?")
        case 92, 93:
            throw SOCKSError.failed(
                "does not accept the user name", target, proxy, "SOCKS 4 asks identd on this machine for it")
        case let code:
            throw SOCKSError.failed("answered with the unknown code \(code)", target, proxy, "its log may say why")
        }
        return bytes.count - rest.count
    }
}

/// The errors of SOCKS servers.
enum SOCKSError {
    /// The reply of SOCKS 5 (RFC 1928 section 6).
    static func refused(_ code: UInt8, _ target: TunnelTarget, _ proxy: HTTPClient.Proxy) -> H2Error {
        let words =
            switch code {
            case 1: "general failure"
            case 2: "not allowed by its rules"
            case 3: "the network is unreachable"
            case 4: "the host is unreachable"
            case 5: "the connection was refused"
            case 6: "the time to live expired"
            case 7: "it does not know the command CONNECT"
            case 8: "it does not know this type of address"
            default: "unknown code"
            }
        let remedy =
            switch code {
            case 1, 3, 4, 5, 6: "is the name right, and the server up? the proxy's log may say more"
            case 2: "does the proxy allow connections to this host and port?"
            case 8 where proxy.scheme == .socks5: "socks5h:// has the proxy look up the name"
            default: "the proxy's log may say more"
            }
        var error = failed("could not connect: \(words) (code \(code))", target, proxy, remedy)
        error.isRetryable = [1, 3, 4, 5, 6].contains(code)
        return error
    }

    static func failed(
        _ what: String, _ target: TunnelTarget, _ proxy: HTTPClient.Proxy, _ remedy: String
    ) -> H2Error {
        H2Error(
            .proxyFailed, scope: .connection, initiator: .remote,
            message: "the proxy \(proxy) opened no tunnel to \(target.authority): it \(what)", remedy: remedy)
    }

    static func notSOCKS(_ first: UInt8, _ target: TunnelTarget, _ proxy: HTTPClient.Proxy) -> H2Error {
        let isText = (0x20..<0x7f).contains(first)
        return failed(
            "does not speak SOCKS: its answer begins with \(isText ? "'\(Character(UnicodeScalar(first)))'" : "\(first)")",
            target, proxy, first == UInt8(ascii: "H") ? "it may be an HTTP proxy: use http://" : "is the port right?")
    }

    static func unspeakable(_ what: String, _ target: TunnelTarget, _ proxy: HTTPClient.Proxy) -> H2Error {
        H2Error(
            .proxyFailed, scope: .connection, initiator: .user,
            message: "the proxy \(proxy) cannot be asked for \(what): \(target.authority)", remedy: "use socks5h://")
    }
}
