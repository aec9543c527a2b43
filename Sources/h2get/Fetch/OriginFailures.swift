import H2Client
import H2Measure

/// Origins that could not be reached, each reported once however many URLs it has.
///
/// Belongs to one actor.
final class OriginFailures {
    private struct Record {
        let url: String
        let failure: Failure
        var others = 0
    }

    private let console: Console
    private var records: [Origin: Record] = [:]
    private var order: [Origin] = []

    init(_ console: Console) { self.console = console }

    func add(_ failure: Failure, url: String, of origin: Origin) {
        guard records[origin] == nil else {
            records[origin]?.others += 1
            return
        }
        // Memory must not grow with a list of unreachable hosts.
        if order.count == 1000 { tell() }
        records[origin] = Record(url: url, failure: failure)
        order.append(origin)
    }

    /// Reports the collected failures and forgets them.
    func tell() {
        for origin in order {
            guard let record = records[origin] else { continue }
            var failure = record.failure
            if record.others > 0 {
                failure.message += "; the same for \(counted(record.others, "more URL")) of \(origin)"
            }
            console.error(failure, url: record.url)
        }
        (records, order) = ([:], [])
    }
}
