import H2Client

/// The parts of a URL that a transfer needs.
struct FetchTarget: Sendable, Equatable {
    let origin: Origin
    /// Path and query.
    let path: String
    let userInfo: String?

    init(_ target: RequestTarget) { (origin, path, userInfo) = (target.origin, target.path, target.userInfo) }

    fileprivate init(_ origin: Origin, path: String) { (self.origin, self.path, userInfo) = (origin, path, nil) }
}

/// The targets of URLs, most of which differ from the one before only in their paths: those need not be taken apart.
struct TargetCache {
    private let schemes: URLSchemes
    private let keepsPath: Bool
    /// Scheme and authority of the last URL as it was written, such as `https://example.org:8443`, and its origin.
    private var last: (prefix: [UInt8], origin: Origin)?

    init(_ schemes: URLSchemes, keepsPath: Bool) { (self.schemes, self.keepsPath) = (schemes, keepsPath) }

    /// - Throws: `Failure` (`unsupportedProtocol`), `H2Error` (`invalidURL`).
    mutating func target(of url: String) throws -> FetchTarget {
        if let last, let path = Self.plainPath(of: url, after: last.prefix) {
            return FetchTarget(last.origin, path: path)
        }
        let target = try schemes.target(of: url, pathAsIs: keepsPath)
        last = Self.prefix(of: url, target).map { ($0, target.origin) }
        return FetchTarget(target)
    }

    /// nil unless scheme and authority are written out, without a user name, and a path follows.
    private static func prefix(of url: String, _ target: RequestTarget) -> [UInt8]? {
        let bytes = Array(url.utf8)
        let slashes = Array("://".utf8)
        guard target.userInfo == nil, bytes.count > slashes.count,
            let start = (0..<bytes.count - slashes.count).first(where: {
                bytes[$0..<$0 + slashes.count].elementsEqual(slashes)
            })
        else { return nil }
        let ends = Array("/?#".utf8)
        guard let end = bytes[(start + slashes.count)...].firstIndex(where: { ends.contains($0) }),
            bytes[end] == UInt8(ascii: "/")
        else { return nil }
        return Array(bytes[..<end])
    }

    /// The path of a URL that begins with `prefix`, if it can be sent as it is: without a fragment, dot segments, escapes, and
    /// bytes that are not visible ASCII.
    private static func plainPath(of url: String, after prefix: [UInt8]) -> String? {
        let path: String?? = url.utf8.withContiguousStorageIfAvailable { bytes in
            guard bytes.count > prefix.count, bytes[prefix.count] == UInt8(ascii: "/") else { return nil }
            for index in prefix.indices where bytes[index] != prefix[index] { return nil }
            var before: UInt8 = 0
            for byte in bytes[prefix.count...] {
                switch byte {
                case UInt8(ascii: "#"), UInt8(ascii: "%"), UInt8(ascii: "\\"): return nil
                case UInt8(ascii: "."): if before == UInt8(ascii: "/") { return nil }
                case 0x21...0x7e: break
                default: return nil
                }
                before = byte
            }
            return String(decoding: bytes[prefix.count...], as: UTF8.self)
        }
        return path ?? nil
    }
}
