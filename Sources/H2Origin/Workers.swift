import H2Client

/// The workers of an origin, over all its connections: so many requests are worked on at once, so many wait, and the rest
/// is refused. Belongs to its loop's thread.
///
/// A worker is busy from a request's start until its stream ends: for the service time, for whatever the route waits for,
/// and until the response was handed to the connection.
final class Workers {
    /// Where a request stands.
    enum Place {
        case none
        case waiting(ticket: UInt64)
        case working
    }

    private let limits: OriginServer.Workers
    private let counters: Counters
    private var busy = 0
    private var waiting = 0
    private var lastTicket: UInt64 = 0
    // Who gave up is passed over when its turn comes: streams are reused, but their tickets are not.
    private var line: [(stream: ServerStream, ticket: UInt64)] = []
    private var lineStart = 0

    init(_ limits: OriginServer.Workers, counters: Counters) {
        self.limits = limits
        self.counters = counters
    }

    func admit(_ stream: ServerStream) {
        if busy < limits.count { return begin(stream) }
        guard waiting < limits.queue else {
            counters.requestsRefused.add(1)
            return stream.refuseForWantOfWorkers(limits.refusal)
        }
        lastTicket += 1
        stream.place = .waiting(ticket: lastTicket)
        line.append((stream, lastTicket))
        waiting += 1
        counters.requestsWaiting.add(1)
        // Many that gave up behind one that stays: what is kept stays in proportion to those that wait.
        if line.count > 2 * waiting + 64 { compact() }
    }

    /// To be called when the stream ends, wherever it stands.
    func left(_ stream: ServerStream) {
        let place = stream.place
        stream.place = .none
        switch place {
        case .none: break
        case .waiting:
            waiting -= 1
            counters.requestsWaiting.add(-1)
        case .working:
            busy -= 1
            counters.workersBusy.add(-1)
            beginNext()
        }
    }

    private func begin(_ stream: ServerStream) {
        busy += 1
        counters.workersBusy.add(1)
        stream.place = .working
        guard limits.serviceTime <= .zero else { return stream.schedule(after: limits.serviceTime) { $0.route() } }
        stream.route()
        stream.connection.scheduleFlush()
    }

    private func beginNext() {
        while busy < limits.count, lineStart < line.count {
            let (stream, ticket) = line[lineStart]
            lineStart += 1
            if lineStart == line.count {
                line.removeAll(keepingCapacity: true)
                lineStart = 0
            } else if lineStart > 1024, lineStart > line.count / 2 {
                compact()
            }
            guard isCurrent(stream, ticket) else { continue }
            waiting -= 1
            counters.requestsWaiting.add(-1)
            begin(stream)
        }
    }

    private func compact() {
        line.removeFirst(lineStart)
        lineStart = 0
        line.removeAll { !isCurrent($0.stream, $0.ticket) }
    }

    private func isCurrent(_ stream: ServerStream, _ ticket: UInt64) -> Bool {
        if case .waiting(ticket) = stream.place { true } else { false }
    }
}
