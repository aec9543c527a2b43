package import H2Client
package import Histogram

/// Latencies in nanoseconds: three significant digits, up to an hour. Longer ones are recorded as an hour.
package typealias TimeHistogram = Histogram<UInt64>

extension TimeHistogram {
    package static let longest: UInt64 = 3_600_000_000_000

    /// An empty histogram, in the layout that all of ours have, so that any two can be added.
    package static func nanoseconds() -> TimeHistogram {
        TimeHistogram(lowestDiscernibleValue: 1, highestTrackableValue: longest, numberOfSignificantValueDigits: .three)
    }
}

/// The results of a measurement. All times are of the measured part only, without the warm-up, unless stated otherwise.
package struct BenchResult: Sendable {
    /// The outcome of the requests: `sent == done + failed + aborted`.
    package struct Requests: Sendable, Equatable {
        /// Sent in the measured part, each counted once however often it was retried.
        package var sent = 0
        /// Answered completely, with any status.
        package var done = 0
        /// Not answered completely: see `errors`.
        package var failed = 0
        /// Still in flight when the drain time after the deadline was over, when the user stopped the run, or when their
        /// connection reached its maximum lifetime (`BenchPlan.activeTimeout`).
        package var aborted = 0
        /// Of `done`: those that were in flight at the deadline and answered within the drain time.
        package var drained = 0
        /// Of an open loop's schedule, or of the number asked for: those that were never sent.
        package var dropped = 0
        /// Attempts beyond the first: unprocessed requests that were retried on another connection.
        package var retries = 0
        /// Answered between the beginning and the deadline, whenever they were sent; `rate` counts these.
        package var answeredInTime = 0

        package init() {}
    }

    /// In bytes.
    package struct Traffic: Sendable, Equatable {
        /// On the wire, including TLS and its handshakes.
        package var received = 0
        package var sent = 0
        /// Of `received` and `sent`: those of the measured part, without the drain; divide these by `BenchResult.elapsed`.
        package var receivedInTime = 0
        package var sentInTime = 0
        /// HTTP bytes, before TLS.
        package var receivedHTTP = 0
        package var sentHTTP = 0
        /// Response header sections as received (HPACK), and the size of the names and values that they decode to.
        package var headers = 0
        package var headersDecoded = 0
        /// Bodies of responses, and of requests.
        package var bodiesReceived = 0
        package var bodiesSent = 0

        package init() {}

        /// The part of the header bytes that compression saved, 0 to 1.
        package var headerSaving: Double {
            headersDecoded == 0 ? 0 : 1 - Double(headers) / Double(headersDecoded)
        }
    }

    /// The time that requests waited, by reason, summed over all of them, in nanoseconds: a second of 100 waiting requests
    /// counts as 100 s.
    ///
    /// The sums are Doubles: in an open loop of 100,000 requests per second of which half are answered, they exceed 64 bits of
    /// nanoseconds in 20 minutes, and no sum needs more than 15 digits.
    package struct Waits: Sendable, Equatable {
        /// For a stream of an established connection (the server's SETTINGS_MAX_CONCURRENT_STREAMS, or `-m`).
        package var stream = 0.0
        package var streamRequests = 0
        /// For a connection to be established, the first one or another.
        package var connection = 0.0
        package var connectionRequests = 0
        /// For the client itself: from when they were due until the loop noticed, and from when they could begin until they
        /// did.
        package var late = 0.0
        package var maximumLate: UInt64 = 0
        /// Connections, summed, for the server to read: the socket's buffer was full.
        package var sendBlocked = 0.0
        /// Uploads, for the server's stream window and for its connection window.
        package var uploadStreamWindow = 0.0
        package var uploadConnectionWindow = 0.0
        /// The server, for our stream window and for our connection window, as far as the round trip time shows it.
        package var downloadStreamWindow = 0.0
        package var downloadConnectionWindow = 0.0

        package init() {}
    }

    /// How far this machine's clock was ahead of the server's; nil if that was not measured.
    package var clock: HistogramLogNotes.Clock?

    package struct Connections: Sendable, Equatable {
        /// Connection slots that wanted a connection, and those of them that never had one; `opened - reopened` had one.
        package var wanted = 0
        package var neverOpened = 0
        package var opened = 0
        /// Connections that could not be established, by cause.
        package var failed: [String: Int] = [:]
        /// Of `opened`: those that replaced a closed one.
        package var reopened = 0
        /// Ended by the server, or by an error, by cause ("GOAWAY NO_ERROR", "connection closed by the server" …).
        package var lost: [String: Int] = [:]
        /// Connection slots that gave up, other than on purpose: no further connection could be established there.
        package var abandoned = 0
        /// The part of `failed`, `lost`, `reopened` and `rotated` that happened before the measured part.
        package var warmUp = WarmUp()
        /// Ended on purpose: `requestsPerConnection`, `activeTimeout`, `inactivityTimeout`.
        package var rotated = 0
        /// TLS handshakes, and those of them that resumed a session.
        package var handshakes = 0
        package var resumed = 0
        /// The largest number open at once.
        package var peakOpen = 0
        /// By HTTP version.
        package var http2 = 0
        package var http1 = 0
        /// For example "TLSv1.3" and "TLS_AES_256_GCM_SHA384", of the first connection; nil in cleartext.
        package var tlsVersion: String?
        package var cipher: String?
        /// The server's latest SETTINGS_MAX_CONCURRENT_STREAMS; nil for no limit or HTTP/1.1.
        package var maxConcurrentStreams: Int?
        /// Consecutive round trips, on the slot with the most: TCP 1, TLS 1.3 1, TLS 1.2 2 (1 if a session was resumed), each
        /// request 1.
        package var roundTrips = 0

        package init() {}

        package struct WarmUp: Sendable, Equatable {
            package var failed: [String: Int] = [:]
            package var lost: [String: Int] = [:]
            package var reopened = 0
            package var rotated = 0

            package init() {}
        }

        /// The part of `failed` and `lost` that happened in the measured part, or after it.
        package var failedSince: [String: Int] { failed.subtracting(warmUp.failed) }
        package var lostSince: [String: Int] { lost.subtracting(warmUp.lost) }
    }

    /// A part of the time line. There are at most 1,200: if a number of requests takes longer, neighbours are joined, and all
    /// become twice as long.
    package struct Interval: Sendable {
        /// Seconds since the measurement began.
        package var start: Double
        package var length: Double
        package var done = 0
        package var failed = 0
        /// Requests begun (in an open loop, including late ones).
        package var sent = 0
        package var bytesReceived = 0
        /// Streams in flight, sampled 100 times a second.
        package var inFlightMean = 0.0
        package var peakInFlight = 0
        package var connections = 0
        /// Requests that were due and not sent yet, at the interval's end.
        package var backlog = 0
        /// Whether it is after the deadline, which loops may have reached at slightly different times.
        package var isDrain = false
        /// Of the measured responses that ended in it, in nanoseconds; 0 if there are none (see `hasLatencies`). Responses in
        /// `done` may be of the warm-up, and drained ones have latencies but were not done in time.
        package var p50: UInt64 = 0
        package var p99: UInt64 = 0
        package var longest: UInt64 = 0
        /// Kept if `BenchPlan.keepsIntervalHistograms` is set. Compact, since there are many.
        var counts: SparseCounts?
        package var latency: TimeHistogram? {
            get { counts?.histogram() }
            set { counts = newValue.map { SparseCounts($0) } }
        }
        package var keepsLatency: Bool { counts != nil }
        package var hasLatencies: Bool { longest > 0 }

        package init(start: Double, length: Double) {
            self.start = start
            self.length = length
        }
    }

    /// The cost of the measuring itself.
    package struct Client: Sendable, Equatable {
        /// CPU seconds of the whole process, in the measured part.
        package var userSeconds = 0.0
        package var systemSeconds = 0.0
        /// The fraction of the time that each loop's thread was at work, 0 to 1, without `spinSeconds`.
        package var loopBusy: [Double] = []
        /// CPU seconds that open loops spent looking at the clock, to begin requests on time.
        package var spinSeconds = 0.0
        /// How late timers fired, in nanoseconds: the 99th percentile and the worst.
        package var lagP99: UInt64 = 0
        package var maximumLag: UInt64 = 0
        /// The process's largest resident size, in bytes.
        package var residentBytes = 0
        package var processors = 0

        package init() {}
    }

    /// Times in which there was no connection, and none could be established at once.
    package struct Downtime: Sendable, Equatable {
        package var count = 0
        /// The total, and the longest one: from the end of the last connection to the first one that answered. The server was
        /// away for at most that long, since nobody looks between two dials.
        package var seconds = 0.0
        package var longest = 0.0
        /// The total from the end of the last connection to the last dial that failed: the server was away for at least that
        /// long.
        package var leastSeconds = 0.0

        package init() {}
    }

    /// Responses per second of each slot, over the measured part.
    package struct Spread: Sendable, Equatable {
        package var count = 0
        package var minimum = 0.0
        package var maximum = 0.0
        package var mean = 0.0
        /// The standard deviation, and the fraction of the slots within one deviation of the mean, 0 to 1.
        package var deviation = 0.0
        package var within = 0.0

        package init() {}

        package init(_ rates: [Double]) {
            guard !rates.isEmpty else { return }
            count = rates.count
            (minimum, maximum) = (rates.min() ?? 0, rates.max() ?? 0)
            let mean = rates.reduce(0, +) / Double(count)
            let deviation = (rates.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count)).squareRoot()
            self.mean = mean
            self.deviation = deviation
            within = Double(rates.count { abs($0 - mean) <= deviation }) / Double(count)
        }
    }

    /// The latencies of some of the requests.
    package struct Part: Sendable {
        /// The status, or the request's index in `BenchPlan.requests`; nil for all requests after those with an entry of their
        /// own.
        package var key: Int?
        package var latency: TimeHistogram

        package init(key: Int?, latency: TimeHistogram) { (self.key, self.latency) = (key, latency) }
    }

    /// How the measurement ended.
    package enum End: Sendable, Equatable {
        case complete
        /// The user stopped it.
        case interrupted
        /// Every connection reached a time limit of the plan (`activeTimeout`, `inactivityTimeout`).
        case expired(String)
        /// No further connection could be established.
        case gaveUp(String)
    }

    package var end = End.complete
    /// Seconds since 1970 when the measured part began.
    package var startedAt = 0.0
    /// The length of the measured part, without the drain, in seconds.
    package var elapsed = 0.0
    package var requests = Requests()
    /// Responses by status, including those that were not as expected; the index is the status.
    package var statuses = [Int](repeating: 0, count: 1000)
    /// Requests that failed, by cause ("stream reset by the server: REFUSED_STREAM" …).
    package var errors: [String: Int] = [:]
    package var traffic = Traffic()
    package var waits = Waits()
    package var connections = Connections()
    package var client = Client()
    /// From sending a request to its response's last byte.
    package var latency = TimeHistogram.nanoseconds()
    /// From when it was to begin, so that that wait counts: by the open loop's schedule, or at the end of its
    /// predecessor in a closed loop. This one is free of coordinated omission.
    package var corrected = TimeHistogram.nanoseconds()
    /// From sending a request to its response's first byte.
    package var firstByte = TimeHistogram.nanoseconds()
    /// TCP connect, and the TLS handshake, of each connection (including those of the warm-up).
    package var connect = TimeHistogram.nanoseconds()
    package var handshake = TimeHistogram.nanoseconds()
    package var intervals: [Interval] = []
    package var downtime = Downtime()
    /// Over the slots, each of which may have had several connections in turn.
    package var perConnection = Spread()
    /// Empty unless `BenchPlan.breaksDown`.
    package var byStatus: [Part] = []
    /// Empty unless `BenchPlan.breaksDown`, or if there is only one request.
    package var byRequest: [Part] = []
    /// The error that made the log of each request (`BenchPlan.requestLog`) incomplete; nil if it is complete, or was not asked
    /// for.
    package var requestLogFailure: H2Error?

    package init() {}

    /// The intervals of the measured part, without the drain after it.
    package var timeLine: [Interval] {
        intervals.filter { !$0.isDrain && (elapsed <= 0 || $0.start < elapsed) }
    }
    /// Seconds at the end of the measured part in which requests were in flight and none was answered or failed before the
    /// run ended: the server hung. Nil if there was no such silence, or if responses may take that long.
    package var silenceAtEnd: Double? {
        // If many are unanswered the percentiles show it, and a few slow resources are not a silence.
        guard requests.aborted > 0, requests.done >= 10 * requests.aborted, latency.totalCount > 0 else { return nil }
        switch end {
        case .complete, .interrupted: break
        case .expired, .gaveUp: return nil
        }
        let silent = timeLine.reversed().prefix { $0.done == 0 && $0.failed == 0 && $0.inFlightMean > 0 }
        let seconds = silent.reduce(0) { $0 + $1.length }
        return seconds >= 1 && seconds > 10 * Double(latency.maxRecorded) / 1e9 ? seconds : nil
    }
    /// The longest time within the measured part in which requests were in flight and no response came, with responses before
    /// and after it: the server or the network stalled. Nil if responses may take about that long.
    package var stall: (start: Double, seconds: Double)? {
        guard latency.totalCount > 0 else { return nil }
        var (longest, current): ((start: Double, seconds: Double)?, (start: Double, seconds: Double)?) = (nil, nil)
        var hasResponded = false
        for interval in timeLine {
            if interval.done > 0 || interval.failed > 0 || interval.inFlightMean == 0 {
                current = nil
                hasResponded = hasResponded || interval.done > 0
            } else if hasResponded {
                current = (current?.start ?? interval.start, (current?.seconds ?? 0) + interval.length)
                if let current, current.seconds > longest?.seconds ?? 0 { longest = current }
            }
        }
        let usual = Double(latency.valueAtPercentile(90)) / 1e9
        guard let longest, longest.seconds >= 0.5, longest.seconds > 10 * usual else { return nil }
        return longest
    }
    /// Complete responses that did not meet `BenchPlan.expectation`, which count as failed.
    package var unexpected: Int { max(statuses.reduce(0, +) - requests.done, 0) }
    /// Responses per second.
    package var rate: Double { elapsed > 0 ? Double(requests.answeredInTime) / elapsed : 0 }
    package var cpuSeconds: Double { client.userSeconds + client.systemSeconds }

    /// The number of responses with a status in the class `hundreds`: 4 for 400 to 499.
    package func statusClass(_ hundreds: Int) -> Int {
        statuses[(hundreds * 100)..<(hundreds * 100 + 100)].reduce(0, +)
    }
}

extension [String: Int] {
    /// The counts by cause, less those of `others`, which are a part of them.
    fileprivate func subtracting(_ others: [String: Int]) -> [String: Int] {
        merging(others, uniquingKeysWith: -).filter { $0.value > 0 }
    }
}
