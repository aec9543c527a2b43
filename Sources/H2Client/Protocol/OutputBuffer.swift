/// Outgoing bytes: appended at the back, removed from the front, in one reused piece of memory.
package struct OutputBuffer: ~Copyable {
    private var base: UnsafeMutableRawPointer
    private var capacity: Int
    private var start = 0
    private var end = 0

    package init(capacity: Int) {
        self.capacity = capacity
        base = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit { base.deallocate() }

    package var count: Int { end - start }
    package var isEmpty: Bool { start == end }
    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base + start, count: count) }

    /// Appends room for `count` bytes, which the caller must fill before anything else.
    package mutating func append(count: Int) -> UnsafeMutableRawPointer {
        if end + count > capacity { makeRoom(for: count) }
        defer { end += count }
        return base + end
    }

    package mutating func append(_ bytes: UnsafeRawPointer, count: Int) {
        append(count: count).copyMemory(from: bytes, byteCount: count)
    }

    /// Removes the last `count` bytes.
    package mutating func removeLast(_ count: Int) { end -= count }

    package mutating func removeFirst(_ count: Int) {
        start += count
        if start == end { (start, end) = (0, 0) }
    }

    private mutating func makeRoom(for count: Int) {
        let held = end - start
        if held + count <= capacity {
            base.copyMemory(from: base + start, byteCount: held)
        } else {
            capacity = max(capacity * 2, held + count)
            let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
            larger.copyMemory(from: base + start, byteCount: held)
            base.deallocate()
            base = larger
        }
        (start, end) = (0, held)
    }
}
