import CNghttp2
import H2Platform

/// The fields of one response, for nghttp2, which copies them at submission, or for the output of HTTP/1.1.
///
/// One list serves all responses of a loop, so an ordinary response needs no allocation.
///
/// Unchecked exclusivity: used on one thread, and no method modifies a property while another one runs.
final class FieldList {
    @exclusivity(unchecked) private(set) var count = 0
    @exclusivity(unchecked) private var capacity = 32
    @exclusivity(unchecked) private var entries: UnsafeMutablePointer<nghttp2_nv>
    private let arena: UnsafeMutablePointer<UInt8>
    @exclusivity(unchecked) private var used = 0
    private static let arenaSize = 4096
    // Values that do not fit in the arena, until the next `begin`.
    @exclusivity(unchecked) private var overflow: [UnsafeMutablePointer<UInt8>] = []

    init() {
        entries = .allocate(capacity: capacity)
        arena = .allocate(capacity: Self.arenaSize)
    }

    deinit {
        for block in overflow { block.deallocate() }
        entries.deallocate()
        arena.deallocate()
    }

    var pointer: UnsafePointer<nghttp2_nv> { UnsafePointer(entries) }

    // For HTTP/1.1, which writes the fields itself.

    /// The status passed to `begin(status:)`.
    var status: Int {
        let digits = entries[0].value!
        return Int(digits[0]) * 100 + Int(digits[1]) * 10 + Int(digits[2]) - 48 * 111
    }

    /// Copies the status as three digits.
    func copyStatus(to target: UnsafeMutablePointer<UInt8>) { target.update(from: entries[0].value, count: 3) }

    var hasContentLength: Bool {
        for index in 1..<max(count, 1) where entries[index].namelen == 14 {
            if memcmp(entries[index].name, "content-length", 14) == 0 { return true }
        }
        return false
    }

    /// Clears the list and begins a response with this status.
    func begin(status: Int) {
        begin()
        let digits = room(3)
        digits[0] = UInt8(truncatingIfNeeded: 48 + status / 100 % 10)
        digits[1] = UInt8(truncatingIfNeeded: 48 + status / 10 % 10)
        digits[2] = UInt8(truncatingIfNeeded: 48 + status % 10)
        push(":status", digits, 3)
    }

    /// Clears the list and begins fields without a status: trailers.
    func begin() {
        count = 0
        used = 0
        guard !overflow.isEmpty else { return }
        for block in overflow { block.deallocate() }
        overflow.removeAll(keepingCapacity: true)
    }

    func add(_ name: StaticString, _ value: StaticString) {
        push(name, UnsafeMutablePointer(mutating: value.utf8Start), value.utf8CodeUnitCount)
    }

    func add(_ name: StaticString, number: Int) {
        let digits = room(20)
        var at = 20
        var rest = UInt(number.magnitude)
        repeat {
            at -= 1
            digits[at] = UInt8(truncatingIfNeeded: 48 + rest % 10)
            rest /= 10
        } while rest > 0
        push(name, digits + at, 20 - at)
    }

    func add(_ name: StaticString, text: String) {
        var text = text
        text.withUTF8 { add(name, bytes: $0) }
    }

    func add(_ name: StaticString, bytes: UnsafeBufferPointer<UInt8>) {
        push(name, copy(bytes), bytes.count)
    }

    func add(nameBytes: UnsafeBufferPointer<UInt8>, bytes: UnsafeBufferPointer<UInt8>) {
        push(copy(nameBytes), nameBytes.count, copy(bytes), bytes.count)
    }

    private func copy(_ bytes: UnsafeBufferPointer<UInt8>) -> UnsafeMutablePointer<UInt8> {
        let target = room(bytes.count)
        if let source = bytes.baseAddress { target.update(from: source, count: bytes.count) }
        return target
    }

    private func room(_ size: Int) -> UnsafeMutablePointer<UInt8> {
        if used + size <= Self.arenaSize {
            defer { used += size }
            return arena + used
        }
        let block = UnsafeMutablePointer<UInt8>.allocate(capacity: max(size, 1))
        overflow.append(block)
        return block
    }

    private func push(_ name: StaticString, _ value: UnsafeMutablePointer<UInt8>, _ valueCount: Int) {
        push(UnsafeMutablePointer(mutating: name.utf8Start), name.utf8CodeUnitCount, value, valueCount)
    }

    private func push(
        _ name: UnsafeMutablePointer<UInt8>, _ nameCount: Int, _ value: UnsafeMutablePointer<UInt8>, _ valueCount: Int
    ) {
        if count == capacity {
            let wider = UnsafeMutablePointer<nghttp2_nv>.allocate(capacity: capacity * 2)
            wider.update(from: entries, count: count)
            entries.deallocate()
            (entries, capacity) = (wider, capacity * 2)
        }
        entries[count] = nghttp2_nv(
            name: name, value: value, namelen: nameCount, valuelen: valueCount,
            flags: UInt8(NGHTTP2_NV_FLAG_NONE.rawValue))
        count += 1
    }
}
