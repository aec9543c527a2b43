/// A timer: fires once, on its loop's thread, unless cancelled.
package final class LoopTimer {
    /// Monotonic nanoseconds.
    fileprivate(set) var deadline: UInt64
    fileprivate var position = -1
    fileprivate(set) var action: (() -> Void)?

    init(deadline: UInt64, action: @escaping () -> Void) {
        self.deadline = deadline
        self.action = action
    }

    package var isScheduled: Bool { position >= 0 }
}

/// A binary heap of timers that know their index, so cancelling one needs a sift but no search.
struct TimerQueue {
    private var heap: [LoopTimer] = []

    var earliestDeadline: UInt64? { heap.first?.deadline }
    var count: Int { heap.count }

    mutating func insert(_ timer: LoopTimer) {
        precondition(timer.position < 0, "a timer is in one queue once")
        timer.position = heap.count
        heap.append(timer)
        siftUp(timer.position)
    }

    mutating func remove(_ timer: LoopTimer) {
        let position = timer.position
        guard position >= 0 else { return }
        timer.position = -1
        timer.action = nil
        let last = heap.removeLast()
        guard last !== timer else { return }
        heap[position] = last
        last.position = position
        siftUp(position)
        siftDown(last.position)
    }

    /// Removes the earliest timer if it is due, and returns its action.
    mutating func popDue(now: UInt64) -> (() -> Void)? {
        guard let first = heap.first, first.deadline <= now else { return nil }
        let action = first.action
        remove(first)
        return action
    }

    private mutating func siftUp(_ start: Int) {
        var at = start
        while at > 0 {
            let parent = (at - 1) / 2
            guard heap[at].deadline < heap[parent].deadline else { return }
            exchange(at, parent)
            at = parent
        }
    }

    private mutating func siftDown(_ start: Int) {
        var at = start
        while true {
            var least = at
            for child in [2 * at + 1, 2 * at + 2] where child < heap.count {
                if heap[child].deadline < heap[least].deadline { least = child }
            }
            guard least != at else { return }
            exchange(at, least)
            at = least
        }
    }

    private mutating func exchange(_ a: Int, _ b: Int) {
        heap.swapAt(a, b)
        heap[a].position = a
        heap[b].position = b
    }
}
