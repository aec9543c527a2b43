/// The origins that a server claims to serve on a connection (RFC 8336). Membership does not imply trust: the certificate
/// decides that.
struct OriginSet {
    /// Limits on the number of origins kept, and on their bytes. The rest is ignored.
    static let countLimit = 1_000
    static let byteLimit = 64 << 10

    private(set) var origins: Set<Origin>
    private var byteCount: Int

    /// The connection's own origin is the first of the set (RFC 8336 section 2.3).
    init(_ origin: Origin) {
        origins = [origin]
        byteCount = origin.description.utf8.count
    }

    /// Serialised as in RFC 6454 section 6.2.
    var descriptions: Set<String> { Set(origins.map(\.description)) }

    func contains(_ origin: Origin) -> Bool { origins.contains(origin) }

    /// The entries of an ORIGIN frame's payload (RFC 8336 section 2.1); nil if it is truncated.
    static func entries(_ payload: [UInt8]) -> [ArraySlice<UInt8>]? {
        var entries: [ArraySlice<UInt8>] = []
        var rest = payload[...]
        while let high = rest.popFirst() {
            guard let low = rest.popFirst(), case let count = Int(high) << 8 | Int(low), count <= rest.count else {
                return nil
            }
            entries.append(rest.prefix(count))
            rest = rest.dropFirst(count)
        }
        return entries
    }

    /// Adds an entry of an ORIGIN frame. Returns false if nothing changed: it is not an ASCII serialisation of an `https`
    /// origin, is already in the set, or exceeds the limits.
    mutating func add(_ entry: ArraySlice<UInt8>) -> Bool {
        guard entry.count <= 512, origins.count < Self.countLimit, byteCount + entry.count <= Self.byteLimit else {
            return false
        }
        let text = String(decoding: entry, as: UTF8.self).lowercased()
        guard let origin = try? Origin(text), origin.scheme == .https else { return false }
        // A URL may contain more than an origin, such as a path or user.
        let written = origin.description
        guard text == written || text == "\(written):\(origin.port)" else { return false }
        guard origins.insert(origin).inserted else { return false }
        byteCount += entry.count
        return true
    }

    /// Removes an origin after 421 (Misdirected Request; RFC 8336 section 2.3). It still counts against the limits, so that a
    /// server cannot make us add and remove forever.
    mutating func remove(_ origin: Origin) { origins.remove(origin) }
}
