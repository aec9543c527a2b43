import HTTPTypes

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The fields of one header section as they came: one piece of memory, no Strings before somebody asks.
///
/// Layout: for each field the lengths of name and value (UInt32 each), then their bytes.
struct HeaderBlock: ~Copyable {
    private let base: UnsafeMutableRawPointer?
    private let used: Int
    /// Number of fields.
    let count: Int

    init() {
        base = nil
        used = 0
        count = 0
    }

    /// A copy of what a scratch has collected.
    init(copying scratch: borrowing HeaderScratch) {
        used = scratch.bytes.count
        count = scratch.count
        if used == 0 {
            base = nil
        } else {
            // malloc itself: `allocate` goes by way of posix_memalign, at three times the cost.
            let copy = malloc(used)!
            copy.copyMemory(from: scratch.bytes.bytes.baseAddress!, byteCount: used)
            base = copy
        }
    }

    deinit { free(base) }

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

/// Collects the fields of the header section that is arriving. A session has one, since header sections never
/// interleave (RFC 9113 section 4.3).
struct HeaderScratch: ~Copyable {
    fileprivate(set) var bytes = OutputBuffer(capacity: 1024)
    private(set) var count = 0
    /// As RFC 9113 section 6.5.2 counts it: name + value + 32 for each field.
    private(set) var listSize = 0
    /// The value of `:status`; 0 before it came.
    var status = 0

    mutating func removeAll() {
        bytes.removeFirst(bytes.count)
        count = 0
        listSize = 0
        status = 0
    }

    /// Counts a field against the list size.
    @inline(__always)
    mutating func account(_ nameLength: Int, _ valueLength: Int) { listSize += nameLength + valueLength + 32 }

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
    }

    /// Makes the name of the field that was appended last lower case, which it is on HTTP/1.1 only if its sender likes.
    /// - Returns: the name, valid until the next change.
    @inline(__always)
    mutating func lowerCaseLastName(
        _ nameLength: Int, _ valueLength: Int, by lowerCase: UnsafePointer<UInt8>
    ) -> UnsafePointer<UInt8> {
        let end = UnsafeMutableRawPointer(mutating: bytes.bytes.baseAddress.unsafelyUnwrapped) + bytes.count
        let name = (end - valueLength - nameLength).assumingMemoryBound(to: UInt8.self)
        for index in 0..<nameLength { name[index] = lowerCase[Int(name[index])] }
        return UnsafePointer(name)
    }
}
