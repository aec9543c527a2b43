/// Latencies by status and by request, for one loop.
///
/// Not safe for concurrent use.
final class Breakdown {
    /// The number of requests with counts of their own, the first ones; those after them share one.
    static let maximumRequests = 100

    private(set) var byStatus = [LatencyCounts?](repeating: nil, count: 1000)
    /// The last entry is for all other requests, if there are more.
    private(set) var byRequest: [LatencyCounts?]

    init(requests: Int) {
        byRequest = Array(repeating: nil, count: requests > 1 ? min(requests, Self.maximumRequests + 1) : 0)
    }

    func record(_ nanoseconds: UInt64, status: Int, request: Int) {
        counts(&byStatus, status).record(nanoseconds)
        if !byRequest.isEmpty { counts(&byRequest, min(request, byRequest.count - 1)).record(nanoseconds) }
    }

    func add(_ other: Breakdown) {
        for (status, counts) in other.byStatus.enumerated() {
            if let counts { self.counts(&byStatus, status).add(counts) }
        }
        for (index, counts) in other.byRequest.enumerated() {
            if let counts { self.counts(&byRequest, index).add(counts) }
        }
    }

    /// Created on first use: they are large, and most would stay empty.
    private func counts(_ list: inout [LatencyCounts?], _ index: Int) -> LatencyCounts {
        if let counts = list[index] { return counts }
        let counts = LatencyCounts()
        list[index] = counts
        return counts
    }
}
