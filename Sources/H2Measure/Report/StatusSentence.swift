import H2Platform

/// Sentences about statuses which show that the wrong thing was measured: the same in `bench`, `compare` and `sweep`.
enum StatusSentence {
    /// Whole sentences, about statuses of more than one response in a hundred. Throttling (429, 503) is covered elsewhere.
    static func all(_ statuses: [Int: Int], of responses: Int) -> [String] {
        guard responses > 0 else { return [] }
        func share(_ isMeant: (Int) -> Bool) -> (part: Double, most: Int)? {
            let meant = statuses.filter { isMeant($0.key) && $0.value > 0 }
            let count = meant.values.reduce(0, +)
            guard Double(count) > 0.01 * Double(responses),
                let most = meant.max(by: { ($0.value, $1.key) < ($1.value, $0.key) })
            else { return nil }
            return (Double(count) / Double(responses), most.key)
        }
        var sentences: [String] = []
        if let errors = share({ (400...599).contains($0) && $0 != 429 && $0 != 503 }) {
            sentences.append(
                "\(percent(errors.part)) of the responses have a status of 4xx or 5xx (most often \(errors.most)), and error pages "
                    + "are measured instead of the resource: check the URL, and what -H it needs.")
        }
        // 304 is the answer to a conditional request.
        if let redirects = share({ (300...399).contains($0) && $0 != 304 }) {
            sentences.append(
                "\(percent(redirects.part)) of the responses are redirects (most often \(redirects.most)), which are measured "
                    + "instead of what they lead to: use the URL that their Location names.")
        }
        return sentences
    }
}

extension BenchResult {
    /// Whether nothing was answered, and everything failed in the way it does if a server that only has HTTP/1.1 gets HTTP/2
    /// without TLS.
    package func suggestsHTTP1(_ plan: BenchPlan) -> Bool {
        guard plan.protocols == .cleartextHTTP2, requests.done == 0 else { return false }
        let causes = [errors, connections.lost, connections.failed].flatMap(\.keys)
        let signs = [
            "the server broke the protocol", "http2 not negotiated", "connection closed by the server",
            "connection ended: ",
        ]
        return !causes.isEmpty
            && causes.allSatisfy { cause in signs.contains { cause.hasPrefix($0) } && !cause.containsBytes(of: "GOAWAY")
            }
    }
}
