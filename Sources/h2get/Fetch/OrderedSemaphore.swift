import H2Client

/// A semaphore that limits how many transfers share a resource at once: an origin whose bodies go to stdout in order, or a pipe
/// (`SharedOutputs`).
///
/// For an origin:
///
/// 1. A body that waits to be written keeps its connection (HTTP/1.1) or stream (HTTP/2) meanwhile.
/// 2. With more transfers than connections or streams, the waiting ones could hold them all while the one that is
///    next waits for a retry, for example after a 503: a deadlock.
/// 3. So each transfer takes a permit before it is sent, in the order of the URLs, and keeps it until it ends.
///
/// Confined to one actor.
final class OrderedSemaphore<Key: Hashable> {
    private struct Record {
        var limit: Int
        var taken = 0
        var waiting: [(order: Int, waiter: Waiter)] = []
        /// The connection that last reported the limit.
        var reporter: ConnectionID?
    }

    private let initialLimit: (Key) -> Int
    private var records: [Key: Record] = [:]

    init(initialLimit: @escaping (Key) -> Int) { self.initialLimit = initialLimit }

    /// Returns when the transfer may begin. `release` must follow.
    /// - Throws: `CancellationError`, as soon as the task is cancelled; it then holds no permit.
    nonisolated(nonsending) func acquire(_ key: Key, order: Int) async throws {
        var record = records[key] ?? Record(limit: initialLimit(key))
        guard record.taken >= record.limit || !record.waiting.isEmpty else {
            record.taken += 1
            records[key] = record
            return
        }
        records[key] = record
        let waiter = Waiter()
        let index = record.waiting.firstIndex { $0.order > order } ?? record.waiting.count
        records[key]?.waiting.insert((order, waiter), at: index)
        do { try await waiter.wait() } catch {
            records[key]?.waiting.removeAll { $0.waiter === waiter }
            throw error
        }
    }

    func release(_ key: Key) {
        records[key]?.taken -= 1
        admit(key)
    }

    /// Whether `connection` has not reported its limit yet.
    func isNew(_ connection: ConnectionID, for key: Key) -> Bool { records[key]?.reporter != connection }

    /// Sets the limit that `connection` reports.
    func setLimit(_ limit: Int, for key: Key, reportedBy connection: ConnectionID) {
        records[key]?.limit = max(1, limit)
        records[key]?.reporter = connection
        admit(key)
    }

    private func admit(_ key: Key) {
        while let record = records[key], record.taken < record.limit, let next = record.waiting.first {
            records[key]?.waiting.removeFirst()
            // A cancelled task takes no permit.
            if next.waiter.resume() { records[key]?.taken += 1 }
        }
    }
}
