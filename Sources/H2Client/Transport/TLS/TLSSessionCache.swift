import CNghttp2
import H2Platform

/// What connections left for later ones to resume (RFC 8446 section 2.2, RFC 5077): a handshake without certificates.
///
/// A resumed connection verifies nothing: it goes on with what was verified when the session began. So a cache belongs to
/// one `TLSContext`, where every session was made under the same trust, the same `verifiesPeer` and with the same
/// certificate of ours; and within it a session is found by the name that was verified, alone. Port and offered protocols
/// are in the key too: another port is another server, and a session's cipher suite must be one of those that are offered.
///
/// Sessions are duplicates of OpenSSL's, so that no two connections, which may be on different threads, share one.
///
/// Invariant behind `@unchecked Sendable`: what changes is touched under `lock` alone.
final class TLSSessionCache: @unchecked Sendable {
    struct Key: Hashable {
        let serverName: String
        let port: Int
        let protocols: [String]
    }

    /// Sessions in all, and of one key. The oldest go first.
    static let limit = 256
    static let limitOfKey = 8

    private struct Entry {
        let key: Key
        /// Owned.
        let session: OpaquePointer
    }

    private let lock = PthreadLock()
    /// The oldest first. Few enough to be searched.
    private var entries: [Entry] = []

    deinit {
        for entry in entries { SSL_SESSION_free(entry.session) }
    }

    var count: Int { lock.withLock { entries.count } }

    /// Keeps a duplicate.
    func add(_ session: OpaquePointer, for key: Key) {
        guard SSL_SESSION_is_resumable(session) == 1, let copy = SSL_SESSION_dup(session) else { return }
        lock.withLock {
            let ofKey = entries.indices.filter { entries[$0].key == key }
            // What TLS 1.2 has renewed is not needed twice.
            let surplus = Self.isSingleUse(session) ? ofKey.count - Self.limitOfKey + 1 : ofKey.count
            for index in ofKey.prefix(max(surplus, 0)).reversed() { drop(at: index) }
            if entries.count == Self.limit { drop(at: 0) }
            entries.append(Entry(key: key, session: copy))
        }
    }

    /// The newest session that can still be resumed; the caller owns it. A ticket of TLS 1.3 leaves the cache: who sees
    /// it twice could tell that both connections are one client's (RFC 8446 appendix C.4).
    func take(for key: Key) -> OpaquePointer? {
        lock.withLock {
            while let index = entries.lastIndex(where: { $0.key == key }) {
                let session = entries[index].session
                guard Self.isFresh(session) else {
                    drop(at: index)
                    continue
                }
                guard Self.isSingleUse(session) else { return SSL_SESSION_dup(session) }
                entries.remove(at: index)
                return session
            }
            return nil
        }
    }

    /// After a handshake that failed: nothing of that server is tried again.
    func remove(for key: Key) {
        lock.withLock {
            for index in entries.indices.reversed() where entries[index].key == key { drop(at: index) }
        }
    }

    private func drop(at index: Int) { SSL_SESSION_free(entries.remove(at: index).session) }

    private static func isSingleUse(_ session: OpaquePointer) -> Bool {
        SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION
    }

    /// Whether neither the session nor the certificate that it stands for has expired.
    private static func isFresh(_ session: OpaquePointer) -> Bool {
        guard SSL_SESSION_get_time(session) + SSL_SESSION_get_timeout(session) > time(nil) else { return false }
        guard let certificate = SSL_SESSION_get0_peer(session) else { return true }
        return X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0
    }
}
