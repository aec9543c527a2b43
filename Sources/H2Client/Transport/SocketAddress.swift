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
