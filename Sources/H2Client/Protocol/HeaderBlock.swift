import HTTPTypes

/// The fields of one header section as they came: one piece of memory, no Strings before somebody asks.
///
/// Layout: for each field the lengths of name and value (UInt32 each), then their bytes.
struct HeaderBlock: ~Copyable {
    private var base: UnsafeMutableRawPointer?
    private var capacity = 0
    private var used = 0
    /// Number of fields.
    private(set) var count = 0
    /// As RFC 9113 section 6.5.2 counts it: name + value + 32 for each field.
    private(set) var listSize = 0

    init() {}

    deinit { base?.deallocate() }

    mutating func append(
        name: UnsafePointer<UInt8>, nameLength: Int, value: UnsafePointer<UInt8>?, valueLength: Int
    ) {
        let needed = 8 + nameLength + valueLength
        if used + needed > capacity { grow(by: needed) }
        let at = base.unsafelyUnwrapped + used
        at.storeBytes(of: UInt32(truncatingIfNeeded: nameLength), as: UInt32.self)
        (at + 4).storeBytes(of: UInt32(truncatingIfNeeded: valueLength), as: UInt32.self)
        (at + 8).copyMemory(from: name, byteCount: nameLength)
        if let value { (at + 8 + nameLength).copyMemory(from: value, byteCount: valueLength) }
        used += needed
        count += 1
    }

    /// Counts a field against the list size without keeping it.
    mutating func account(_ nameLength: Int, _ valueLength: Int) { listSize += nameLength + valueLength + 32 }

    mutating func removeAll() {
        used = 0
        count = 0
        listSize = 0
    }

    private mutating func grow(by needed: Int) {
        // Most responses have a handful of fields: one allocation does for them.
        capacity = max(512, capacity * 2, used + needed)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 4)
        if let base {
            larger.copyMemory(from: base, byteCount: used)
            base.deallocate()
        }
        base = larger
    }

    /// Calls `body` for each field in order until it returns false.
    func forEach(_ body: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool) {
        guard let base else { return }
        var at = 0
        while at < used {
            let nameLength = Int((base + at).loadUnaligned(as: UInt32.self))
            let valueLength = Int((base + at + 4).loadUnaligned(as: UInt32.self))
            let name = UnsafeRawBufferPointer(start: base + at + 8, count: nameLength)
            let value = UnsafeRawBufferPointer(start: base + at + 8 + nameLength, count: valueLength)
            if !body(name, value) { return }
            at += 8 + nameLength + valueLength
        }
    }

    /// Whether the field `name` (lower case) is there.
    func firstValue(of name: String) -> String? {
        var result: String?
        forEach { fieldName, value in
            guard fieldName.elementsEqual(name.utf8) else { return true }
            result = String(decoding: value, as: UTF8.self)
            return false
        }
        return result
    }

    /// As swift-http-types' fields. nghttp2 has checked names and values, so none is dropped.
    var fields: HTTPFields {
        var fields = HTTPFields()
        fields.reserveCapacity(count)
        forEach { name, value in
            if let name = HTTPField.Name(String(decoding: name, as: UTF8.self)) {
                fields.append(HTTPField(name: name, lenientValue: value))
            }
            return true
        }
        return fields
    }
}
