/// When to process an origin again.
struct Hold {
    let time: UInt64
    let origin: OriginKey
}

/// A binary heap with the earliest entry first.
struct HoldQueue {
    private var heap: [Hold] = []

    var earliest: UInt64? { heap.first?.time }
    var count: Int { heap.count }

    mutating func insert(_ hold: Hold) {
        heap.append(hold)
        var at = heap.count - 1
        while at > 0, heap[at].time < heap[(at - 1) / 2].time {
            heap.swapAt(at, (at - 1) / 2)
            at = (at - 1) / 2
        }
    }

    mutating func popDue(now: UInt64) -> Hold? {
        guard let first = heap.first, first.time <= now else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var at = 0
        while true {
            var least = at
            for child in [2 * at + 1, 2 * at + 2] where child < heap.count && heap[child].time < heap[least].time {
                least = child
            }
            guard least != at else { return first }
            heap.swapAt(at, least)
            at = least
        }
    }
}
