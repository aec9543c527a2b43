import H2Platform
import HTTPTypes

/// The fields of a header section as received: one piece of memory, and no Strings until needed.
///
/// Layout: HTTP/1.1's reason phrase, then for each field the lengths of name and value (UInt32 each) and their bytes.
struct HeaderBlock: ~Copyable {
    private let base: UnsafeMutableRawPointer?
    private let used: Int
    private let reasonCount: Int
    /// Number of fields.
    let count: Int
    /// The last digit of the HTTP/1.x version.
    let minorVersion: UInt8
    /// Whether there is a `content-encoding` field.
    let hasContentEncoding: Bool

    init() {
        base = nil
        used = 0
        reasonCount = 0
        count = 0
        minorVersion = 1
        hasContentEncoding = false
    }

    /// Copies the contents of a scratch.
    init(copying scratch: borrowing HeaderScratch) {
        used = scratch.bytes.count
        count = scratch.count
        reasonCount = scratch.reasonCount
        minorVersion = scratch.minorVersion
        hasContentEncoding = scratch.hasContentEncoding
        if used == 0 {
            base = nil
        } else {
            // malloc directly: `allocate` uses posix_memalign, at three times the cost.
            let copy = malloc(used)!
            copy.copyMemory(from: scratch.bytes.bytes.baseAddress!, byteCount: used)
            base = copy
        }
    }

    deinit { free(base) }

    /// The reason phrase of an HTTP/1.x response; empty if there is none.
    var reasonPhrase: [UInt8] { base.map { Array(UnsafeRawBufferPointer(start: $0, count: reasonCount)) } ?? [] }

    /// Calls `body` for each field in order until it returns false. Names are as sent: over HTTP/1.1 in any case.
    func forEach(_ body: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool) {
        guard let base else { return }
        var at = reasonCount
        while at < used {
            let nameLength = Int((base + at).loadUnaligned(as: UInt32.self))
            let valueLength = Int((base + at + 4).loadUnaligned(as: UInt32.self))
            let name = UnsafeRawBufferPointer(start: base + at + 8, count: nameLength)
            let value = UnsafeRawBufferPointer(start: base + at + 8 + nameLength, count: valueLength)
            if !body(name, value) { return }
            at += 8 + nameLength + valueLength
        }
    }

    /// The first value of the field `name`, ignoring case.
    func firstValue(of name: String) -> String? {
        var result: String?
        forEach { fieldName, value in
            guard TokenBytes.areSame(fieldName, name) else { return true }
            result = String(decoding: value, as: UTF8.self)
            return false
        }
        return result
    }

    /// All values of the field `name` in order, ignoring case.
    func values(of name: String) -> [[UInt8]] {
        var values: [[UInt8]] = []
        forEach { fieldName, value in
            if TokenBytes.areSame(fieldName, name) { values.append(Array(value)) }
            return true
        }
        return values
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

    /// As bytes.
    var rawFields: [RawField] {
        var fields: [RawField] = []
        fields.reserveCapacity(count)
        forEach { name, value in
            fields.append(RawField(name: Array(name), value: Array(value)))
            return true
        }
        return fields
    }
}

/// Collects the fields of the current header section. One per session is enough, since header sections never interleave (RFC
/// 9113 section 4.3).
struct HeaderScratch: ~Copyable {
    fileprivate(set) var bytes: OutputBuffer
    private(set) var count = 0
    /// Size as defined in RFC 9113 section 6.5.2: name + value + 32 for each field.
    private(set) var listSize = 0
    fileprivate(set) var reasonCount = 0
    /// The last digit of the HTTP/1.x version.
    var minorVersion: UInt8 = 1
    private(set) var hasContentEncoding = false
    private var lastNameLength = 0
    private var lastValueLength = 0
    /// The value of `:status`; 0 before it arrives.
    var status = 0

    init(capacity: Int = 1024) { bytes = OutputBuffer(capacity: capacity) }

    mutating func removeAll() {
        bytes.removeFirst(bytes.count)
        count = 0
        listSize = 0
        status = 0
        reasonCount = 0
        hasContentEncoding = false
    }

    /// Counts a field against the list size.
    @inline(__always)
    mutating func account(_ nameLength: Int, _ valueLength: Int) { listSize += nameLength + valueLength + 32 }

    /// Counts a line that continues a field.
    mutating func account(foldedLine count: Int) { listSize += count + 1 }

    @inline(__always)
    mutating func append(
        name: UnsafePointer<UInt8>, nameLength: Int, value: UnsafePointer<UInt8>?, valueLength: Int
    ) {
        let at = bytes.append(count: 8 + nameLength + valueLength)
        at.storeBytes(of: UInt32(truncatingIfNeeded: nameLength), as: UInt32.self)
        (at + 4).storeBytes(of: UInt32(truncatingIfNeeded: valueLength), as: UInt32.self)
        (at + 8).copyMemory(from: name, byteCount: nameLength)
        if let value { (at + 8 + nameLength).copyMemory(from: value, byteCount: valueLength) }
        count += 1
        if nameLength == 16 { note(name: UnsafeRawBufferPointer(start: name, count: nameLength)) }
    }

    /// A field whose name is as long as `content-encoding`, which is true of few others.
    @inline(never)
    private mutating func note(name: UnsafeRawBufferPointer) {
        if TokenBytes.areSame(name, "content-encoding") { hasContentEncoding = true }
    }

    // For HTTP/1.1.

    /// Appends the reason phrase, which comes before any field.
    mutating func append(reason: UnsafePointer<UInt8>, count: Int) {
        bytes.append(reason, count: count)
        reasonCount = count
    }

    /// Appends a field whose value may continue on the next line.
    @inline(__always)
    mutating func appendLine(
        name: UnsafePointer<UInt8>, nameLength: Int, value: UnsafePointer<UInt8>, valueLength: Int
    ) {
        append(name: name, nameLength: nameLength, value: value, valueLength: valueLength)
        (lastNameLength, lastValueLength) = (nameLength, valueLength)
    }

    /// Appends another line to the last field's value, separated by a space. Its bytes are `account`ed separately.
    mutating func fold(_ value: UnsafePointer<UInt8>, _ count: Int) {
        guard count > 0 else { return }
        let space = lastValueLength > 0 ? 1 : 0
        let at = bytes.append(count: space + count)
        if space > 0 { at.storeBytes(of: UInt8(ascii: " "), as: UInt8.self) }
        (at + space).copyMemory(from: value, byteCount: count)
        lastValueLength += space + count
        let field = at + (space + count - lastValueLength - lastNameLength - 8)
        (field + 4).storeBytes(of: UInt32(truncatingIfNeeded: lastValueLength), as: UInt32.self)
    }

    /// The last field appended; valid until the next change.
    var lastLine: (name: UnsafePointer<UInt8>, nameLength: Int, value: UnsafeBufferPointer<UInt8>) {
        let end = bytes.bytes.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: UInt8.self) + bytes.count
        let value = end - lastValueLength
        return (value - lastNameLength, lastNameLength, UnsafeBufferPointer(start: value, count: lastValueLength))
    }
}
