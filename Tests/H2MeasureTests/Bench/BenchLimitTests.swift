import H2Client
import H2ClientTesting
import H2Platform
import H2TestSupport
import HTTPTypes
import Histogram
import Testing

@testable import H2Measure

/// The engine with many connections, many streams, and servers that turn connections away.
@Suite(.measuring, .timeLimit(.minutes(5)))
struct BenchLimitTests {
    @Test(arguments: [BenchPlan.API.direct, .async])
    func `A server that answers GOAWAY to each connection is not dialled without end`(
        _ api: BenchPlan.API
    ) async throws {
        var configuration = MeasuredOrigin.cleartext()
        configuration.faults.goAwayAfterRequests = 1
        configuration.faults.goAwayCode = .enhanceYourCalm
        configuration.faults.latency = .seconds(60)
        try await MeasuredOrigin.run(configuration) { origin in
            let result = try await origin.measure("/bytes/10", .time(.seconds(60))) { $0.api = api }
            guard case .gaveUp = result.end else {
                Issue.record("it ended with \(result.end)")
                return
            }
            #expect(origin.server.statistics.connectionsAccepted == 5)
        }
    }

    @Test
    func `A connection that is left before it answers, and then does, is no failure`() async throws {
        var configuration = MeasuredOrigin.cleartext()
        configuration.faults.goAwayAfterRequests = 1
        try await MeasuredOrigin.run(configuration) { origin in
            let result = try await origin.measure("/delay/20", .requests(30))
            #expect(result.end == .complete)
            #expect(result.requests.done == 30)
            #expect(result.connections.opened == 30)
        }
    }

    @Test
    func `Thousands of connections that are not wanted any more when they may be dialled are no recursion`()
        async throws
    {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let result = try await origin.measure("/delay/1000", .requests(100), connections: 50_000) {
                $0.pace = .arrivals(from: 1_000_000, to: 1_000_000, ramp: .zero)
            }
            #expect(result.end == .complete)
            #expect(result.requests.done == 100)
            #expect(result.connections.opened < 10_000)
        }
    }

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `Memory goes by the streams that the server allows, not by those asked for`(
        _ api: BenchPlan.API
    ) async throws {
        var configuration = MeasuredOrigin.cleartext()
        configuration.settings.maxConcurrentStreams = 3
        try await MeasuredOrigin.run(configuration) { origin in
            let before = ProcessClocks.usage.residentBytes
            let result = try await origin.measure(
                "/bytes/10", .requests(500), connections: 20, streams: 1_000_000
            ) { $0.api = api }
            #expect(result.requests.done == 500)
            // Twenty million streams would be 10 GB.
            #expect(result.client.residentBytes - before < 1 << 30)
        }
    }

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `What a worker without connections leaves is sent by another thread`(_ api: BenchPlan.API) async throws {
        var configuration = MeasuredOrigin.cleartext()
        // Every other connection is closed at once.
        configuration.limits.connections = 1
        try await MeasuredOrigin.run(configuration) { origin in
            let result = try await origin.measure("/delay/1", .requests(100), connections: 2) {
                $0.threads = 2
                $0.api = api
            }
            #expect(result.end == .complete)
            #expect(result.requests.dropped == 0)
            #expect(result.requests.sent == 100)
            #expect(result.requests.done >= 95)
        }
    }

    @Test
    func `A schedule that a worker leaves is kept by another thread`() async throws {
        var configuration = MeasuredOrigin.cleartext()
        configuration.limits.connections = 1
        try await MeasuredOrigin.run(configuration) { origin in
            let result = try await origin.measure("/bytes/3", .time(.seconds(4)), connections: 2, streams: 50) {
                $0.threads = 2
                $0.pace = .arrivals(from: 100, to: 100, ramp: .zero)
                $0.drain = .seconds(30)
            }
            #expect(result.end == .complete)
            #expect(result.requests.sent + result.requests.dropped == 400)
            #expect(result.requests.sent > 300)
        }
    }

    /// Workers that were not started, so that none of them takes what others leave to it.
    private func idleGroup(_ count: Int) throws -> (WorkerGroup, [Worker]) {
        let plan = BenchPlan(origin: try Origin("http://127.0.0.1:1"), requests: [])
        let peers = WorkerGroup(count)
        let workers = (0..<count).map { _ in
            Worker(
                plan, index: 0, loop: H2EventLoop(), requests: [], tls: nil,
                timeline: Timeline(loops: 1, keepsHistograms: false), log: nil, downtime: Downtime())
        }
        for worker in workers { peers.add(worker) }
        return (peers, workers)
    }

    @Test
    func `Of workers that give up together the last one has what all of them leave`() throws {
        let (peers, workers) = try idleGroup(3)
        defer { for worker in workers { worker.loop.shutdown() } }
        var first = WorkerGroup.Leftover(requests: 10, parts: [Arrivals.Part(first: 0, stride: 3, of: 3)])
        #expect(peers.share(&first, from: workers[0]))
        var second = WorkerGroup.Leftover(requests: 20)
        #expect(peers.share(&second, from: workers[1]))
        var last = WorkerGroup.Leftover(requests: 30)
        #expect(!peers.share(&last, from: workers[2]))
        #expect(last.requests == 60)
        #expect(last.parts.count == 1)
    }

    @Test
    func `What is left to a worker that ends is returned to it, and nothing is left to it after that`() throws {
        let (peers, workers) = try idleGroup(2)
        defer { for worker in workers { worker.loop.shutdown() } }
        var first = WorkerGroup.Leftover(requests: 10, schedules: [])
        #expect(peers.share(&first, from: workers[0]))
        #expect(peers.leave(workers[1]).requests == 10)
        #expect(peers.leave(workers[1]).requests == 0)
        var second = WorkerGroup.Leftover(requests: 20)
        #expect(!peers.share(&second, from: workers[0]))
        #expect(second.requests == 20)
    }

    @Test
    func `A listener that closes ends all workers, and not as if they were complete`() async throws {
        for _ in 0..<5 {
            try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
                let plan = try origin.plan("/delay/1", .requests(1_000_000), connections: 2) { $0.threads = 2 }
                let bench = Bench(plan)
                let measured = Task { try await bench.run() }
                try await eventually("both workers send") {
                    origin.server.statistics.connectionsAccepted == 2 && origin.server.statistics.requests >= 100
                }
                origin.server.stopNow()
                let result = try await measured.value
                guard case .gaveUp = result.end else {
                    Issue.record("it ended with \(result.end)")
                    return
                }
                #expect(result.requests.dropped > 0)
            }
        }
    }

    @Test
    func `A worker that gives up in the warm-up does not count to the measured time`() async throws {
        var configuration = MeasuredOrigin.cleartext()
        configuration.limits.connections = 1
        try await MeasuredOrigin.run(configuration) { origin in
            let result = try await origin.measure("/bytes/3", .time(.seconds(2)), connections: 2, streams: 50) {
                $0.threads = 2
                $0.warmUp = .seconds(5)
                $0.pace = .arrivals(from: 100, to: 100, ramp: .zero)
                $0.drain = .seconds(30)
            }
            #expect(result.end == .complete)
            #expect(result.elapsed >= 2 && result.elapsed < 4.5)
            // The part of the schedule that it left is another's.
            #expect(result.requests.sent + result.requests.dropped == 200)
            #expect(result.requests.sent > 150)
        }
    }

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `Connections that their slots have left are watched for silence, too`(_ api: BenchPlan.API) async throws {
        var configuration = MeasuredOrigin.cleartext()
        configuration.faults.goAwayAfterRequests = 1
        configuration.faults.latency = .seconds(3_000)
        try await MeasuredOrigin.run(configuration) { origin in
            let result = try await origin.measure("/bytes/10", .requests(3)) {
                $0.api = api
                $0.inactivityTimeout = .seconds(1)
            }
            #expect(result.requests.done == 0 && result.requests.aborted == 0 && result.requests.failed > 0)
        }
    }

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `A server that resets streams and closes is not dialled without end`(_ api: BenchPlan.API) async throws {
        var configuration = MeasuredOrigin.cleartext()
        configuration.faults.resetAfterBodyBytes = 1
        configuration.faults.closeAfterRequests = 2
        try await MeasuredOrigin.run(configuration) { origin in
            let result = try await origin.measure("/bytes/10", .requests(1_000)) { $0.api = api }
            guard case .gaveUp = result.end else {
                Issue.record("it ended with \(result.end)")
                return
            }
            #expect(origin.server.statistics.connectionsAccepted == 5)
        }
    }

    @Test
    func `A young connection is not ended in the name of one before it`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let result = try await origin.measure("/delay/1", .time(.seconds(5)), connections: 2) {
                $0.activeTimeout = .seconds(3)
                $0.requestsPerConnection = 5
            }
            #expect(result.end == .complete)
            #expect(result.requests.aborted == 0)
        }
    }

    @Test
    func `The processors that may be used are those of the mask`() {
        #expect(ProcessorSet.allowed(in: "Name:\tx\nCpus_allowed:\t00000000,0000000f\nCpus_allowed_list:\t0-3\n") == 4)
        #expect(ProcessorSet.allowed(in: "Name:\tx\n") == nil)
        #expect(ProcessorSet.count > 0)
    }

    @Test(arguments: [
        ("max 100000\n", nil), ("50000 100000\n", 0.5), ("400000 100000\n", 4), ("100000 100000", 1), ("", nil),
        ("1000", nil), ("0 100000", nil), ("-1 100000", nil), ("1 2 3", nil), ("99999999999999999999 100000", nil),
    ])
    func `A quota of version 2 is what cpu.max says`(_ text: String, _ processors: Double?) {
        #expect(CPUQuota.processors(cpuMax: text) == processors)
    }

    @Test(arguments: [
        ("-1\n", "100000\n", nil), ("25000\n", "100000\n", 0.25), ("200000", "100000", 2), ("x", "1", nil),
    ])
    func `A quota of version 1 is one number over the other`(_ quota: String, _ period: String, _ processors: Double?) {
        #expect(CPUQuota.processors(quota: quota, period: period) == processors)
    }

    @Test
    func `The smallest quota of all groups above the process counts`() {
        func quota(_ files: [String: String]) -> Double { CPUQuota.current { files[$0] } }
        let unified = ["/proc/self/cgroup": "0::/a/b\n"]
        #expect(quota([:]) == .infinity)
        #expect(quota(unified) == .infinity)
        #expect(quota(unified.merging(["/sys/fs/cgroup/a/b/cpu.max": "max 100000"]) { $1 }) == .infinity)
        let limits = ["/sys/fs/cgroup/a/b/cpu.max": "200000 100000", "/sys/fs/cgroup/a/cpu.max": "50000 100000"]
        #expect(quota(unified.merging(limits) { $1 }) == 0.5)
        // In a container the path may be the host's, and its own group is at the root.
        #expect(quota(["/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "150000 100000"]) == 1.5)
        let legacy = [
            "/proc/self/cgroup": "5:memory:/docker/1\n4:cpu,cpuacct:/docker/1\n0::/\n",
            "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "75000",
            "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
        ]
        #expect(quota(legacy) == 0.75)
        #expect(CPUQuota.current > 0)
    }

    @Test
    func `A worker whose share is nothing does not keep the others`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let result = try await origin.measure("/bytes/3", .requests(1), connections: 2) { $0.threads = 2 }
            #expect(result.end == .complete)
            #expect(result.requests.done == 1)
        }
    }

    // MARK: - Sums

    @Test
    func `Sums over a long run do not overflow`() {
        var histogram = TimeHistogram.nanoseconds()
        // 200,000 a second for a week, each of which took an hour.
        histogram.record(TimeHistogram.longest, count: 120_960_000_000)
        histogram.record(1_000, count: 120_960_000_000)
        let distribution = Distribution(histogram)
        #expect(abs(distribution.mean / 1.8e12 - 1) < 0.01)
        #expect(abs(histogram.average / 1.8e12 - 1) < 0.01)
        #expect(histogram.recorded().map(\.count) == [120_960_000_000, 120_960_000_000])
        #expect(HistogramPayload(histogram).counts.count == 2)
        var figures = DirectFigures()
        figures.sendBlocked = .max - 1
        figures.stalls.uploadStream = .max
        figures.add(figures)
        #expect(figures.sendBlocked == .max)
        #expect(figures.stalls.uploadStream == .max)
    }

    @Test
    func `A rate of next to nothing has its first request, and none after it`() {
        for rate in [1e-11, 1e-300, Double.leastNonzeroMagnitude] {
            let arrivals = Arrivals(from: rate, to: rate, ramp: 0)
            #expect(arrivals.time(of: 0) == 0)
            #expect(arrivals.time(of: 1) >= 1 << 62)
            let ramp = Arrivals(from: 10_000, to: rate, ramp: 1)
            #expect(ramp.time(of: 6_000) >= 1 << 62)
            #expect(ramp.time(of: 4_999) <= 1_000_000_000)
        }
    }

    // MARK: - Connections that the server does not take

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `Connections that the server does not take keep no request waiting`(_ api: BenchPlan.API) async throws {
        var configuration = OriginServer.Configuration()
        configuration.limits.connections = 4
        try await MeasuredOrigin.run(configuration) { origin in
            let result = try await origin.measure("/bytes/10", .requests(400)) {
                $0.connections = 20
                $0.api = api
            }
            #expect(result.end == .complete)
            #expect(result.requests.done == 400)
            #expect(result.connections.opened == 4 && result.connections.neverOpened == 16)
            // Nobody waited for the pauses after which 16 slots give up: that takes five attempts each.
            #expect(result.connections.failed.values.reduce(0, +) < 5 * 16)
            let cause = try #require(result.connections.failed.keys.first)
            #expect(cause.contains("TLS handshake"), "\(result.connections.failed)")
        }
    }

    @Test(arguments: [BenchPlan.API.direct, .async])
    func `A dial that fails opens no connection before it is due, and no request waits for a stream`(
        _ api: BenchPlan.API
    ) async throws {
        // A port on which nobody listens at first.
        let port = try LoopbackPort.unused()
        let origin = try Origin("http://127.0.0.1:\(port)")
        var plan = BenchPlan(
            origin: origin,
            requests: [
                .init(HTTPRequest(method: .get, scheme: "http", authority: origin.authority, path: "/bytes/3"))
            ])
        plan.extent = .requests(30)
        plan.connections = 3
        plan.connectionRamp = BenchPlan.ConnectionRamp(count: 1, period: .milliseconds(400))
        plan.protocols = .cleartextHTTP2
        plan.api = api
        plan.keepsTrying = true
        let bench = Bench(plan)
        let measured = Task { try await bench.run() }
        // The first dial fails, and the turns of the others come.
        try await letTimePass(.milliseconds(150))
        let result = try await MeasuredOrigin.run(MeasuredOrigin.cleartext { $0.port = port }) { _ in
            try await measured.value
        }
        #expect(result.requests.done == 30)
        #expect(result.connections.opened == 3)
        #expect(
            result.timeLine.allSatisfy { $0.start > 0.25 || $0.connections <= 1 },
            "\(result.timeLine.map(\.connections))")
        #expect(result.connections.failed.values.reduce(0, +) > 0)
        #expect(result.waits.streamRequests == 0)
        #expect(result.waits.connectionRequests > 0)
    }

    @Test
    func `A real run has latencies in each interval with responses`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let result = try await origin.measure("/bytes/3", .time(.milliseconds(1_500)), streams: 2) {
                $0.connections = 2
                $0.threads = 2
            }
            #expect(result.intervals.allSatisfy { $0.done == 0 || $0.hasLatencies })
            let line = result.timeLine
            #expect(line.count <= 15)
            #expect(line.allSatisfy { $0.connections == 2 || $0.start < 0.2 })
            #expect(zip(line, line.dropFirst()).allSatisfy { $0.start + $0.length <= $1.start + 1e-9 })
            #expect(line.allSatisfy { $0.length > 0.02 })
            #expect(result.intervals.count(where: \.isDrain) <= 1)
        }
    }

    @Test
    func `A loop that slept for an hour costs no memory`() throws {
        let before = ProcessClocks.usage.residentBytes
        let timeline = Timeline(loops: 2, keepsHistograms: true)
        let recorder = Recorder()
        recorder.record(1_000_000)
        for loop in 0..<2 {
            var part = Timeline.Part(indexes: 0..<36_000, start: 0, end: 3_600)
            (part.done, part.loop) = (36_000, loop)
            timeline.add(part, recorder)
        }
        #expect(timeline.finish().reduce(0) { $0 + $1.done } == 72_000)
        #expect(ProcessClocks.usage.residentBytes - before < 100 << 20)
    }

    @Test
    func `Equal lines of a script are one prepared request`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            var plan = try origin.plan("/bytes/3", .requests(3))
            let other = try origin.plan("/status/404", .requests(1))
            plan.requests = [plan.requests[0], other.requests[0], plan.requests[0]]
            let prepared = try Bench(plan).preparedRequests()
            #expect(prepared[0] === prepared[2] && prepared[0] !== prepared[1])
            let result = try await Bench(plan).run()
            #expect(result.statuses[200] == 2 && result.statuses[404] == 1)
        }
    }

    // MARK: - The time line

    @Test
    func `A time line of hours has so many intervals at most, and loses nothing`() throws {
        let timeline = Timeline(loops: 2, keepsHistograms: true)
        let recorder = Recorder()
        for index in 0..<7_000 {
            for loop in 0..<2 {
                recorder.reset()
                recorder.record(UInt64(1_000 * (index + 1)))
                var part = Timeline.Part(
                    indexes: index..<index + 1, start: Double(index) / 10, end: Double(index + 1) / 10)
                part.loop = loop
                (part.sent, part.done, part.bytesReceived) = (3, 2, 100)
                part.inFlightMean = 1
                part.peakInFlight = index == 4_321 ? 50 : 1
                part.backlog = loop
                timeline.add(part, recorder)
            }
        }
        let intervals = timeline.finish()
        #expect((600...1_200).contains(intervals.count))
        #expect(intervals.reduce(0) { $0 + $1.done } == 28_000)
        #expect(intervals.reduce(0) { $0 + $1.sent } == 42_000)
        #expect(intervals.reduce(0) { $0 + $1.bytesReceived } == 1_400_000)
        #expect(intervals.reduce(0) { $0 + ($1.latency?.totalCount ?? 0) } == 14_000)
        #expect(abs(intervals.reduce(0) { $0 + $1.length } - 700) < 0.01)
        #expect(zip(intervals, intervals.dropFirst()).allSatisfy { abs($0.start + $0.length - $1.start) < 1e-6 })
        #expect(intervals.allSatisfy { abs($0.inFlightMean - 2) < 1e-9 && $0.backlog == 1 })
        #expect(intervals.map(\.peakInFlight).max() == 100)
        #expect(intervals.last?.longest == 7_000_000)
        let first = try #require(intervals.first)
        let each = Int((first.length * 10).rounded())
        #expect(each == 8)
        #expect(first.longest == 8_000)
        #expect((4_000...4_004).contains(first.p50))
    }

    @Test
    func `Keeping histograms for a log makes the time line no coarser`() {
        func intervals(keepsHistograms: Bool) -> [BenchResult.Interval] {
            let timeline = Timeline(loops: 1, keepsHistograms: keepsHistograms)
            let recorder = Recorder()
            for index in 0..<1_500 {
                recorder.reset()
                recorder.record(UInt64(1_000 * (index + 1)))
                var part = Timeline.Part(
                    indexes: index..<index + 1, start: Double(index) / 10, end: Double(index + 1) / 10)
                part.done = 1
                timeline.add(part, recorder)
            }
            return timeline.finish()
        }
        let (kept, plain) = (intervals(keepsHistograms: true), intervals(keepsHistograms: false))
        #expect(kept.allSatisfy { $0.latency != nil } && plain.allSatisfy { $0.latency == nil })
        #expect(kept.map(\.start) == plain.map(\.start) && kept.map(\.length) == plain.map(\.length))
        #expect(kept.map(\.p99) == plain.map(\.p99))
    }

    @Test
    func `A loop that was late in an interval had its connections all the same`() throws {
        let timeline = Timeline(loops: 2, keepsHistograms: false)
        let recorder = Recorder()
        for (indexes, loop) in [(0..<1, 0), (0..<1, 1), (1..<2, 0), (2..<3, 0), (1..<3, 1), (3..<4, 0)] {
            var part = Timeline.Part(
                indexes: indexes, start: Double(indexes.lowerBound) / 10, end: Double(indexes.upperBound) / 10)
            (part.connections, part.inFlightMean, part.peakInFlight, part.loop) = (25, 250, 260, loop)
            part.done = 5 * indexes.count
            timeline.add(part, recorder)
        }
        let intervals = timeline.finish()
        #expect(intervals.map(\.connections) == [50, 50, 50, 50])
        #expect(intervals.map(\.inFlightMean) == [500, 500, 500, 500])
        #expect(intervals.map(\.peakInFlight) == [520, 520, 520, 520])
        #expect(intervals.map(\.done) == [10, 10, 10, 5])
    }

    @Test(arguments: [UInt64(1), 2, 3])
    func `Many loops that are late each in its own way make one time line`(seed: UInt64) throws {
        let (loops, length) = (300, 0.1)
        let timeline = Timeline(loops: loops, keepsHistograms: true)
        let recorder = Recorder()
        recorder.record(1_000_000)
        var random = SplitMix64(seed: seed)
        // As 300 threads on two processors: each looks at the clock up to a second too late, and 10 requests are done in
        // each tenth of a second whatever comes of that.
        var (next, at) = ([Int](repeating: 0, count: loops), [Double](repeating: 0, count: loops))
        var time = 0.0
        while time < 20 {
            time += 0.01
            for loop in 0..<loops where time - at[loop] >= length && random.next() % 8 == 0 {
                let end = max(next[loop] + 1, Int((time / length).rounded()))
                var part = Timeline.Part(indexes: next[loop]..<end, start: at[loop], end: time)
                part.done = Int(time * 100) - Int(at[loop] * 100)
                (part.connections, part.inFlightMean, part.loop) = (1, 1, loop)
                timeline.add(part, recorder)
                (next[loop], at[loop]) = (end, time)
            }
        }
        let done = at.reduce(0) { $0 + Int($1 * 100) }
        let intervals = timeline.finish()
        #expect(intervals.reduce(0) { $0 + $1.done } == done)
        #expect(zip(intervals, intervals.dropFirst()).allSatisfy { $0.start + $0.length <= $1.start + 1e-9 })
        let measured = intervals.filter { $0.start < 18.5 }
        for interval in measured {
            #expect(abs(Double(interval.done) / interval.length - 30_000) < 6_000)
            #expect(interval.connections == loops)
        }
        #expect(abs(measured.reduce(0) { $0 + $1.length } - 18.5) < 0.5)
    }

    @Test
    func `A loop that is late for seconds holds up nothing, and its requests are counted`() throws {
        let timeline = Timeline(loops: 2, keepsHistograms: true)
        let recorder = Recorder()
        recorder.record(1_000_000)
        for index in 0..<200 {
            var part = Timeline.Part(
                indexes: index..<index + 1, start: Double(index) / 10, end: Double(index + 1) / 10)
            (part.done, part.connections) = (10, 1)
            timeline.add(part, recorder)
        }
        #expect(timeline.progress.rate > 0)
        var late = Timeline.Part(indexes: 0..<200, start: 0, end: 20)
        (late.done, late.connections, late.loop) = (2_000, 1, 1)
        timeline.add(late, recorder)
        let intervals = timeline.finish()
        #expect(intervals.count == 200)
        #expect(intervals.allSatisfy { $0.done == 20 })
        #expect(intervals.reduce(0) { $0 + ($1.latency?.totalCount ?? 0) } == 201)
    }

    @Test
    func `Intervals with answers of the warm-up alone have no latency, and that of the drain has`() async throws {
        try await MeasuredOrigin.run(MeasuredOrigin.cleartext()) { origin in
            let result = try await origin.measure("/delay/700", .time(.milliseconds(1_000)), streams: 4) {
                $0.warmUp = .milliseconds(300)
                $0.drain = .seconds(60)
            }
            let warm = result.intervals.filter { $0.done > 0 && !$0.hasLatencies }
            #expect(warm.reduce(0) { $0 + $1.done } == 4)
            #expect(result.requests.drained == 4)
            let drained = try #require(result.intervals.last)
            #expect(drained.done == 0)
            #expect(drained.p50 >= 600_000_000)
            let text = BenchJSON.text(result, try origin.plan("/", .requests(1)), verdicts: [])
            #expect(text.contains("\"done\": 4"))
            #expect(!text.contains("\"p50_seconds\": 0,"))
        }
    }
}
