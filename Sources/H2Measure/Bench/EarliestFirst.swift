/// Times, of which the earliest is taken first: a binary heap.
struct EarliestFirst {
    private var times: [UInt64] = []

    /// The earliest.
    var first: UInt64? { times.first }

    mutating func add(_ time: UInt64) {
        var index = times.count
        times.append(time)
        while index > 0, case let parent = (index - 1) / 2, times[parent] > times[index] {
            times.swapAt(parent, index)
            index = parent
        }
    }

    /// Removes the earliest. There must be one.
    mutating func removeFirst() {
        times.swapAt(0, times.count - 1)
        times.removeLast()
        var index = 0
        while case let left = 2 * index + 1, left < times.count {
            let child = left + 1 < times.count && times[left + 1] < times[left] ? left + 1 : left
            guard times[child] < times[index] else { return }
            times.swapAt(child, index)
            index = child
        }
    }
}
