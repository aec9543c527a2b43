import CNghttp2

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A socket address as connect(2) takes it.
package struct SocketAddress: Sendable, CustomStringConvertible {
    /// A sockaddr_in or sockaddr_in6.
    let bytes: [UInt8]
    let family: CInt

    package var description: String {
        var text = [CChar](repeating: 0, count: 64)
        let isKnown = bytes.withUnsafeBytes {
            ch2_address_text($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &text)
        }
        return isKnown
            ? String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) : "unknown address"
    }

    func withSockaddr<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        bytes.withUnsafeBytes {
            body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
        }
    }
}

/// Names to addresses, by getaddrinfo on a thread of its own, so that a slow name server never holds a loop up.
package enum Resolver {
    /// True for an IPv4 or IPv6 literal, which has no name to send or to look up.
    package static func isAddress(_ host: String) -> Bool {
        var storage = in6_addr()
        let bare = String(host.prefix { $0 != "%" })
        return inet_pton(AF_INET, bare, &storage) == 1 || inet_pton(AF_INET6, bare, &storage) == 1
    }

    /// Calls `completion` on the loop's thread, later, with addresses in getaddrinfo's order.
    static func resolve(
        host: String, port: Int, on loop: EventLoop,
        completion: @escaping @Sendable (Result<[SocketAddress], H2Error>) -> Void
    ) {
        if isAddress(host) {
            // Nothing to wait for: a literal is parsed, not looked up.
            let result = lookUp(host: host, port: port, flags: AI_NUMERICHOST)
            loop.execute { completion(result) }
            return
        }
        let status = startDetachedThread {
            let result = lookUp(host: host, port: port, flags: 0)
            loop.execute { completion(result) }
        }
        if status != 0 {
            loop.execute {
                completion(
                    .failure(
                        H2Error(
                            .resolveFailed, cause: .errno(status),
                            message: "cannot start a thread to look up '\(host)': \(describeErrno(status))")))
            }
        }
    }

    private static func lookUp(host: String, port: Int, flags: CInt) -> Result<[SocketAddress], H2Error> {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_flags = flags | AI_NUMERICSERV
        #if canImport(Glibc)
            hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        #else
            hints.ai_socktype = SOCK_STREAM
        #endif
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, String(port), &hints, &list)
        guard status == 0 else {
            return .failure(
                H2Error(
                    .resolveFailed, initiator: .remote, cause: .resolver(status),
                    message: "cannot resolve '\(host)': \(String(cString: gai_strerror(status)))",
                    remedy: "check the name, or connect to an address"))
        }
        defer { freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var next = list
        while let entry = next?.pointee {
            if let address = entry.ai_addr, entry.ai_family == AF_INET || entry.ai_family == AF_INET6 {
                let bytes = UnsafeRawBufferPointer(start: address, count: Int(entry.ai_addrlen))
                addresses.append(SocketAddress(bytes: Array(bytes), family: entry.ai_family))
            }
            next = entry.ai_next
        }
        return .success(addresses)
    }
}
