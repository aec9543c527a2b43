internal import H2Client
internal import HTTPTypes

/// Runs one measurement.
package struct Bench: Sendable {
    /// Figures to show while the measurement runs.
    package struct Progress: Sendable {
        /// Seconds since the measured part began; 0 in the warm-up.
        package var elapsed = 0.0
        /// Seconds until the warm-up or the measured part begins (`BenchPlan.startAt`); nil once it has begun.
        package var beginsIn: Double?
        package var done = 0
        package var failed = 0
        package var inFlight = 0
        package var connections = 0
        /// Responses per second, over the last second.
        package var rate = 0.0
        /// Of the last interval, in nanoseconds.
        package var p50: UInt64 = 0
        package var p99: UInt64 = 0

        package init() {}
    }

    package let plan: BenchPlan
    /// Called about five times a second, off the event loops.
    package var onProgress: (@Sendable (Progress) -> Void)?
    /// Called once if the request log is still being written a second after the measurement, because its reader is slow.
    package var onSlowLog: (@Sendable () -> Void)?

    /// Steers the measurement, if its plan has users or collects figures.
    package var control: BenchControl?

    package init(_ plan: BenchPlan) { self.plan = plan }

    /// Runs the measurement to its end. Cancelling ends it early with the results so far (`BenchResult.End.interrupted`).
    /// - Throws: `H2Error` if no connection could be established, a request is invalid, or the request log cannot be started.
    package func run() async throws -> BenchResult {
        let requests = try preparedRequests()
        precondition(!requests.isEmpty, "a measurement has a request")
        precondition(plan.threads <= plan.connections || plan.users != nil, "a loop has a connection")
        precondition(plan.scenario == nil || plan.api == .async && plan.requests.count == plan.scenario?.steps.count)
        guard plan.api == .direct || plan.pace == .closed else {
            throw H2Error(
                .invalidRequest, message: "an open loop is not measured by the async API",
                remedy: "leave out --request-rate and --rps, or --api async")
        }
        let tls: TLSContext? =
            if case .tls = plan.protocols { try TLSContext(client: plan.configuration.tls) } else { nil }
        // Anything that cannot be started must fail now, not at the start time.
        let log: RequestLog? = if let path = plan.requestLog { try RequestLog(path: path) } else { nil }
        if let start = plan.startAt {
            try await wait(until: start - Double(plan.warmUp.clampedNanoseconds) / 1e9)
        }
        let downtime = Downtime()
        let timeline = Timeline(loops: plan.threads, keepsHistograms: plan.keepsIntervalHistograms)
        let logs = Logs((0..<plan.threads).map { _ in log?.beside() })
        let loops = (0..<plan.threads).map { _ in H2EventLoop() }
        defer { for loop in loops { loop.shutdown() } }
        let startedAt = ProcessClocks.wallSeconds
        let findings = await withTaskGroup(of: [Worker.Findings]?.self) { group in
            if let onProgress {
                group.addTask {
                    while (try? await Task.sleep(for: .milliseconds(200))) != nil { onProgress(timeline.progress) }
                    return nil
                }
            }
            group.addTask { await gather(loops, requests, tls, timeline, downtime, logs) }
            var findings: [Worker.Findings] = []
            for await result in group {
                guard let result else { continue }
                findings = result
                group.cancelAll()
            }
            return findings
        }
        let logFailure = await finish(logs)
        var result = try result(findings, timeline, downtime, startedAt: startedAt)
        // No reason to lose everything else.
        result.requestLogFailure = logFailure
        return result
    }

    /// Waits until the logs are written, or their reader has been given up.
    private func finish(_ logs: Logs) async -> H2Error? {
        await withTaskGroup(of: Void.self) { group in
            if let onSlowLog, logs.all.contains(where: { $0 != nil }) {
                group.addTask { if (try? await Task.sleep(for: .seconds(1))) != nil { onSlowLog() } }
            }
            var failure: H2Error?
            for log in logs.all {
                // The last log has counted the lines of all.
                do throws(H2Error) { try await log?.finish() } catch { failure = error }
            }
            group.cancelAll()
            return failure
        }
    }

    /// One prepared request for each of the plan's requests. Equal ones are prepared once: a script may have a million lines
    /// and few URLs.
    func preparedRequests() throws(H2Error) -> [PreparedRequest] {
        var known: [BenchPlan.Request: PreparedRequest] = [:]
        var all: [PreparedRequest] = []
        all.reserveCapacity(plan.requests.count)
        for request in plan.requests {
            if let prepared = known[request] {
                all.append(prepared)
                continue
            }
            var sent = request.request
            // The path of a scenario's step may have variables, and is prepared by the API that sends it.
            if plan.scenario != nil { sent.path = "/" }
            let prepared = try PreparedRequest(sent, body: request.body, to: plan.origin)
            known[request] = prepared
            all.append(prepared)
        }
        return all
    }

    /// Waits until `time`, in seconds since 1970, and reports the time left.
    private func wait(until time: Double) async throws {
        while case let left = time - ProcessClocks.wallSeconds, left > 0 {
            if let onProgress {
                var progress = Progress()
                progress.beginsIn = left
                onProgress(progress)
            }
            try await Task.sleep(for: .seconds(min(left, 1)))
        }
    }

    private func gather(
        _ loops: [H2EventLoop], _ requests: [PreparedRequest], _ tls: TLSContext?, _ timeline: Timeline,
        _ downtime: Downtime, _ logs: Logs
    ) async -> [Worker.Findings] {
        let started = Collected<Worker>()
        let peers = loops.count > 1 ? WorkerGroup(loops.count) : nil
        let workers = loops.enumerated().map { index, loop in
            Worker(
                plan, index: index, loop: loop, requests: requests, tls: tls, timeline: timeline,
                log: logs.all[index], downtime: downtime, peers: peers, control: control)
        }
        for worker in workers { peers?.add(worker) }
        return await withTaskCancellationHandler {
            // All workers begin at the same time, however long it takes until the last of their threads runs.
            let beginning = H2EventLoop.monotonicNanoseconds()
            return await withTaskGroup(of: Worker.Findings.self) { group in
                for worker in workers {
                    group.addTask {
                        await withUnsafeContinuation { continuation in
                            worker.completion = { continuation.resume(returning: $0) }
                            started.add(worker)
                            worker.loop.execute { worker.start(at: beginning) }
                        }
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
        } onCancel: {
            // If no thread could be created, the loop itself waits for a log's reader.
            for log in logs.all { log?.giveUp() }
            started.close { worker in worker.loop.execute { worker.interrupt() } }
        }
    }

    private func result(
        _ all: [Worker.Findings], _ timeline: Timeline, _ downtime: Downtime, startedAt: Double
    ) throws -> BenchResult {
        var result = BenchResult()
        let recorder = Recorder()
        let (lag, connect, handshake) = (LatencyCounts(), LatencyCounts(), LatencyCounts())
        for findings in all {
            result.add(findings)
            recorder.add(findings.recorder)
            lag.add(findings.lag)
            connect.add(findings.connect)
            handshake.add(findings.handshake)
        }
        if result.connections.opened == 0, let error = all.lazy.compactMap(\.connectError).first { throw error }
        result.startedAt = startedAt + Double(plan.warmUp.clampedNanoseconds) / 1e9
        // A worker that gave up in the warm-up has no times of the measured part.
        let measured = all.filter(\.hasMeasured)
        let began = measured.map(\.beganAt).min() ?? 0
        let ended = measured.map(\.endedAt).max() ?? 0
        if plan.users != nil, began > 0 {
            let passed = H2EventLoop.monotonicNanoseconds() &- began
            result.startedAt = ProcessClocks.wallSeconds - Double(passed) / 1e9
        }
        result.elapsed = ended > began ? Double(ended - began) / 1e9 : 0
        if case .time = plan.extent, result.end == .complete {
            // A loop that noticed the end late lengthened the time for itself only.
            result.elapsed =
                measured.reduce(0) { $0 + Double($1.endedAt - $1.beganAt) / 1e9 } / Double(max(measured.count, 1))
        }
        (result.latency, result.corrected, result.firstByte) =
            (recorder.latency, recorder.corrected, recorder.firstByte)
        (result.connect, result.handshake) = (connect.histogram(), handshake.histogram())
        result.intervals = timeline.finish()
        result.downtime = downtime.result(ended)
        if result.elapsed > 0 {
            result.perConnection = BenchResult.Spread(
                all.flatMap { $0.answered.map { Double($0) / result.elapsed } })
        }
        if let breakdown = all.first?.breakdown {
            for other in all.dropFirst() { other.breakdown.map(breakdown.add) }
            result.byStatus = breakdown.byStatus.enumerated().compactMap { status, counts in
                counts.map { BenchResult.Part(key: status, latency: $0.sparse().histogram()) }
            }
            result.byRequest = breakdown.byRequest.enumerated().map { index, counts in
                BenchResult.Part(
                    key: index < Breakdown.maximumRequests ? index : nil,
                    latency: counts?.sparse().histogram() ?? .nanoseconds())
            }
        }
        if let first = measured.min(by: { $0.beganAt < $1.beganAt }),
            let last = measured.max(by: { $0.endedAt < $1.endedAt })
        {
            result.client.userSeconds = last.usedAtEnd.user - first.usedAtBegin.user
            result.client.systemSeconds = last.usedAtEnd.system - first.usedAtBegin.system
        }
        result.client.residentBytes = ProcessClocks.usage.residentBytes
        result.client.loopBusy = all.map(\.busy)
        result.client.spinSeconds = all.reduce(0) { $0 + $1.spun }
        result.client.lagP99 = lag.percentile(99)
        result.client.maximumLag = lag.maximum
        result.client.processors = ProcessorSet.count
        let bodies = plan.requests.reduce(0) { $0 + $1.body.count }
        // Requests are sent in turn, each as often as the others.
        let product = result.requests.sent.multipliedFullWidth(by: bodies)
        result.traffic.bodiesSent =
            product.high >= plan.requests.count ? .max : plan.requests.count.dividingFullWidth(product).quotient
        // A worker that gave up may have left requests to another that had just been stopped.
        if case .requests(let count) = plan.extent { result.requests.dropped = max(count - result.requests.sent, 0) }
        return result
    }
}

/// One log for each loop.
///
/// Invariant behind `@unchecked Sendable`: each log belongs to its loop alone until that loop has ended.
private struct Logs: @unchecked Sendable {
    let all: [RequestLog?]
    init(_ all: [RequestLog?]) { self.all = all }
}

/// Elements that all receive one call when the collection closes; one added later receives it at once.
///
/// Invariant behind `@unchecked Sendable`: all state is behind the lock.
private final class Collected<Element: Sendable>: @unchecked Sendable {
    private let lock = PthreadLock()
    private var elements: [Element] = []
    private var told: (@Sendable (Element) -> Void)?

    func add(_ element: Element) {
        let told = lock.withLock {
            elements.append(element)
            return self.told
        }
        told?(element)
    }

    func close(_ tell: @escaping @Sendable (Element) -> Void) {
        let all = lock.withLock {
            told = tell
            return elements
        }
        for element in all { tell(element) }
    }
}

extension BenchResult {
    /// Adds one loop's findings, except its times.
    fileprivate mutating func add(_ findings: Worker.Findings) {
        switch (end, findings.end) {
        case (.complete, _), (.expired, .gaveUp), (.expired, .interrupted), (.gaveUp, .interrupted): end = findings.end
        case (.expired, _), (.gaveUp, _), (.interrupted, _): break
        }
        requests.sent += findings.requests.sent
        requests.done += findings.requests.done
        requests.failed += findings.requests.failed
        requests.aborted += findings.requests.aborted
        requests.drained += findings.requests.drained
        requests.dropped += findings.requests.dropped
        requests.retries += findings.requests.retries
        requests.answeredInTime += findings.requests.answeredInTime
        for index in statuses.indices { statuses[index] += findings.statuses[index] }
        errors.merge(findings.errors, uniquingKeysWith: +)
        traffic.received += findings.traffic.received
        traffic.sent += findings.traffic.sent
        traffic.receivedInTime += findings.traffic.receivedInTime
        traffic.sentInTime += findings.traffic.sentInTime
        traffic.receivedHTTP += findings.traffic.receivedHTTP
        traffic.sentHTTP += findings.traffic.sentHTTP
        traffic.headers += findings.traffic.headers
        traffic.headersDecoded += findings.traffic.headersDecoded
        traffic.bodiesReceived += findings.traffic.bodiesReceived
        waits.stream += findings.waits.stream
        waits.streamRequests += findings.waits.streamRequests
        waits.connection += findings.waits.connection
        waits.connectionRequests += findings.waits.connectionRequests
        waits.late += findings.waits.late
        waits.maximumLate = max(waits.maximumLate, findings.waits.maximumLate)
        waits.sendBlocked += findings.waits.sendBlocked
        waits.uploadStreamWindow += findings.waits.uploadStreamWindow
        waits.uploadConnectionWindow += findings.waits.uploadConnectionWindow
        waits.downloadStreamWindow += findings.waits.downloadStreamWindow
        waits.downloadConnectionWindow += findings.waits.downloadConnectionWindow
        connections.add(findings.connections)
    }
}

extension BenchResult.Connections {
    fileprivate mutating func add(_ other: BenchResult.Connections) {
        wanted += other.wanted
        neverOpened += other.neverOpened
        opened += other.opened
        failed.merge(other.failed, uniquingKeysWith: +)
        reopened += other.reopened
        lost.merge(other.lost, uniquingKeysWith: +)
        abandoned += other.abandoned
        warmUp.failed.merge(other.warmUp.failed, uniquingKeysWith: +)
        warmUp.lost.merge(other.warmUp.lost, uniquingKeysWith: +)
        warmUp.reopened += other.warmUp.reopened
        warmUp.rotated += other.warmUp.rotated
        rotated += other.rotated
        handshakes += other.handshakes
        resumed += other.resumed
        peakOpen += other.peakOpen
        http2 += other.http2
        http1 += other.http1
        tlsVersion = tlsVersion ?? other.tlsVersion
        cipher = cipher ?? other.cipher
        maxConcurrentStreams = other.maxConcurrentStreams ?? maxConcurrentStreams
        roundTrips = max(roundTrips, other.roundTrips)
    }
}
