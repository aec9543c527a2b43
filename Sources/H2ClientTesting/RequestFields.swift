import H2Client
import H2Platform

/// A request's fields as received: an arena of bytes and offsets into it, reused for the next stream.
///
/// A class, so that reading a field copies and retains nothing.
/// Unchecked exclusivity: used on one thread, and no method modifies a property while another one runs.
final class RequestFields {
    struct Entry {
        var name: Range<Int>
        var value: Range<Int>
    }

    @exclusivity(unchecked) private(set) var arena: [UInt8] = []
    @exclusivity(unchecked) private(set) var entries: [Entry] = []
    /// The index of the first trailer.
    @exclusivity(unchecked) private(set) var trailerStart = Int.max
    @exclusivity(unchecked) private var ignoresTrailers = false
    @exclusivity(unchecked) private(set) var isTooLarge = false
    @exclusivity(unchecked) private var size = 0
    @exclusivity(unchecked) private var limit = 0
    @exclusivity(unchecked) private var methodIndex = -1
    @exclusivity(unchecked) private var pathIndex = -1

    func reset(limit: Int) {
        // A spare stream keeps only the memory that an ordinary request needs.
        arena.removeAll(keepingCapacity: arena.capacity <= 4096)
        entries.removeAll(keepingCapacity: entries.capacity <= 128)
        trailerStart = .max
        (isTooLarge, ignoresTrailers) = (false, false)
        (size, self.limit, methodIndex, pathIndex) = (0, limit, -1, -1)
    }

    /// Adds a field. nghttp2 has validated names, values and the set of pseudo-fields (RFC 9113 section 8).
    func add(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) {
        if ignoresTrailers, trailerStart != .max { return }
        size += name.count + value.count + 32
        guard size <= limit else {
            isTooLarge = true
            return
        }
        if name[0] == UInt8(ascii: ":"), name.count >= 5 {
            switch name[1] {
            case UInt8(ascii: "m"): methodIndex = entries.count
            case UInt8(ascii: "p") where name[2] == UInt8(ascii: "a"): pathIndex = entries.count
            default: break
            }
        }
        let start = arena.count
        arena.append(contentsOf: name)
        arena.append(contentsOf: value)
        let middle = start + name.count
        entries.append(Entry(name: start..<middle, value: middle..<arena.count))
    }

    /// Adds a field that is too large for nghttp2.
    func add(_ name: UnsafeBufferPointer<UInt8>, _ large: LargeField) {
        if ignoresTrailers, trailerStart != .max { return }
        guard let value = large.value else { return isTooLarge = true }
        value.withUnsafeBufferPointer { add(name, $0) }
    }

    func beginTrailers() { trailerStart = min(trailerStart, entries.count) }

    /// Drops the trailers, including those that arrive later.
    func ignoreTrailers() {
        ignoresTrailers = true
        guard hasTrailers else { return }
        let start = entries[trailerStart].name.lowerBound
        // A copy, so that the memory is freed too.
        arena = Array(arena[..<start])
        entries = Array(entries[..<trailerStart])
    }

    /// The bytes of memory that the fields take.
    var memory: Int { arena.count + entries.count * MemoryLayout<Entry>.stride }

    var method: String { methodIndex < 0 ? "" : text(entries[methodIndex].value) }
    /// The path with its query.
    var target: String { pathIndex < 0 ? "" : text(entries[pathIndex].value) }

    func text(_ range: Range<Int>) -> String { String(decoding: arena[range], as: UTF8.self) }

    /// The first field of this name (in lower case), excluding trailers.
    func value(_ name: StaticString) -> String? {
        for entry in entries.prefix(trailerStart) where isNamed(entry, name) { return text(entry.value) }
        return nil
    }

    var hasTrailers: Bool { trailerStart < entries.count }
    var trailers: ArraySlice<Entry> { hasTrailers ? entries[trailerStart...] : [] }

    private func isNamed(_ entry: Entry, _ name: StaticString) -> Bool {
        guard entry.name.count == name.utf8CodeUnitCount else { return false }
        return arena.withUnsafeBufferPointer {
            memcmp($0.baseAddress! + entry.name.lowerBound, name.utf8Start, entry.name.count) == 0
        }
    }
}

/// The number in a text of only digits, `Int.max` if it is larger; nil for any other text.
func wholeNumber(_ text: some Collection<UInt8>) -> Int? {
    guard !text.isEmpty else { return nil }
    var number = 0
    for byte in text {
        guard (48...57).contains(byte) else { return nil }
        let (product, isTooLarge) = number.multipliedReportingOverflow(by: 10)
        let (sum, isTooLargeToo) = product.addingReportingOverflow(Int(byte - 48))
        number = isTooLarge || isTooLargeToo || number == .max ? .max : sum
    }
    return number
}

/// A request target's path, still percent-encoded, and its query, decoded.
struct Target {
    let path: Substring
    /// Empty if there is none.
    let query: Substring

    init(_ text: String) {
        if let mark = text.utf8.firstIndex(of: UInt8(ascii: "?")) {
            path = text[..<mark]
            query = text[text.utf8.index(after: mark)...]
        } else {
            path = text[...]
            query = ""
        }
    }

    /// `/bytes/3` is ("bytes", "3"), `/` is ("", nil). Further slashes stay in the argument.
    var route: (name: Substring, argument: Substring?) {
        let rest = path.utf8.first == UInt8(ascii: "/") ? path.dropFirst() : path
        guard let slash = rest.utf8.firstIndex(of: UInt8(ascii: "/")) else { return (rest, nil) }
        return (rest[..<slash], rest[rest.utf8.index(after: slash)...])
    }

    subscript(name: String) -> String? {
        guard !query.isEmpty else { return nil }
        // By bytes: a separator that a combining mark follows is one Character with it.
        for pair in query.utf8.split(separator: UInt8(ascii: "&")) {
            let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            if parts[0].elementsEqual(name.utf8) {
                return parts.count == 2 ? Target.decoded(Substring(parts[1])) ?? "" : ""
            }
        }
        return nil
    }

    /// A numeric parameter: nil if it is absent, `Int.max` if it is larger.
    /// - Throws: `BadNumber` for anything but digits.
    func number(_ name: String) throws(BadNumber) -> Int? {
        guard let text = self[name] else { return nil }
        guard let number = wholeNumber(text.utf8) else { throw BadNumber(name: name) }
        return number
    }

    /// The error for a parameter that should be a number but is not.
    struct BadNumber: Error {
        let name: String
    }

    /// Percent-decodes `text`; nil for a broken escape, for NUL, and if the result is not UTF-8.
    static func decoded(_ text: Substring) -> String? {
        guard text.utf8.contains(UInt8(ascii: "%")) else { return String(text) }
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = digit(rest.popFirst()), let low = digit(rest.popFirst()), high | low != 0 else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8?) -> UInt8? {
        switch byte {
        case let byte? where (48...57).contains(byte): byte - 48
        case let byte? where (65...70).contains(byte): byte - 55
        case let byte? where (97...102).contains(byte): byte - 87
        default: nil
        }
    }
}
