import CNghttp2

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A socket address as connect(2) takes it. Two are equal that lead to the same address and port, whatever else the
/// system notes in them.
package struct SocketAddress: Sendable, Hashable, CustomStringConvertible {
    /// A sockaddr_in or sockaddr_in6.
    package let bytes: [UInt8]
    package let family: CInt

    package var description: String {
        var text = [CChar](repeating: 0, count: Int(CH2_ADDRESS_TEXT))
        let isKnown = bytes.withUnsafeBytes {
            ch2_address_text($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &text)
        }
        return isKnown
            ? String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) : "unknown address"
    }

    /// Port and address, and for IPv6 the zone, but not the flow's label.
    private var identity: [UInt8] {
        if family == AF_INET6, bytes.count >= 28 { return Array(bytes[2..<4]) + bytes[8..<28] }
        return family == AF_INET && bytes.count >= 8 ? Array(bytes[2..<8]) : bytes
    }

    package static func == (a: SocketAddress, b: SocketAddress) -> Bool {
        a.family == b.family && a.identity == b.identity
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(family)
        hasher.combine(identity)
    }

    func withSockaddr<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        bytes.withUnsafeBytes {
            body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
        }
    }
}
