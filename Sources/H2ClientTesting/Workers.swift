import H2Client

/// The workers of an origin, shared by all its connections. Confined to its loop's thread.
///
/// A limited number of requests is processed at once, and a limited number waits; the rest are refused. A worker is busy
/// until its request's stream ends: for the service time, while the route waits, and until the response has been handed to
/// the connection.
final class Workers {
    /// A request's position.
    enum Position {
        case none
        case waiting(ticket: UInt64)
        case working
    }

    private let limits: OriginServer.Workers
    private let counters: Counters
    private var busy = 0
    private var waiting = 0
    private var lastTicket: UInt64 = 0
    // A request that ended is skipped when its turn comes: streams are reused, but tickets are not.
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
        stream.position = .waiting(ticket: lastTicket)
        line.append((stream, lastTicket))
        waiting += 1
        counters.requestsWaiting.add(1)
        // Keeps the size proportional to the number of waiting requests when many of them end early.
        if line.count > 2 * waiting + 64 { compact() }
    }

    /// Removes a stream that ends, whether it waits, is being processed, or neither.
    func left(_ stream: ServerStream) {
        let position = stream.position
        stream.position = .none
        switch position {
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
        stream.position = .working
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
        if case .waiting(ticket) = stream.position { true } else { false }
    }
}
