internal import H2Client
import H2Platform

/// One event loop's part of a measurement: its connections, its share of the requests, its figures.
///
/// Invariant behind `@unchecked Sendable` and `@exclusivity(unchecked)`: all mutable state belongs to the loop's thread, and
/// nothing is passed inout to code that could come back to it.
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
    /// Steers the workers; nil if nobody does.
    let control: BenchControl?
    /// Nil unless the plan collects figures.
    let liveCounts: LiveCounts?
    /// The worker's part of the plan's users, and the number of users of a scenario that it has had.
    @exclusivity(unchecked) var users = 0
    @exclusivity(unchecked) var usersMade = 0
    /// Users that leave once their request is over, which may wait for a retry.
    @exclusivity(unchecked) var leaving = 0
    /// When the connections' bytes were last added up for `liveCounts`.
    @exclusivity(unchecked) var wireNotedAt: UInt64 = 0
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
    /// Those of the plan's API.
    var allSlots: [any BenchSlot] { slots as [any BenchSlot] + asyncSlots }
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
        timeline: Timeline, log: RequestLog?, downtime: Downtime, peers: WorkerGroup? = nil,
        control: BenchControl? = nil
    ) {
        self.peers = peers
        self.control = control
        liveCounts = plan.collectsFigures ? LiveCounts(LiveNames(plan), keepsSeconds: plan.countsSeconds) : nil
        self.plan = plan
        self.index = index
        self.loop = loop
        self.requests = requests
        self.tls = tls
        self.timeline = timeline
        self.log = log
        isPlain = plan.expectation == nil && !plan.breaksDown && log == nil && !plan.collectsFigures
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
        case .time, .untilStopped: left = .max
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
        let connections = plan.users == nil ? Self.share(of: plan.connections, index, plan.threads) : 0
        slotsAlive = connections
        makeSlots(connections)
        if plan.warmUp > .zero {
            at(beginning &+ plan.warmUp.clampedNanoseconds) {
                $0.beginMeasuring()
                $0.takeArrivals()
                if $0.left == 0 { $0.checkEnd() }
            }
        } else if plan.users == nil {
            beginMeasuring()
        }
        openConnections()
        joinControl()
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
            addSlot(number: number, streams: plan.streams, share: share)
        }
    }

    func addSlot(number: Int, streams: Int, share: Int) {
        switch plan.api {
        case .direct: slots.append(ConnectionSlot(self, streams: streams, number: number, share: share))
        case .async: asyncSlots.append(AsyncConnectionSlot(self, streams: streams, number: number, share: share))
        }
    }

    private func openConnections() {
        for slot in allSlots {
            let delay = plan.connectionRamp.map { $0.period * (slot.number / max($0.count, 1)) } ?? .zero
            if delay == .zero { slot.start() } else { after(delay) { _ in slot.start() } }
        }
    }

    func after(_ time: Duration, _ body: @escaping (Worker) -> Void) {
        at(loop.now &+ time.clampedNanoseconds, body)
    }

    private func at(_ time: UInt64, _ body: @escaping (Worker) -> Void) {
        timers.append(loop.schedule(after: time - min(loop.now, time)) { [unowned self] in body(self) })
    }

    /// - Parameter isOver: whether the measurement ends before it has begun, with nothing measured.
    func beginMeasuring(isOver: Bool = false) {
        guard case .warmUp = phase else { return }
        loop.readClock()
        phase = .measuring
        findings.beganAt = isOver || plan.users != nil ? loop.now : beginning &+ plan.warmUp.clampedNanoseconds
        findings.hasMeasured = !isOver
        if !isOver { downtime.measure(from: loop.now) }
        noteWarmUp()
        for slot in allSlots { slot.answered = 0 }
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
}
