/// Latencies by status and by request, for one loop.
///
/// Not safe for concurrent use.
final class Breakdown {
    /// Requests that have counts of their own, the first ones; those behind share one.
    static let mostRequests = 100

    private(set) var byStatus = [LatencyCounts?](repeating: nil, count: 1000)
    /// The last one is for all others, where there are more.
    private(set) var byRequest: [LatencyCounts]

    init(requests: Int) {
        byRequest = (0..<(requests > 1 ? min(requests, Self.mostRequests + 1) : 0)).map { _ in LatencyCounts() }
    }

    func record(_ nanoseconds: UInt64, status: Int, request: Int) {
        if let counts = byStatus[status] {
            counts.record(nanoseconds)
        } else {
            let counts = LatencyCounts()
            counts.record(nanoseconds)
            byStatus[status] = counts
        }
        if !byRequest.isEmpty { byRequest[min(request, byRequest.count - 1)].record(nanoseconds) }
    }

    func add(_ other: Breakdown) {
        for (status, counts) in other.byStatus.enumerated() {
            guard let counts else { continue }
            if byStatus[status] == nil { byStatus[status] = LatencyCounts() }
            byStatus[status]?.add(counts)
        }
        for (index, counts) in other.byRequest.enumerated() { byRequest[index].add(counts) }
    }
}
