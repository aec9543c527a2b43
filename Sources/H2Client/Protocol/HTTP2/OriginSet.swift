/// The origins for which a server says that it answers on a connection (RFC 8336). To be in it is not to be trusted for:
/// the certificate decides that.
struct OriginSet {
    /// What is kept of what a server says: so many origins, and so many bytes of them. The rest is passed over.
    static let countLimit = 1_000
    static let byteLimit = 64 << 10

    private(set) var origins: Set<Origin>
    private var byteCount: Int

    /// The connection's own origin is the first of the set (RFC 8336 section 2.3).
    init(_ origin: Origin) {
        origins = [origin]
        byteCount = origin.description.utf8.count
    }

    /// As RFC 6454 section 6.2 writes them.
    var descriptions: Set<String> { Set(origins.map(\.description)) }

    func contains(_ origin: Origin) -> Bool { origins.contains(origin) }

    /// The entries of an ORIGIN frame's payload (RFC 8336 section 2.1); nil where it is cut off.
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

    /// Adds an entry of an ORIGIN frame. False where nothing changed: it is no ASCII serialisation of an `https` origin,
    /// is there already, or is too much.
    mutating func add(_ entry: ArraySlice<UInt8>) -> Bool {
        guard entry.count <= 512, origins.count < Self.countLimit, byteCount + entry.count <= Self.byteLimit else {
            return false
        }
        let text = String(decoding: entry, as: UTF8.self).lowercased()
        guard let origin = try? Origin(text), origin.scheme == .https else { return false }
        // A URL has more than an origin: a path, a user.
        let written = origin.description
        guard text == written || text == "\(written):\(origin.port)" else { return false }
        guard origins.insert(origin).inserted else { return false }
        byteCount += entry.count
        return true
    }

    /// After 421 (Misdirected Request) for an origin (RFC 8336 section 2.3). What it took stays counted, so that a server
    /// cannot make us add and remove for ever.
    mutating func remove(_ origin: Origin) { origins.remove(origin) }
}
