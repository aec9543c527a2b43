import H2Client

/// How many transfers may be under way at once at each place that several want: those of an origin whose bodies go to stdout
/// in order, and those that write to one pipe (`SharedOutputs`). For an origin:
///
/// 1. A body that waits for its turn keeps its connection (HTTP/1.1) or stream (HTTP/2) meanwhile.
/// 2. If there were more of them than connections or streams, those that wait could come to hold all, while the one whose
///    turn it is waits to be retried, after a 503 say: for ever.
/// 3. So each takes a place before it is sent, in the order of the URLs, and keeps it until its end.
///
/// Belongs to one actor.
final class Places<Key: Hashable> {
    private struct Record {
        var limit: Int
        var taken = 0
        var waiting: [(turn: Int, waiter: Waiter)] = []
        /// Which connection last told the limit.
        var source: ConnectionID?
    }

    private let limitAtFirst: (Key) -> Int
    private var records: [Key: Record] = [:]

    init(limitAtFirst: @escaping (Key) -> Int) { self.limitAtFirst = limitAtFirst }

    /// Returns when the transfer may begin. `leave` must follow.
    /// - Throws: `CancellationError`, at once when the task is cancelled; it has no place then.
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

    /// Whether the connection has not told yet how many may be under way.
    func isNews(_ connection: ConnectionID, to key: Key) -> Bool { records[key]?.source != connection }

    /// So many may be under way, as the connection tells.
    func allow(_ limit: Int, at key: Key, says connection: ConnectionID) {
        records[key]?.limit = max(1, limit)
        records[key]?.source = connection
        admit(key)
    }

    private func admit(_ key: Key) {
        while let record = records[key], record.taken < record.limit, let next = record.waiting.first {
            records[key]?.waiting.removeFirst()
            // Who is cancelled wants none any more.
            if next.waiter.resume() { records[key]?.taken += 1 }
        }
    }
}
