internal import CNghttp2

/// An OpenSSL hash function over bytes that arrive in parts.
///
/// Not safe for concurrent use.
package final class MessageDigest {
    /// The hash functions of Digest authentication (RFC 7616 section 6.1), the best one last.
    ///
    /// SHA-512/256 does not rank above SHA-256: it is not stronger, and some implementations mistake it for the first
    /// half of SHA-512.
    package enum Function: Int, Sendable, Hashable, CaseIterable, Comparable {
        case md5, sha512Slash256, sha256

        package static func < (one: Function, other: Function) -> Bool { one.rawValue < other.rawValue }
    }

    // Owned, and freed in `deinit`.
    private let context: OpaquePointer
    private var isWhole: Bool

    /// Returns nil if OpenSSL does not have the function: MD5 is missing if it allows only functions approved by FIPS.
    init?(_ function: Function) {
        let type =
            switch function {
            case .md5: EVP_md5()
            case .sha256: EVP_sha256()
            case .sha512Slash256: EVP_sha512_256()
            }
        guard let context = EVP_MD_CTX_new() else { return nil }
        self.context = context
        isWhole = EVP_DigestInit_ex(context, type, nil) == 1
        if !isWhole { return nil }
    }

    deinit { EVP_MD_CTX_free(context) }

    func add(_ bytes: UnsafeRawBufferPointer) {
        guard isWhole, !bytes.isEmpty else { return }
        isWhole = EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1
    }

    func add(_ bytes: [UInt8]) { bytes.withUnsafeBytes(add) }

    /// The digest of the bytes added so far in lower-case hexadecimal digits; nil if OpenSSL fails. Nothing can be
    /// added after it.
    func finishHex() -> [UInt8]? {
        guard isWhole else { return nil }
        isWhole = false
        // EVP_MAX_MD_SIZE, a macro.
        var digest = [UInt8](repeating: 0, count: 64)
        var length: UInt32 = 0
        guard EVP_DigestFinal_ex(context, &digest, &length) == 1 else { return nil }
        return TokenBytes.hex(digest[..<Int(length)])
    }

    /// The digest of the parts joined by `:`, in lower-case hexadecimal digits; nil if OpenSSL fails.
    package static func hex(_ function: Function, _ parts: [UInt8]...) -> [UInt8]? {
        guard let digest = MessageDigest(function) else { return nil }
        for (index, part) in parts.enumerated() {
            if index > 0 { digest.add([UInt8(ascii: ":")]) }
            digest.add(part)
        }
        return digest.finishHex()
    }
}
