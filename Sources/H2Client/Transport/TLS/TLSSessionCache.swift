import CNghttp2
import H2Platform

/// Sessions of earlier connections for resumption (RFC 8446 section 2.2, RFC 5077): a handshake without certificates.
///
/// A resumed connection verifies nothing: it relies on the verification at the beginning of the session. So a cache
/// belongs to one `TLSContext`, in which all sessions have the same trust, the same `verifiesPeer` and the same client
/// certificate; within the context a session is found only by the name that was verified. Port and offered protocols
/// are part of the key too: another port is another server, and a session's cipher suite must be among those offered.
///
/// Sessions are duplicates of OpenSSL's, so that connections, which may be on different threads, never share one.
///
/// Invariant behind `@unchecked Sendable`: mutable state is accessed only under `lock`.
final class TLSSessionCache: @unchecked Sendable {
    struct Key: Hashable, Sendable {
        let serverName: String
        let port: Int
        let protocols: [String]
    }

    /// The full handshake that began a session. A resumed connection relies on its certificates.
    struct Beginning: Hashable, Sendable {
        /// Seconds since 1970.
        var time: Int
        /// The peer's certificates, if the context examines them.
        var certificates: PeerCertificates?
    }

    /// A session to resume.
    struct Resumable {
        /// Owned by the holder of this value.
        let session: OpaquePointer
        let beginning: Beginning
    }

    /// Maximum number of sessions, in total and per key. The oldest are removed first.
    static let limit = 256
    static let limitOfKey = 8
    /// Seconds after its full handshake from which a session is no longer resumed, however often it was renewed (RFC
    /// 8446 section 4.6.1 limits a ticket to seven days).
    static let maximumAge = 7 * 86_400

    private struct Entry {
        let key: Key
        /// Owned.
        let session: OpaquePointer
        let beginning: Beginning
    }

    private let lock = PthreadLock()
    /// In order, the oldest first. Few enough for a linear search.
    private var entries: [Entry] = []

    deinit {
        for entry in entries { SSL_SESSION_free(entry.session) }
    }

    var count: Int { lock.withLock { entries.count } }

    /// Stores a duplicate.
    func add(_ session: OpaquePointer, for key: Key, since beginning: Beginning) {
        guard SSL_SESSION_is_resumable(session) == 1, let copy = SSL_SESSION_dup(session) else { return }
        lock.withLock {
            let ofKey = entries.indices.filter { entries[$0].key == key }
            // TLS 1.2 renews sessions, so older ones are not needed.
            let surplus = Self.isSingleUse(session) ? ofKey.count - Self.limitOfKey + 1 : ofKey.count
            for index in ofKey.prefix(max(surplus, 0)).reversed() { drop(at: index) }
            if entries.count == Self.limit { drop(at: 0) }
            entries.append(Entry(key: key, session: copy, beginning: beginning))
        }
    }

    /// The newest session that can still be resumed; the caller owns it. A TLS 1.3 ticket is removed from the cache: an
    /// observer who sees it twice could link both connections to one client (RFC 8446 appendix C.4).
    func take(for key: Key) -> Resumable? {
        lock.withLock {
            while let index = entries.lastIndex(where: { $0.key == key }) {
                let (session, beginning) = (entries[index].session, entries[index].beginning)
                guard Self.isFresh(session, beginning) else {
                    drop(at: index)
                    continue
                }
                guard Self.isSingleUse(session) else {
                    return SSL_SESSION_dup(session).map { Resumable(session: $0, beginning: beginning) }
                }
                entries.remove(at: index)
                return Resumable(session: session, beginning: beginning)
            }
            return nil
        }
    }

    /// Removes all sessions of a server after a failed handshake.
    func remove(for key: Key) {
        lock.withLock {
            for index in entries.indices.reversed() where entries[index].key == key { drop(at: index) }
        }
    }

    private func drop(at index: Int) { SSL_SESSION_free(entries.remove(at: index).session) }

    private static func isSingleUse(_ session: OpaquePointer) -> Bool {
        SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION
    }

    /// Whether neither the session nor its certificate has expired.
    private static func isFresh(_ session: OpaquePointer, _ beginning: Beginning) -> Bool {
        let now = time(nil)
        guard SSL_SESSION_get_time(session) + SSL_SESSION_get_timeout(session) > now,
            beginning.time + maximumAge > now
        else { return false }
        guard let certificate = SSL_SESSION_get0_peer(session) else { return true }
        return X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0
    }

    // MARK: - For a file

    /// The sessions in the form in which they are stored, the oldest first.
    var records: [TLSSessionRecord] {
        lock.withLock {
            entries.compactMap { entry in
                guard Self.isFresh(entry.session, entry.beginning) else { return nil }
                var bytes: UnsafeMutablePointer<UInt8>?
                let count = i2d_SSL_SESSION(entry.session, &bytes)
                guard count > 0, let bytes else { return nil }
                // OPENSSL_free is a macro.
                defer { CRYPTO_free(bytes, "", 0) }
                let session = Array(UnsafeBufferPointer(start: bytes, count: Int(count)))
                return TLSSessionRecord(key: entry.key, beginning: entry.beginning, session: session)
            }
        }
    }

    /// Adds stored sessions. Those that OpenSSL cannot read are left out.
    func add(_ records: [TLSSessionRecord]) {
        for record in records {
            record.session.withUnsafeBufferPointer { bytes in
                var next = bytes.baseAddress
                guard let session = d2i_SSL_SESSION(nil, &next, bytes.count) else { return ERR_clear_error() }
                add(session, for: record.key, since: record.beginning)
                SSL_SESSION_free(session)
            }
        }
    }
}
