/// A session as it is stored in a file.
struct TLSSessionRecord: Hashable, Sendable {
    var key: TLSSessionCache.Key
    var beginning: TLSSessionCache.Beginning
    /// The session as OpenSSL encodes it (i2d_SSL_SESSION). It contains secrets.
    var session: [UInt8]
    /// A digest of the settings under which the server was verified, of 32 bytes.
    var settings: [UInt8] = []

    /// Maximum sizes and numbers for a file; a file that exceeds them is unreadable.
    static let fileLimit = 8 << 20
    static let textLimit = 64 << 10
    static let listLimit = 64

    /// The first bytes of a session file.
    static let mark = Array("H2Client TLS sessions, 1\n".utf8)

    static func encode(_ records: [TLSSessionRecord]) -> [UInt8] {
        var out = mark
        for record in records {
            put(Array(record.key.serverName.utf8), to: &out)
            put(record.key.port, to: &out)
            put(record.key.protocols.map { Array($0.utf8) }, to: &out)
            put(record.settings, to: &out)
            put(record.beginning.time, to: &out)
            // One more than the number of certificates, so that none can be told apart from unknown.
            put(record.beginning.certificates.map { [[]] + $0.encoded } ?? [], to: &out)
            put(record.session, to: &out)
        }
        return out
    }

    private static func put(_ number: Int, to out: inout [UInt8]) {
        let bits = UInt64(bitPattern: Int64(number))
        for shift in stride(from: 56, through: 0, by: -8) {
            out.append(UInt8(truncatingIfNeeded: bits >> UInt64(shift)))
        }
    }

    private static func put(_ bytes: [UInt8], to out: inout [UInt8]) {
        put(bytes.count, to: &out)
        out += bytes
    }

    private static func put(_ list: [[UInt8]], to out: inout [UInt8]) {
        put(list.count, to: &out)
        for item in list { put(item, to: &out) }
    }

    /// The records of a file; nil if it is damaged or is not a session file.
    static func decode(_ bytes: [UInt8]) -> [TLSSessionRecord]? {
        guard bytes.count <= fileLimit, bytes.starts(with: mark) else { return nil }
        var rest = Reader(rest: bytes[mark.count...])
        var records: [TLSSessionRecord] = []
        while !rest.isAtEnd {
            guard records.count < TLSSessionCache.limit, let name = rest.text(), let port = rest.number(),
                let protocols = rest.list(), let settings = rest.text(), let time = rest.number(),
                let certificates = rest.list(), let session = rest.text()
            else { return nil }
            records.append(
                TLSSessionRecord(
                    key: .init(
                        serverName: String(decoding: name, as: UTF8.self), port: port,
                        protocols: protocols.map { String(decoding: $0, as: UTF8.self) }),
                    beginning: .init(
                        time: time,
                        certificates: certificates.isEmpty
                            ? nil : PeerCertificates(encoded: Array(certificates.dropFirst()))),
                    session: session, settings: settings))
        }
        return records
    }

    private struct Reader {
        var rest: ArraySlice<UInt8>
        var isAtEnd: Bool { rest.isEmpty }

        mutating func number() -> Int? {
            guard rest.count >= 8 else { return nil }
            let bits = rest.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            rest = rest.dropFirst(8)
            return Int(Int64(bitPattern: bits))
        }

        mutating func text() -> [UInt8]? {
            guard let count = number(), count >= 0, count <= textLimit, count <= rest.count else { return nil }
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }

        mutating func list() -> [[UInt8]]? {
            guard let count = number(), count >= 0, count <= listLimit else { return nil }
            var list: [[UInt8]] = []
            for _ in 0..<count {
                guard let item = text() else { return nil }
                list.append(item)
            }
            return list
        }
    }

    // MARK: - Rules

    /// Seconds after its full handshake from which a session is no longer taken from a file.
    static let maximumAge = 86_400

    /// Whether `decode` accepts it.
    private var isStorable: Bool {
        let certificates = beginning.certificates?.encoded ?? []
        return session.count <= Self.textLimit && key.protocols.count <= Self.listLimit
            && certificates.count < Self.listLimit && certificates.allSatisfy { $0.count <= Self.textLimit }
    }

    /// Whether it is neither too old nor from the future.
    func isCurrent(now: Int) -> Bool { beginning.time <= now && now - beginning.time < Self.maximumAge }

    /// The records of a file after a run.
    /// - Parameters:
    ///   - stored: the records in the file, perhaps from other runs.
    ///   - ours: the sessions of this run, under `settings`.
    ///   - taken: the keys of the sessions that this run has read from the file.
    static func merge(
        _ stored: [TLSSessionRecord], with ours: [TLSSessionRecord], taken: Set<TLSSessionCache.Key>,
        settings: [UInt8], now: Int
    ) -> [TLSSessionRecord] {
        let replaced = taken.union(ours.map(\.key))
        let others = stored.filter { $0.isCurrent(now: now) && ($0.settings != settings || !replaced.contains($0.key)) }
        let mine = ours.filter { $0.isCurrent(now: now) && $0.isStorable }.map { record in
            var record = record
            record.settings = settings
            return record
        }
        return (others + mine).suffix(TLSSessionCache.limit)
    }
}
