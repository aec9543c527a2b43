import CNghttp2
import H2Platform

/// A socket address in the form of connect(2). Two are equal if they have the same address and port, whatever else the system
/// stores in them.
package struct SocketAddress: Sendable, Hashable, CustomStringConvertible {
    /// A sockaddr_in, sockaddr_in6 or sockaddr_un.
    package let bytes: [UInt8]
    package let family: CInt

    init(bytes: [UInt8], family: CInt) { (self.bytes, self.family) = (bytes, family) }

    /// A Unix domain socket address; nil if the path is empty or too long (107 bytes on Linux).
    package init?(path: String) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = Array(path.utf8)
        let hasRoom = withUnsafeMutableBytes(of: &address.sun_path) { room in
            guard !path.isEmpty, !path.contains(0), path.count < room.count else { return false }
            room.copyBytes(from: path)
            return true
        }
        guard hasRoom else { return nil }
        self.init(bytes: withUnsafeBytes(of: address) { Array($0) }, family: AF_UNIX)
    }

    package var description: String {
        if family == AF_UNIX {
            let start = MemoryLayout<sockaddr_un>.offset(of: \sockaddr_un.sun_path) ?? 2
            return String(decoding: bytes.dropFirst(start).prefix { $0 != 0 }, as: UTF8.self)
        }
        var text = [CChar](repeating: 0, count: Int(CH2_ADDRESS_TEXT))
        let isKnown = bytes.withUnsafeBytes {
            ch2_address_text($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &text)
        }
        return isKnown
            ? String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) : "unknown address"
    }

    /// The address of a host, without the port; nil for a Unix domain socket.
    var hostAddress: AddressFilter.Address? {
        if family == AF_INET, bytes.count >= 8 { return AddressFilter.Address(bytes: Array(bytes[4..<8])) }
        return family == AF_INET6 && bytes.count >= 24 ? AddressFilter.Address(bytes: Array(bytes[8..<24])) : nil
    }

    /// Port, address and IPv6 zone, but not the flow label.
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

extension SocketAddress {
    /// The 4 or 16 bytes of a literal address, whose zone is ignored; nil for any other text.
    static func addressBytes(_ text: String) -> [UInt8]? {
        let bare = String(text.prefix { $0 != "%" })
        for (family, count) in [(AF_INET, 4), (AF_INET6, 16)] {
            var bytes = [UInt8](repeating: 0, count: count)
            if inet_pton(family, bare, &bytes) == 1 { return bytes }
        }
        return nil
    }

    /// The usual text of an address of 4 or 16 bytes.
    static func text(of bytes: [UInt8]) -> String {
        var text = [CChar](repeating: 0, count: Int(CH2_ADDRESS_TEXT))
        guard inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count)) != nil else {
            return ""
        }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
