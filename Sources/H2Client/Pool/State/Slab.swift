/// No slot.
let noSlot: Int32 = -1

/// Records in memory of their own, in reused slots. Finding one costs a comparison; the memory grows and never shrinks.
struct Slab<Key: SlotKey, Record>: ~Copyable {
    private var base: UnsafeMutablePointer<Record>
    // Odd while the slot is taken, so a key of an earlier record never matches.
    private var generations: UnsafeMutablePointer<UInt32>
    private var nextFree: UnsafeMutablePointer<Int32>
    private var capacity: Int
    private var firstFree = noSlot
    /// Slots below this have been used at least once.
    private(set) var bound = 0
    private(set) var count = 0

    init() {
        capacity = 16
        base = .allocate(capacity: capacity)
        generations = .allocate(capacity: capacity)
        nextFree = .allocate(capacity: capacity)
    }

    deinit {
        for slot in 0..<bound where generations[slot] & 1 == 1 { (base + slot).deinitialize(count: 1) }
        base.deallocate()
        generations.deallocate()
        nextFree.deallocate()
    }

    /// The record in a taken slot. `insert` may move records, so it must not be called while one is being changed.
    subscript(slot: Int32) -> Record {
        @inline(__always) _read { yield base[Int(slot)] }
        // The records are outside the slab's own storage, so changing one does not change the slab: a function may hold one
        // record while it reads another, or a list of them.
        @inline(__always) nonmutating _modify { yield &base[Int(slot)] }
    }

    /// For `SlotList`.
    var memory: UnsafeMutablePointer<Record> { base }

    func isTaken(_ slot: Int) -> Bool { slot < bound && generations[slot] & 1 == 1 }

    /// The slot of a key, or `noSlot` if its record is gone.
    @inline(__always)
    func find(_ key: Key) -> Int32 {
        key.slot < bound && generations[key.slot] == key.generation ? Int32(truncatingIfNeeded: key.slot) : noSlot
    }

    @inline(__always)
    func key(_ slot: Int32) -> Key {
        Key(index: UInt32(truncatingIfNeeded: slot), generation: generations[Int(slot)])
    }

    mutating func insert(_ record: Record) -> Int32 {
        count += 1
        let slot: Int
        if firstFree != noSlot {
            slot = Int(firstFree)
            firstFree = nextFree[slot]
        } else {
            if bound == capacity { grow() }
            slot = bound
            bound += 1
            (generations + slot).initialize(to: 0)
            (nextFree + slot).initialize(to: noSlot)
        }
        generations[slot] &+= 1
        (base + slot).initialize(to: record)
        return Int32(slot)
    }

    mutating func remove(_ slot: Int32) {
        let at = Int(slot)
        precondition(isTaken(at), "a slot is given up once")
        (base + at).deinitialize(count: 1)
        generations[at] &+= 1
        nextFree[at] = firstFree
        firstFree = slot
        count -= 1
    }

    private mutating func grow() {
        func moved<T>(_ old: UnsafeMutablePointer<T>) -> UnsafeMutablePointer<T> {
            let new = UnsafeMutablePointer<T>.allocate(capacity: capacity * 2)
            new.moveInitialize(from: old, count: bound)
            old.deallocate()
            return new
        }
        // `grow` is called only when every slot is taken, so all of the memory is initialised.
        base = moved(base)
        generations = moved(generations)
        nextFree = moved(nextFree)
        capacity *= 2
    }
}

/// A record's links in a list.
struct Links {
    static let unlinked: Int32 = -2

    var previous = Links.unlinked
    var next = noSlot

    var isLinked: Bool { previous != Links.unlinked }
}

/// The links of a record that a list uses.
struct LinkField<Record> {
    private let offset: Int

    init(_ path: KeyPath<Record, Links>) {
        guard let offset = MemoryLayout<Record>.offset(of: path) else { preconditionFailure("links are stored") }
        self.offset = offset
    }

    @inline(__always)
    func of(_ slot: Int32, in base: UnsafeMutablePointer<Record>) -> UnsafeMutablePointer<Links> {
        // The links are a stored property of the record, at this offset, and memory bound to a struct is bound to its
        // stored properties as well.
        UnsafeMutableRawPointer(base + Int(slot)).advanced(by: offset).assumingMemoryBound(to: Links.self)
    }
}

/// A doubly linked list through the records of a slab; each operation costs a few stores.
struct SlotList {
    private(set) var first = noSlot
    private(set) var last = noSlot
    private(set) var count: Int32 = 0

    @inline(__always) var isEmpty: Bool { first == noSlot }

    mutating func append<R>(_ slot: Int32, _ field: LinkField<R>, _ base: UnsafeMutablePointer<R>) {
        let links = field.of(slot, in: base)
        links.pointee = Links(previous: last, next: noSlot)
        if last == noSlot { first = slot } else { field.of(last, in: base).pointee.next = slot }
        last = slot
        count += 1
    }

    mutating func prepend<R>(_ slot: Int32, _ field: LinkField<R>, _ base: UnsafeMutablePointer<R>) {
        let links = field.of(slot, in: base)
        links.pointee = Links(previous: noSlot, next: first)
        if first == noSlot { last = slot } else { field.of(first, in: base).pointee.previous = slot }
        first = slot
        count += 1
    }

    mutating func remove<R>(_ slot: Int32, _ field: LinkField<R>, _ base: UnsafeMutablePointer<R>) {
        let links = field.of(slot, in: base).pointee
        precondition(links.isLinked, "what leaves a list is in it")
        if links.previous == noSlot {
            first = links.next
        } else {
            field.of(links.previous, in: base).pointee.next = links.next
        }
        if links.next == noSlot {
            last = links.previous
        } else {
            field.of(links.next, in: base).pointee.previous = links.previous
        }
        field.of(slot, in: base).pointee = Links()
        count -= 1
    }

    /// Removes a record if it is in the list.
    mutating func drop<R>(_ slot: Int32, _ field: LinkField<R>, _ base: UnsafeMutablePointer<R>) {
        if field.of(slot, in: base).pointee.isLinked { remove(slot, field, base) }
    }
}
