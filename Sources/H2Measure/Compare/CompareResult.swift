import Histogram

/// A figure over several rounds.
package struct CompareSpread: Sendable, Equatable {
    package var median: Double
    package var low: Double
    package var high: Double

    /// All 0 if there are no values.
    package init(_ values: [Double]) {
        let sorted = values.sorted()
        let middle = sorted.count / 2
        low = sorted.first ?? 0
        high = sorted.last ?? 0
        median =
            sorted.isEmpty ? 0 : sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    /// The larger distance of an end from the median, as a fraction of it.
    package var part: Double { median > 0 ? max(high - median, median - low) / median : 0 }

    /// Whether the rounds differ so much that the position of their median is partly luck.
    package var isUnsteady: Bool { high > 2 * low }

    /// Whether a round of one was as good as a round of the other, so that there may be no difference at all.
    package func overlaps(_ other: CompareSpread) -> Bool { low <= other.high && other.low <= high }
}

/// The figures of one way in one round.
package struct CompareFigures: Sendable, Equatable {
    /// Seconds for all requests.
    package var seconds = 0.0
    /// Requests per second.
    package var rate = 0.0
    /// Nanoseconds, from when a request was to begin: including the time to connect, if there was any.
    package var p50 = 0.0
    package var p99 = 0.0
    /// Median of the nanoseconds to a response's first byte: from sending the request, or from the beginning of its connection
    /// if each request has a new one.
    package var firstByte = 0.0
    package var connections = 0.0
    package var handshakes = 0.0
    /// Handshakes that resumed a session.
    package var resumed = 0.0
    /// Round trips that had to wait for each other.
    package var roundTrips = 0.0
    /// On the wire.
    package var bytesReceived = 0.0
    package var bytesSent = 0.0
    /// CPU time of the client, in seconds.
    package var cpuSeconds = 0.0
    /// The number of connections that the server had to hold at once.
    package var held = 0.0

    package init() {}

    /// - Parameter linkSeconds: CPU time that the simulated link took from the process.
    init(_ result: BenchResult, way: CompareWay, linkSeconds: Double = 0) {
        seconds = result.elapsed
        rate = result.elapsed > 0 ? Double(result.requests.done) / result.elapsed : 0
        func value(_ percentile: Double, _ histogram: TimeHistogram) -> Double {
            histogram.totalCount > 0 ? Double(histogram.valueAtPercentile(percentile)) : 0
        }
        p50 = value(50, result.corrected)
        p99 = value(99, result.corrected)
        firstByte = value(50, result.firstByte)
        // The connect time is the corrected latency minus the raw one, so this never exceeds the whole request's time.
        if !way.isReuse { firstByte += max(0, p50 - value(50, result.latency)) }
        connections = Double(result.connections.opened)
        handshakes = Double(result.connections.handshakes)
        resumed = Double(result.connections.resumed)
        roundTrips = Double(result.connections.roundTrips)
        bytesReceived = Double(result.traffic.received)
        bytesSent = Double(result.traffic.sent)
        cpuSeconds = max(0, result.cpuSeconds - linkSeconds)
        held = Double(result.connections.peakOpen)
    }
}

/// The results of a comparison.
package struct CompareResult: Sendable, Equatable {
    package enum Outcome: Sendable, Equatable {
        /// The figures of each round.
        case ran([CompareFigures])
        /// Not all requests were answered as intended, so these figures do not cover the whole work.
        case incomplete([CompareFigures], why: String)
        case couldNot(why: String)
    }

    package struct Cell: Sendable, Equatable {
        package var way: CompareWay
        package var security: CompareSecurity
        package var outcome: Outcome
        /// "HTTP/1.1" or "HTTP/2"; nil if it could not be measured.
        package var version: String?
        /// Remarks about the figures. May contain text from a server.
        package var notes: [String] = []

        package init(_ way: CompareWay, _ security: CompareSecurity, _ outcome: Outcome, notes: [String] = []) {
            self.way = way
            self.security = security
            self.outcome = outcome
            self.notes = notes
        }

        /// The spread over the rounds; nil if no figures cover the whole work.
        package func spread(_ figure: KeyPath<CompareFigures, Double>) -> CompareSpread? {
            guard case .ran(let rounds) = outcome, !rounds.isEmpty else { return nil }
            return CompareSpread(rounds.map { $0[keyPath: figure] })
        }

        /// The reason why no figures cover the whole work.
        package var reason: String? {
            switch outcome {
            case .ran: nil
            case .incomplete(_, let why): "incomplete: \(why)"
            case .couldNot(let why): why
            }
        }
    }

    /// The origins that were measured.
    package var origins: [String] = []
    /// The requests sent to each of them.
    package var asked: [RequestList] = []
    /// The TLS version and cipher suite; nil if everything was cleartext.
    package var tls: String?
    package var conditions = LinkConditions()
    /// The number of requests for each way, in each round.
    package var requests = 0
    package var streams = 0
    package var connections = 0
    /// The number of counted, complete rounds.
    package var rounds = 0
    package var seed: UInt64 = 0
    /// Whether the user stopped the comparison.
    package var isInterrupted = false
    /// Seconds since 1970.
    package var startedAt = 0.0
    package var cells: [Cell] = []
    /// Reasons why the figures are misleading, in whole sentences.
    package var warnings: [String] = []

    package init() {}

    package func cell(_ way: CompareWay, _ security: CompareSecurity) -> Cell? {
        cells.first { $0.way == way && $0.security == security }
    }

    /// The securities that were compared, in the order of a table.
    package var securities: [CompareSecurity] {
        [.tls, .cleartext].filter { security in cells.contains { $0.security == security } }
    }
}
