internal import CNghttp2

/// The digest of a body that arrives in parts.
///
/// Not safe for concurrent use.
package final class BodyDigest {
    package enum Algorithm: Sendable, CaseIterable { case md5, sha1, sha256, sha512 }

    private let algorithm: Algorithm
    // Owned, and freed in `deinit`.
    private let context: OpaquePointer?
    /// Whether every OpenSSL call since the last reset succeeded.
    private var isWhole = false

    package init(_ algorithm: Algorithm = .sha256) {
        self.algorithm = algorithm
        context = EVP_MD_CTX_new()
        reset()
    }

    deinit { EVP_MD_CTX_free(context) }

    /// Starts another body.
    package func reset() {
        let method =
            switch algorithm {
            case .md5: EVP_md5()
            case .sha1: EVP_sha1()
            case .sha256: EVP_sha256()
            case .sha512: EVP_sha512()
            }
        isWhole = context != nil && EVP_DigestInit_ex(context, method, nil) == 1
    }

    package func add(_ bytes: UnsafeRawBufferPointer) {
        guard isWhole, !bytes.isEmpty else { return }
        isWhole = EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1
    }

    package func add(_ bytes: [UInt8]) { bytes.withUnsafeBytes(add) }

    /// The digest of the bytes added so far; nil if OpenSSL fails, or does not allow the algorithm (MD5 in FIPS mode).
    /// Nothing can be added until the next reset.
    package func finish() -> [UInt8]? {
        guard isWhole else { return nil }
        isWhole = false
        var digest = [UInt8](repeating: 0, count: algorithm.byteCount)
        return EVP_DigestFinal_ex(context, &digest, nil) == 1 ? digest : nil
    }
}

extension BodyDigest.Algorithm {
    /// The length of a digest in bytes.
    package var byteCount: Int {
        switch self {
        case .md5: 16
        case .sha1: 20
        case .sha256: 32
        case .sha512: 64
        }
    }
}
