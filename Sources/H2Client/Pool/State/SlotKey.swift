/// A place in one of the pool's tables, and which of its successive tenants is meant. `slot` is dense, so that whoever
/// keeps objects beside the pool's records does so in arrays.
protocol SlotKey: Hashable, Sendable {
    init(index: UInt32, generation: UInt32)
    var index: UInt32 { get }
    var generation: UInt32 { get }
}

extension SlotKey {
    var slot: Int { Int(index) }

    /// Both in one number, never 0, for whoever does not know the type.
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

/// A connection, from its dialing until it is gone and its last lease was given back.
struct ConnectionKey: SlotKey {
    let index: UInt32
    let generation: UInt32
}

/// A request that waits, until it is assigned a connection, fails, or gives up.
struct WaiterKey: SlotKey {
    let index: UInt32
    let generation: UInt32
}
