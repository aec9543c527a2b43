import H2Client

/// How many transfers of an origin may be under way at once whose bodies go to stdout in order.
///
/// 1. A body that waits for its turn keeps its connection (HTTP/1.1) or stream (HTTP/2) meanwhile.
/// 2. If there were more of them than connections or streams, those that wait could come to hold all, while the one whose
///    turn it is waits to be sent again, after a 503 say: for ever.
/// 3. So each takes a place before it is sent, in the order of the URLs, and keeps it until its end.
///
/// Belongs to one actor.
final class Places {
    private struct Record {
        var limit: Int
        var taken = 0
        var waiting: [(turn: Int, waiter: Waiter)] = []
        /// Which connection last told the limit.
        var source: ConnectionID?
    }

    private let limitAtFirst: (Origin) -> Int
    private var records: [Origin: Record] = [:]

    init(limitAtFirst: @escaping (Origin) -> Int) { self.limitAtFirst = limitAtFirst }

    /// Returns when the transfer may begin. `leave` must follow.
    /// - Throws: `CancellationError`, at once when the task is cancelled; it has no place then.
    nonisolated(nonsending) func enter(_ origin: Origin, turn: Int) async throws {
        var record = records[origin] ?? Record(limit: limitAtFirst(origin))
        guard record.taken >= record.limit || !record.waiting.isEmpty else {
            record.taken += 1
            records[origin] = record
            return
        }
        records[origin] = record
        let waiter = Waiter()
        let place = record.waiting.firstIndex { $0.turn > turn } ?? record.waiting.count
        records[origin]?.waiting.insert((turn, waiter), at: place)
        do { try await waiter.wait() } catch {
            records[origin]?.waiting.removeAll { $0.waiter === waiter }
            throw error
        }
    }

    func leave(_ origin: Origin) {
        records[origin]?.taken -= 1
        admit(origin)
    }

    /// Whether the connection has not told yet how many may be under way.
    func isNews(_ connection: ConnectionID, to origin: Origin) -> Bool { records[origin]?.source != connection }

    /// So many may be under way, as the connection tells.
    func allow(_ limit: Int, at origin: Origin, says connection: ConnectionID) {
        records[origin]?.limit = max(1, limit)
        records[origin]?.source = connection
        admit(origin)
    }

    private func admit(_ origin: Origin) {
        while let record = records[origin], record.taken < record.limit, let next = record.waiting.first {
            records[origin]?.waiting.removeFirst()
            // Who is cancelled wants none any more.
            if next.waiter.resume() { records[origin]?.taken += 1 }
        }
    }
}
