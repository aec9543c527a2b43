/// Owns streams, in manually managed memory: reading an Array of references costs a retain each time.
struct StreamList: ~Copyable {
    private var base: UnsafeMutablePointer<Unmanaged<StreamState>>
    private var capacity: Int
    private(set) var count = 0

    init() {
        capacity = 16
        base = .allocate(capacity: capacity)
    }

    deinit {
        // Each element holds the reference taken by `append`.
        for index in 0..<count { base[index].release() }
        base.deallocate()
    }

    var isEmpty: Bool { count == 0 }

    /// Takes a reference.
    mutating func append(_ stream: StreamState) {
        if count == capacity {
            let larger = UnsafeMutablePointer<Unmanaged<StreamState>>.allocate(capacity: capacity * 2)
            larger.moveInitialize(from: base, count: count)
            base.deallocate()
            base = larger
            capacity *= 2
        }
        (base + count).initialize(to: .passRetained(stream))
        count += 1
    }

    /// Removes the stream at its `slot`, which another stream takes over. The caller gets the reference.
    mutating func remove(_ stream: StreamState) -> Unmanaged<StreamState> {
        let slot = stream.slot
        let removed = base[slot]
        count -= 1
        if slot != count {
            base[slot] = base[count]
            base[slot]._withUnsafeGuaranteedRef { $0.slot = slot }
        }
        stream.slot = -1
        return removed
    }

    /// Calls `body` for each stream. `body` must not add or remove streams.
    func forEach(_ body: (StreamState) -> Void) {
        for index in 0..<count { base[index]._withUnsafeGuaranteedRef(body) }
    }

    /// Sorts by identifier, the order in which requests were sent. Slots become invalid.
    mutating func sort() {
        var streams = UnsafeMutableBufferPointer(start: base, count: count)
        streams.sort { one, other in
            one._withUnsafeGuaranteedRef { $0.id } < other._withUnsafeGuaranteedRef { $0.id }
        }
    }

    /// Calls `body` for each stream and removes it. `body` must not touch this list.
    mutating func removeAll(_ body: (StreamState) -> Void) {
        for index in 0..<count {
            base[index]._withUnsafeGuaranteedRef(body)
            base[index].release()
        }
        count = 0
    }
}
