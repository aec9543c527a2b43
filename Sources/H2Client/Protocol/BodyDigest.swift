internal import CNghttp2

/// The SHA-256 of a body that arrives in parts.
///
/// Not safe for concurrent use.
package final class BodyDigest {
    // Owned, and freed in `deinit`.
    private let context: OpaquePointer?
    /// Whether every OpenSSL call since the last reset succeeded.
    private var isWhole = false

    package init() {
        context = EVP_MD_CTX_new()
        reset()
    }

    deinit { EVP_MD_CTX_free(context) }

    /// Starts another body.
    package func reset() {
        isWhole = context != nil && EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1
    }

    package func add(_ bytes: UnsafeRawBufferPointer) {
        guard isWhole, !bytes.isEmpty else { return }
        isWhole = EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1
    }

    package func add(_ bytes: [UInt8]) { bytes.withUnsafeBytes(add) }

    /// The 32-byte digest of the added bytes; nil if OpenSSL failed. Nothing can be added until the next reset.
    package func finish() -> [UInt8]? {
        guard isWhole else { return nil }
        isWhole = false
        var digest = [UInt8](repeating: 0, count: 32)
        return EVP_DigestFinal_ex(context, &digest, nil) == 1 ? digest : nil
    }
}
