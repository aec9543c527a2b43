import H2Client

/// Limits how many transfers share a resource at once: an origin whose bodies go to stdout in order, or a pipe
/// (`SharedOutputs`).
///
/// For an origin:
///
/// 1. A body that waits for its turn keeps its connection (HTTP/1.1) or stream (HTTP/2) meanwhile.
/// 2. With more transfers than connections or streams, the waiting ones could hold them all while the one whose turn it
///    is waits for a retry, for example after a 503: a deadlock.
/// 3. So each transfer takes a place before it is sent, in the order of the URLs, and keeps it until it ends.
///
/// Confined to one actor.
final class Places<Key: Hashable> {
    private struct Record {
        var limit: Int
        var taken = 0
        var waiting: [(turn: Int, waiter: Waiter)] = []
        /// The connection that last reported the limit.
        var source: ConnectionID?
    }

    private let limitAtFirst: (Key) -> Int
    private var records: [Key: Record] = [:]

    init(limitAtFirst: @escaping (Key) -> Int) { self.limitAtFirst = limitAtFirst }

    /// Returns when the transfer may begin. `leave` must follow.
    /// - Throws: `CancellationError`, as soon as the task is cancelled; it then holds no place.
    nonisolated(nonsending) func enter(_ key: Key, turn: Int) async throws {
        var record = records[key] ?? Record(limit: limitAtFirst(key))
        guard record.taken >= record.limit || !record.waiting.isEmpty else {
            record.taken += 1
            records[key] = record
            return
        }
        records[key] = record
        let waiter = Waiter()
        let place = record.waiting.firstIndex { $0.turn > turn } ?? record.waiting.count
        records[key]?.waiting.insert((turn, waiter), at: place)
        do { try await waiter.wait() } catch {
            records[key]?.waiting.removeAll { $0.waiter === waiter }
            throw error
        }
    }

    func leave(_ key: Key) {
        records[key]?.taken -= 1
        admit(key)
    }

    /// Whether `connection` has not reported its limit yet.
    func isNews(_ connection: ConnectionID, to key: Key) -> Bool { records[key]?.source != connection }

    /// Sets the limit that `connection` reports.
    func allow(_ limit: Int, at key: Key, says connection: ConnectionID) {
        records[key]?.limit = max(1, limit)
        records[key]?.source = connection
        admit(key)
    }

    private func admit(_ key: Key) {
        while let record = records[key], record.taken < record.limit, let next = record.waiting.first {
            records[key]?.waiting.removeFirst()
            // A cancelled task takes no place.
            if next.waiter.resume() { records[key]?.taken += 1 }
        }
    }
}
