internal import H2Client
import H2Platform

/// One event loop's part of a measurement: its connections, its share of the requests, its figures.
///
/// Invariant behind `@unchecked Sendable`: all mutable state belongs to the loop's thread.
final class Worker: @unchecked Sendable {
    /// Transitions: warmUp → measuring → draining → over; any of them may be skipped.
    enum Phase { case warmUp, measuring, draining, over }

    /// The worker's results. Times are the loop's.
    ///
    /// Invariant behind `@unchecked Sendable`: they are handed over once, when the worker is finished with them.
    struct Findings: @unchecked Sendable {
        var end = BenchResult.End.complete
        var beganAt: UInt64 = 0
        var endedAt: UInt64 = 0
        /// Whether it reached the measured part. A worker that gave up in the warm-up has no times of its own.
        var hasMeasured = false
        var requests = BenchResult.Requests()
        var statuses = [Int](repeating: 0, count: 1000)
        var errors: [String: Int] = [:]
        var traffic = BenchResult.Traffic()
        var waits = BenchResult.Waits()
        var connections = BenchResult.Connections()
        let recorder = Recorder()
        let connect = LatencyCounts()
        let handshake = LatencyCounts()
        let lag = LatencyCounts()
        /// Responses in time by slot, and latencies by status and by request.
        var answered: [Int] = []
        var breakdown: Breakdown?
        var busy = 0.0
        /// CPU seconds spent on waiting for arrivals precisely.
        var spun = 0.0
        /// CPU seconds of the process, in user mode and in the kernel, when the measured part began and when it ended.
        var usedAtBegin = (user: 0.0, system: 0.0)
        var usedAtEnd = (user: 0.0, system: 0.0)
        /// The first failure to connect, if nothing ever connected.
        var connectError: H2Error?
    }

    let plan: BenchPlan
    let loop: H2EventLoop
    let requests: [PreparedRequest]
    let tls: TLSContext?
    let offer: ProtocolOffer
    let timeline: Timeline
    let index: Int
    let log: RequestLog?
    /// Whether responses are only counted: neither checked, nor broken down, nor logged.
    let isPlain: Bool
    /// Nil unless asked for.
    let breakdown: Breakdown?
    /// Shared by all workers.
    let downtime: Downtime
    /// Called once, on the loop. Set before `start`.
    var completion: (Findings) -> Void = { _ in }
    /// State shared with the other workers; nil if this is the only one.
    let peers: WorkerGroup?

    @exclusivity(unchecked) var phase = Phase.warmUp
    /// When all workers began, in the loops' time.
    @exclusivity(unchecked) private(set) var beginning: UInt64 = 0
    @exclusivity(unchecked) var findings = Findings()
    /// Latencies of the current interval.
    let recorder = Recorder()
    @exclusivity(unchecked) var slots: [ConnectionSlot] = []
    @exclusivity(unchecked) var asyncSlots: [AsyncConnectionSlot] = []
    /// Requests that may still be sent by all slots together.
    @exclusivity(unchecked) var left: Int
    /// Of these: requests of slots that gave up, which any slot with none left of its own may send.
    @exclusivity(unchecked) var orphaned = 0
    @exclusivity(unchecked) var inFlight = 0
    @exclusivity(unchecked) var nextRequest = 0
    @exclusivity(unchecked) var clockCount = 0
    /// When it had nothing left to do, if it waits for the other workers.
    @exclusivity(unchecked) var doneAt: UInt64?

    // Open loop.
    let isOpenLoop: Bool
    let arrivals: Arrivals?
    /// The worker's part of the arrivals: that of its slots, and those of workers that gave up.
    @exclusivity(unchecked) var schedules: [Schedule] = []
    /// Work left by workers that began to measure before this one, until this one does.
    @exclusivity(unchecked) var inherited = WorkerGroup.Leftover()
    @exclusivity(unchecked) var arrivalTimer: LoopTimer?
    /// The last time that the backlog was seen full: requests due by then waited for it.
    @exclusivity(unchecked) var wasFullAt: UInt64 = 0
    let maySpin: Bool
    @exclusivity(unchecked) var isSpinning = false
    @exclusivity(unchecked) var takesArrivalsSoon = false
    @exclusivity(unchecked) var spunAt: UInt64 = 0
    @exclusivity(unchecked) var spun: UInt64 = 0
    /// Arrivals that no connection could take.
    @exclusivity(unchecked) var backlog = Ring<Arrival>(capacity: 64)
    @exclusivity(unchecked) var slotBacklog = 0
    @exclusivity(unchecked) var ready = Ring<ConnectionSlot>(capacity: 64)

    // Connections.
    @exclusivity(unchecked) var live: [ObjectIdentifier: any BenchConnection] = [:]
    /// Since when each has had requests under way, as seen by the inactivity watch (-N).
    @exclusivity(unchecked) var busySince: [ObjectIdentifier: UInt64] = [:]
    @exclusivity(unchecked) var closedFigures = DirectFigures()
    @exclusivity(unchecked) var figuresAtBegin = DirectFigures()
    @exclusivity(unchecked) var dials = 0
    @exclusivity(unchecked) var dialQueue = Ring<ConnectionSlot>(capacity: 16)
    @exclusivity(unchecked) var isDialling = false
    @exclusivity(unchecked) var isWaking = false
    @exclusivity(unchecked) var slotsAlive = 0
    /// Whether a slot has given up for any reason other than an intended end of its connection.
    @exclusivity(unchecked) var hasFailedSlot = false
    /// The reason for which slots ended their connections on purpose.
    @exclusivity(unchecked) var limitReached: String?
    /// The most requests that wait for a connection; more stay in the schedule until there is room.
    static let maximumBacklog = 1 << 20
    /// The most requests that begin in one turn of the loop, so that everything else goes on.
    static let maximumArrivalsPerTurn = 1 << 14
    /// The most dials at once: more would only overflow the server's accept queue.
    static let maximumDials = 256

    // Time.
    @exclusivity(unchecked) var cpuAtBegin: UInt64 = 0
    @exclusivity(unchecked) var timers: [LoopTimer] = []
    @exclusivity(unchecked) var intervalIndex = 0
    @exclusivity(unchecked) var intervalBeganAt: UInt64 = 0
    @exclusivity(unchecked) var samples = Samples()
    let intervalLength: UInt64
    /// The index of the last interval of a given time.
    let lastInterval: Int
    static let samplePeriod: UInt64 = 10_000_000

    struct Samples {
        var count = 0
        var inFlight = 0
        var peak = 0
        // At the interval's beginning.
        var sent = 0
        var done = 0
        var failed = 0
        var bytes = 0
    }

    /// - Parameters:
    ///   - index: the worker's index among `plan.threads`.
    ///   - log: used by this worker only.
    init(
        _ plan: BenchPlan, index: Int, loop: H2EventLoop, requests: [PreparedRequest], tls: TLSContext?,
        timeline: Timeline, log: RequestLog?, downtime: Downtime, peers: WorkerGroup? = nil
    ) {
        self.peers = peers
        self.plan = plan
        self.index = index
        self.loop = loop
        self.requests = requests
        self.tls = tls
        self.timeline = timeline
        self.log = log
        isPlain = plan.expectation == nil && !plan.breaksDown && log == nil
        self.downtime = downtime
        breakdown = plan.breaksDown ? Breakdown(requests: requests.count) : nil
        offer =
            switch plan.protocols {
            case .tls(let protocols): ProtocolOffer(alpn: protocols)
            case .cleartextHTTP2: .priorKnowledge
            case .cleartextHTTP1: .cleartextHTTP1
            }
        switch plan.extent {
        case .requests(let count):
            // Each slot has its share, so that every connection is used.
            left = (0..<Self.share(of: plan.connections, index, plan.threads)).reduce(0) {
                $0 + Self.share(of: count, $1 * plan.threads + index, plan.connections)
            }
        case .time: left = .max
        }
        switch plan.pace {
        case .closed: (isOpenLoop, arrivals) = (false, nil)
        case .arrivals(let from, let to, let ramp):
            (isOpenLoop, arrivals) = (true, Arrivals(from: from, to: to, ramp: Double(ramp.clampedNanoseconds) / 1e9))
        case .arrivalsPerConnection(let rate):
            let all = rate * Double(plan.connections)
            (isOpenLoop, arrivals) = (true, Arrivals(from: all, to: all, ramp: 0))
        case .stages(let stages):
            let arrivals = Arrivals(
                stages: stages.map { ($0.from, $0.to, Double($0.length.clampedNanoseconds) / 1e9) },
                last: stages.last?.to ?? 0)
            (isOpenLoop, self.arrivals) = (true, arrivals)
        case .script(let times): (isOpenLoop, arrivals) = (true, Arrivals(script: times, slots: plan.connections))
        }
        // If the process may use less than one processor per loop, spinning would take CPU time from the requests.
        maySpin = isOpenLoop && ProcessorSet.count > plan.threads && CPUQuota.current >= Double(plan.threads)
        if case .time(let time) = plan.extent {
            let time = max(time.clampedNanoseconds, 1)
            intervalLength = max(100_000_000, time / 600)
            lastInterval = Int((time - 1) / intervalLength)
        } else {
            (intervalLength, lastInterval) = (100_000_000, .max - 1)
        }
    }

    /// The part of `count` that the worker `index` of `count` workers has.
    static func share(of count: Int, _ index: Int, _ workers: Int) -> Int {
        count / workers + (index < count % workers ? 1 : 0)
    }

    // MARK: - What all slots go by

    /// Consecutive failures after which a slot gives up, and attempts at one request.
    static let attemptsToConnect = 5
    static let attemptsToSend = 10

    /// Whether requests begin, or are retried.
    var isRunning: Bool {
        switch phase {
        case .warmUp, .measuring: true
        case .draining, .over: false
        }
    }

    // MARK: - Start

    /// - Parameter time: the loops' time at which all workers begin. It has passed.
    func start(at time: UInt64) {
        loop.preconditionInLoop()
        loop.readClock()
        beginning = min(time, loop.now)
        // Waits end as precisely as the system allows, not up to 50 us later. The thread ends with the measurement.
        loop.setTimerSlack(nanoseconds: 1)
        let connections = Self.share(of: plan.connections, index, plan.threads)
        slotsAlive = connections
        makeSlots(connections)
        if plan.warmUp > .zero {
            at(beginning &+ plan.warmUp.clampedNanoseconds) {
                $0.beginMeasuring()
                $0.takeArrivals()
                if $0.left == 0 { $0.checkEnd() }
            }
        } else {
            beginMeasuring()
        }
        openConnections()
        if isOpenLoop {
            beginSchedules()
            takeArrivals()
        }
        if let limit = plan.inactivityTimeout { watchActivity(limit.clampedNanoseconds) }
        sample(due: loop.now)
        if left == 0 { checkEnd() }
    }

    private func makeSlots(_ count: Int) {
        for position in 0..<count {
            let number = position * plan.threads + index
            var share = Int.max
            if case .requests(let count) = plan.extent { share = Self.share(of: count, number, plan.connections) }
            switch plan.api {
            case .direct: slots.append(ConnectionSlot(self, streams: plan.streams, number: number, share: share))
            case .async:
                asyncSlots.append(AsyncConnectionSlot(self, streams: plan.streams, number: number, share: share))
            }
        }
    }

    private func openConnections() {
        let starts = slots.map { ($0.number, $0.start) } + asyncSlots.map { ($0.number, $0.start) }
        for (number, start) in starts {
            let delay = plan.connectionRamp.map { $0.period * (number / max($0.count, 1)) } ?? .zero
            if delay == .zero { start() } else { after(delay) { _ in start() } }
        }
    }

    private func after(_ time: Duration, _ body: @escaping (Worker) -> Void) {
        at(loop.now &+ time.clampedNanoseconds, body)
    }

    private func at(_ time: UInt64, _ body: @escaping (Worker) -> Void) {
        timers.append(loop.schedule(after: time - min(loop.now, time)) { [unowned self] in body(self) })
    }

    /// - Parameter isOver: whether the measurement ends before it has begun, with nothing measured.
    private func beginMeasuring(isOver: Bool = false) {
        guard case .warmUp = phase else { return }
        loop.readClock()
        phase = .measuring
        findings.beganAt = isOver ? loop.now : beginning &+ plan.warmUp.clampedNanoseconds
        findings.hasMeasured = !isOver
        if !isOver { downtime.measure(from: loop.now) }
        noteWarmUp()
        for slot in slots { slot.answered = 0 }
        for slot in asyncSlots { slot.answered = 0 }
        intervalBeganAt = findings.beganAt
        cpuAtBegin = ProcessClocks.threadNanoseconds
        findings.usedAtBegin = Self.usedCPU
        figuresAtBegin = currentFigures()
        // The first interval, and the cost of waiting for arrivals, exclude the warm-up.
        samples = Samples(peak: inFlight, bytes: figuresAtBegin.received)
        spun = 0
        // The warm-up has its own schedule, and leaves nothing behind.
        if isOpenLoop, plan.warmUp > .zero {
            restartSchedules()
            backlog = Ring(capacity: 64)
            for slot in slots { slot.dropBacklog() }
            slotBacklog = 0
            // The timer waits for the warm-up's next request.
            if let arrivalTimer { loop.cancel(arrivalTimer) }
            arrivalTimer = nil
            wasFullAt = 0
        }
        take(inherited)
        inherited = WorkerGroup.Leftover()
        if case .time(let time) = plan.extent {
            at(findings.beganAt &+ time.clampedNanoseconds) { $0.deadline(.complete, drain: $0.plan.drain) }
        }
    }

    private func noteWarmUp() {
        let connections = findings.connections
        findings.connections.warmUp.failed = connections.failed
        findings.connections.warmUp.lost = connections.lost
        findings.connections.warmUp.reopened = connections.reopened
        findings.connections.warmUp.rotated = connections.rotated
    }

    // MARK: - Sending

    /// Whether any other request may begin now.
    var maySend: Bool {
        switch phase {
        case .measuring: left > 0
        case .warmUp: true
        case .draining, .over: false
        }
    }

    /// The loop's time, read again every few calls, so that it is precise to a few requests.
    @inline(__always)
    func tick() -> UInt64 {
        clockCount &+= 1
        if clockCount & 7 == 0 { loop.readClock() }
        return loop.now
    }

    /// A request begins on a stream. Returns whether it is one of those asked for that has not been counted yet.
    /// - Parameter gap: the last time without a connection in this slot.
    @inline(__always)
    func began(_ notes: UnsafeMutablePointer<DirectStream.Notes>, now: UInt64, gap: Gap) -> Bool {
        inFlight += 1
        if inFlight > samples.peak { samples.peak = inFlight }
        guard notes.pointee.attempts == 0 else { return false }
        notes.pointee.beganAt = now
        if requests.count > 1 { chooseRequest(notes) } else { notes.pointee.turn = 0 }
        guard case .measuring = phase else {
            notes.pointee.isMeasured = false
            return false
        }
        notes.pointee.isMeasured = true
        left -= 1
        findings.requests.sent += 1
        if notes.pointee.intendedAt < now { noteWaits(notes, gap, sign: 1) }
        return true
    }

    /// Chooses the next of several requests; a script has chosen it already.
    private func chooseRequest(_ notes: UnsafeMutablePointer<DirectStream.Notes>) {
        if case .script = plan.pace { return }
        notes.pointee.turn = nextRequest
        nextRequest += 1
        if nextRequest == requests.count { nextRequest = 0 }
    }

    /// The last time that a slot had no connection.
    struct Gap {
        var from: UInt64
        var to: UInt64
    }

    /// Divides the time from when a request was due until it began by what it waited for: a connection, a stream of one, and
    /// the client itself, which is the rest. The client's part is the delay until the loop noticed that the request was due,
    /// and the time from when it could have begun.
    /// - Parameter sign: -1 to undo it.
    @inline(never)
    private func noteWaits(_ notes: UnsafeMutablePointer<DirectStream.Notes>, _ gap: Gap, sign: Int) {
        let (intended, began) = (notes.pointee.intendedAt, notes.pointee.beganAt)
        let able = min(max(notes.pointee.ableAt, intended), began)
        let taken = isOpenLoop ? min(max(notes.pointee.takenAt, intended), able) : intended
        let (gapBegin, gapEnd) = (max(gap.from, taken), min(gap.to, able))
        let connection = gapEnd > gapBegin ? gapEnd - gapBegin : 0
        let stream = able - taken - connection
        let late = began - intended - connection - stream
        if connection > 0 {
            findings.waits.connection += Double(connection) * Double(sign)
            findings.waits.connectionRequests += sign
        }
        if stream > 0 {
            findings.waits.stream += Double(stream) * Double(sign)
            findings.waits.streamRequests += sign
        }
        findings.waits.late += Double(late) * Double(sign)
        if late > findings.waits.maximumLate, sign > 0 { findings.waits.maximumLate = late }
    }

    /// Undoes `began`, for a request that was never sent after all. Returns what that returned.
    func didNotBegin(_ notes: UnsafeMutablePointer<DirectStream.Notes>, gap: Gap) -> Bool {
        inFlight -= 1
        guard notes.pointee.attempts == 0, notes.pointee.isMeasured else { return false }
        left += 1
        findings.requests.sent -= 1
        // It goes on waiting, and is counted when it begins.
        if notes.pointee.intendedAt < notes.pointee.beganAt { noteWaits(notes, gap, sign: -1) }
        return true
    }

    // MARK: - Answers

    /// A request's attempt is over.
    @inline(__always)
    func ended() { inFlight -= 1 }

    /// A request's response is complete.
    @inline(__always)
    func done(
        _ notes: UnsafeMutablePointer<DirectStream.Notes>, now: UInt64, headAt: UInt64, endAt: UInt64, status: Int,
        bodyBytes: Int, on stream: StreamID
    ) {
        if case .measuring = phase { findings.requests.answeredInTime += 1 }
        guard notes.pointee.isMeasured else { return }
        findings.requests.done += 1
        if case .draining = phase { findings.requests.drained += 1 }
        findings.statuses[status] += 1
        findings.traffic.bodiesReceived += bodyBytes
        let (intended, began) = (notes.pointee.intendedAt, notes.pointee.beganAt)
        if intended == began && headAt == endAt {
            recorder.record(now - began)
        } else {
            recorder.record(
                latency: now - began, corrected: now - min(intended, now),
                firstByte: firstByte(began: began, headAt: headAt, endAt: endAt, now))
        }
        if !isPlain {
            breakdown?.record(now - began, status: status, request: notes.pointee.turn)
            if log != nil {
                let firstByte = firstByte(began: began, headAt: headAt, endAt: endAt, now)
                note(notes, now, firstByte: firstByte, status, bodyBytes, stream, .done)
            }
        }
        if left == 0 { checkEnd() }
    }

    /// A complete response's time to first byte: the whole latency if head and end arrived in one read.
    private func firstByte(began: UInt64, headAt: UInt64, endAt: UInt64, _ now: UInt64) -> UInt64 {
        if headAt == endAt { return now - began }
        return headAt > began ? min(headAt, now) - began : 0
    }

    /// The reason why a complete response does not meet the plan's expectation, and so has failed; nil if it does.
    func unexpected(status: Int, bodyBytes: Int, digest: BodyDigest?) -> String? {
        plan.expectation?.failure(status: status, bodyBytes: bodyBytes, digest: digest)
    }

    /// A request's response is complete, but does not meet the plan's expectation.
    func failed(
        _ notes: UnsafeMutablePointer<DirectStream.Notes>, unexpected why: String, headAt: UInt64, status: Int,
        bodyBytes: Int, on stream: StreamID
    ) {
        if notes.pointee.isMeasured { findings.statuses[status] += 1 }
        failed(notes, kind: why, headAt: headAt, status: status, bodyBytes: bodyBytes, on: stream)
    }

    /// A stream: the connection's number, and the stream's on it.
    struct StreamID {
        var connection: Int
        var stream: Int
    }

    /// - Parameter cutOff: why we ended its connection during the request; nil if we did not.
    func failed(
        _ notes: UnsafeMutablePointer<DirectStream.Notes>, _ error: H2Error, headAt: UInt64 = 0, status: Int = 0,
        bodyBytes: Int = 0, cutOff: CutOff? = nil, on stream: StreamID
    ) {
        failed(
            notes, kind: cutOff == .silent ? FailureName.silence : error.kind, headAt: headAt, status: status,
            bodyBytes: bodyBytes, isCutOff: cutOff == .expired, on: stream)
    }

    private func failed(
        _ notes: UnsafeMutablePointer<DirectStream.Notes>, kind cause: String, headAt: UInt64, status: Int,
        bodyBytes: Int, isCutOff: Bool = false, on stream: StreamID
    ) {
        guard notes.pointee.isMeasured else { return }
        var isOver = false
        if case .over = phase { isOver = true }
        let kind = isOver || isCutOff ? "aborted" : cause
        if log != nil {
            let (now, began) = (loop.now, notes.pointee.beganAt)
            let firstByte = headAt == 0 ? nil : headAt > began ? min(headAt, now) - began : 0
            note(notes, now, firstByte: firstByte, status, bodyBytes, stream, .failed(kind))
        }
        // These already count as aborted.
        if isOver { return }
        if isCutOff {
            findings.requests.aborted += 1
        } else {
            findings.requests.failed += 1
            findings.errors[kind, default: 0] += 1
        }
        if left == 0 { checkEnd() }
    }

    private func note(
        _ notes: UnsafeMutablePointer<DirectStream.Notes>, _ now: UInt64, firstByte: UInt64?, _ status: Int,
        _ bodyBytes: Int, _ stream: StreamID, _ result: RequestLog.Result
    ) {
        let (intended, began) = (notes.pointee.intendedAt, notes.pointee.beganAt)
        log?.append(
            start: Int64(began) - Int64(findings.beganAt), intendedStart: Int64(intended) - Int64(findings.beganAt),
            latency: now - min(began, now), corrected: now - min(intended, now),
            firstByte: firstByte, status: status, bytes: bodyBytes, connection: stream.connection,
            stream: stream.stream,
            result: result,
            attempts: notes.pointee.attempts + 1)
    }

    func retried(_ notes: UnsafeMutablePointer<DirectStream.Notes>) {
        if notes.pointee.isMeasured { findings.requests.retries += 1 }
    }

    var open: Int {
        findings.requests.sent - findings.requests.done - findings.requests.failed - findings.requests.aborted
    }

    /// Ends the worker when it has nothing left to do.
    func checkEnd() {
        guard open == 0 else { return }
        switch phase {
        case .measuring where left == 0:
            guard let peers else { return finish(.complete) }
            // Others may still give up, and leave it something to do.
            guard doneAt == nil else { return }
            doneAt = loop.now
            peers.isDone(self)
        case .draining: finish(findings.end)
        case .measuring, .warmUp, .over: break
        }
    }

    // MARK: - What others leave

    /// Another worker has given up, and this one sends some of its requests.
    func takeOver() {
        guard let peers, isRunning else { return }
        let leftover = peers.takeInbox(of: self)
        doneAt = nil
        if case .requests = plan.extent {
            left += leftover.requests
            if !isOpenLoop { orphaned += leftover.requests }
        }
        if isOpenLoop {
            take(leftover)
            sendBacklog()
            if let arrivalTimer { loop.cancel(arrivalTimer) }
            takeArrivals()
        } else {
            wakeSlots()
        }
        if left == 0 { checkEnd() }
    }

    func wakeSlots() {
        for slot in slots { slot.wake() }
        for slot in asyncSlots { slot.wake() }
    }

    // MARK: - The end

    /// No worker has anything left to do.
    func allAreDone() {
        // A worker that gave up meanwhile may have left something.
        if doneAt != nil { finish(.complete) }
    }

    /// The user stops the measurement.
    func interrupt() {
        finish(.interrupted)
    }

    private func deadline(_ end: BenchResult.End, drain: Duration) {
        guard case .measuring = phase else { return }
        loop.readClock()
        noteEnd()
        // Only requests under way now are waited for.
        left = 0
        phase = .draining
        findings.end = end
        guard open > 0, drain > .zero else { return finish(end) }
        after(drain) { $0.finish(end) }
    }

    private func noteEnd() {
        guard findings.endedAt == 0 else { return }
        // From here on nobody leaves it anything. Work that it has not taken over was planned but is not sent.
        if let peers {
            let leftover = peers.leave(self)
            if isOpenLoop { take(leftover) }
        }
        // A worker that had nothing left to do has only waited for the others.
        let now = doneAt ?? loop.now
        findings.endedAt = now
        findings.usedAtEnd = Self.usedCPU
        let used = ProcessClocks.threadNanoseconds - cpuAtBegin
        if findings.hasMeasured {
            findings.busy = min(Double(used > spun ? used - spun : 0) / Double(max(loop.now - findings.beganAt, 1)), 1)
        }
        findings.spun = Double(spun) / 1e9
        findings.answered = slots.map(\.answered) + asyncSlots.map(\.answered)
        var figures = currentFigures()
        figures.subtract(figuresAtBegin)
        (findings.traffic.receivedInTime, findings.traffic.sentInTime) = (figures.received, figures.sent)
        if now > intervalBeganAt, findings.hasMeasured { endInterval(now) }
        // Requests that were planned but never sent.
        switch plan.extent {
        case .requests: findings.requests.dropped = left
        case .time(let time):
            // A request due exactly at the end is not part of the run.
            let last = findings.beganAt &+ max(time.clampedNanoseconds, 1) &- 1
            for slot in slots { slot.returnRefused() }
            findings.requests.dropped += backlog.count + slotBacklog + notTaken(at: now >= last ? nil : now)
        }
    }

    func finish(_ end: BenchResult.End) {
        if case .over = phase { return }
        beginMeasuring(isOver: true)
        loop.readClock()
        noteEnd()
        findings.end = end
        // Drained responses belong to an interval too, the one after the end.
        if !recorder.isEmpty { endInterval(loop.now) }
        timeline.end(loop: index)
        phase = .over
        findings.breakdown = breakdown
        findings.requests.aborted += open
        // In a timed run each slot has something to send, even if it was not to connect yet (-r).
        let allWant = if case .time = plan.extent { end == .complete } else { false }
        func wants(_ hasWanted: Bool) -> Bool { allWant || hasWanted }
        findings.connections.wanted = slots.count { wants($0.hasWanted) } + asyncSlots.count { wants($0.hasWanted) }
        findings.connections.neverOpened =
            slots.count { wants($0.hasWanted) && !$0.hasConnected }
            + asyncSlots.count { wants($0.hasWanted) && !$0.hasConnected }
        var figures = currentFigures()
        figures.subtract(figuresAtBegin)
        findings.take(figures)
        for timer in timers { loop.cancel(timer) }
        timers = []
        if let arrivalTimer { loop.cancel(arrivalTimer) }
        arrivalTimer = nil
        for slot in slots { slot.end() }
        for slot in asyncSlots { slot.end() }
        for connection in live.values { connection.closeNow(because: "the measurement is over") }
        // Not in the middle of a connection's work, and not before the last task has ended: the loop ends with this.
        Task(executorPreference: loop.taskExecutor) { [self] in
            for slot in asyncSlots { await slot.finish() }
            slots = []
            asyncSlots = []
            completion(findings)
        }
    }
}

extension Worker.Findings {
    fileprivate mutating func take(_ figures: DirectFigures) {
        (traffic.received, traffic.sent) = (figures.received, figures.sent)
        (traffic.receivedHTTP, traffic.sentHTTP) = (figures.receivedHTTP, figures.sentHTTP)
        (traffic.headers, traffic.headersDecoded) = (figures.headers, figures.headersDecoded)
        waits.sendBlocked = Double(figures.sendBlocked)
        waits.uploadStreamWindow = Double(figures.stalls.uploadStream)
        waits.uploadConnectionWindow = Double(figures.stalls.uploadConnection)
        waits.downloadStreamWindow = Double(figures.stalls.downloadStream)
        waits.downloadConnectionWindow = Double(figures.stalls.downloadConnection)
    }
}
