/// A slot in one of the pool's tables, and the generation of the record in it. `slot` is dense, so objects that belong to
/// records can be kept in arrays.
protocol SlotKey: Hashable, Sendable {
    init(index: UInt32, generation: UInt32)
    var index: UInt32 { get }
    var generation: UInt32 { get }
}

extension SlotKey {
    var slot: Int { Int(index) }

    /// Both in one number, never 0, for code that does not know the type.
    @inline(__always) var packed: UInt64 { UInt64(generation) << 32 | UInt64(index) }
    @inline(__always) init(packed: UInt64) {
        self.init(index: UInt32(truncatingIfNeeded: packed), generation: UInt32(truncatingIfNeeded: packed >> 32))
    }
}

/// An origin that the pool knows.
struct OriginKey: SlotKey {
    let index: UInt32
    let generation: UInt32
}

/// A connection, from its dial until it is gone and its last lease was returned.
struct ConnectionKey: SlotKey {
    let index: UInt32
    let generation: UInt32
}

/// A waiting request, until it is assigned a connection, fails, or gives up.
struct WaiterKey: SlotKey {
    let index: UInt32
    let generation: UInt32
}
