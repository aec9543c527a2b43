/// The worker's side of Locust's protocol, as a state machine without input, output or a clock.
///
/// Messages are MessagePack arrays of a type, data and the worker's identity. Tested with Locust 2.42 and 2.47.
package struct LocustWorker: Sendable {
    /// The users of one of the locustfile's classes.
    package struct UserClass: Sendable, Equatable {
        package var name: String
        package var count: Int

        package init(name: String, count: Int) { (self.name, self.count) = (name, count) }
    }

    package enum Action: Sendable, Equatable {
        case send([UInt8])
        /// Sends it at once or not at all: a later connection may be to another master.
        case sendNow([UInt8])
        /// Changes the number of users.
        case setUsers(Int)
        /// Cuts off the requests that are still under way. There are no users.
        case abandon
        /// Drops what was counted: a new test begins.
        case dropFigures
        /// Connects anew, under the same identity.
        case reconnect
        /// Tells the user.
        case say(String)
        /// The master has asked the worker to quit, or the user has, or no master came.
        case end(Ending)
    }

    package enum Ending: Sendable, Equatable {
        case quit
        case interrupted
        case noMaster
    }

    /// What a worker tells of itself once a second, and what it has counted.
    package struct Status: Sendable {
        /// Figures since the last ones that were asked for (`needsFigures`).
        package var figures: LiveFigures?
        /// Percent of one processor for each event loop.
        package var processor = 0.0
        package var residentBytes = 0
        /// Seconds since 1970.
        package var wallTime = 0.0

        package init() {}
    }

    private enum Phase: Equatable {
        /// No master has answered yet, since then.
        case connecting(since: Double)
        case ready
        case running
        /// Users finish their requests, at most until then. Later the requests are cut off, and their ends awaited.
        case stopping(until: Double, then: Next, isCut: Bool = false)
        /// The master was heard last then; it is asked again.
        case lost(since: Double)
        case over
    }

    private enum Next: Int, Comparable {
        /// Another test may follow.
        case ready
        /// The master quits.
        case quit
        /// The user has interrupted the worker.
        case leave

        static func < (one: Next, other: Next) -> Bool { one.rawValue < other.rawValue }
    }

    // Seconds, those of Locust's own workers where they have such a limit.
    private static let heartbeatPeriod = 1.0
    private static let reportPeriod = 3.0
    private static let retryPeriod = 5.0
    private static let connectLimit = 300.0
    /// A restarted master does not know its workers, and does not answer them. Python's workers wait for a minute and quit.
    private static let silence = 10.0
    private static let longSilence = 60.0
    /// A master that is only slow would give the worker another share of the users each time that it is asked.
    private static let lostRetryPeriod = 30.0
    /// A master that quits waits half a second for the last reports.
    private static let quitTime = 0.3
    private static let cutTime = 0.12
    /// How often the master can have the worker connect anew.
    private static let reconnectPeriod = 5.0
    /// The most classes of users, and the longest name of one in bytes.
    private static let maximumClasses = 1_000
    private static let maximumName = 1_000
    /// The most users of a worker.
    private static let maximumUsers = 10_000_000

    private let identity: String
    private let master: String
    private let names: LiveNames
    private let drain: Double
    private var phase = Phase.over
    private var classes: [UserClass] = []
    /// The master's time of the last job, since jobs may overtake each other.
    private var lastJob = -Double.infinity
    private var stopTimeout = 0.0
    private var nextHeartbeat = 0.0
    private var nextReport = 0.0
    private var nextRetry = 0.0
    private var heardAt = 0.0
    private var reportedAt: Double?
    private var hasToldOfWaiting = false
    private var hasToldOfBadMessage = false
    private var hasToldOfBadJob = false
    private var nextReconnect = 0.0
    /// A job that came while users finish for the test before it.
    private var pendingJob: MessagePack?
    /// Whether the users were stopped because no master was there to stop them.
    private var hasStoppedAlone = false

    /// - Parameters:
    ///   - identity: unique among the workers of a master.
    ///   - master: its host and port, for messages.
    ///   - drain: how many seconds requests under way may take when a test ends, unless Locust's stop time-out is longer.
    package init(identity: String, master: String, names: LiveNames, drain: Double) {
        (self.identity, self.master, self.names, self.drain) = (identity, master, names, drain)
    }

    // MARK: - Events

    /// Introduces the worker.
    /// - Parameter now: seconds on a clock of the caller's that never goes back, as in all functions.
    package mutating func begin(at now: Double) -> [Action] {
        phase = .connecting(since: now)
        nextRetry = now + Self.retryPeriod
        return [ready]
    }

    /// Whether the next `tick` needs figures.
    package func needsFigures(at now: Double) -> Bool {
        switch phase {
        case .stopping: true
        case .ready, .running: now >= nextReport
        case .connecting, .lost, .over: false
        }
    }

    /// Time has passed: a twentieth of a second, or a little more.
    package mutating func tick(_ status: Status, at now: Double) -> [Action] {
        switch phase {
        case .over: return []
        case .connecting(let since): return retry(since: since, at: now)
        case .lost(let since):
            var actions = [Action]()
            if now - since > Self.longSilence, !hasStoppedAlone, !classes.isEmpty {
                hasStoppedAlone = true
                actions = [
                    .setUsers(0),
                    .say("the users stop, since the Locust master at \(master) has been silent for a minute"),
                ]
            }
            if now >= nextRetry {
                nextRetry = now + Self.lostRetryPeriod
                // libzmq gives a connection up for good if the other side spoke something else.
                actions += [.reconnect, ready]
            }
            return actions + heartbeat(status, at: now)
        case .ready, .running:
            if now - heardAt > Self.silence {
                phase = .lost(since: heardAt)
                hasStoppedAlone = false
                nextRetry = now + Self.lostRetryPeriod
                return [.say("the Locust master at \(master) is silent; waiting for it"), ready]
            }
            var actions = heartbeat(status, at: now)
            if now >= nextReport, let figures = status.figures {
                nextReport = now + Self.reportPeriod
                actions.append(report(figures, status.wallTime))
            }
            return actions
        case .stopping(let end, let next, let isCut):
            var actions = heartbeat(status, at: now)
            guard let figures = status.figures else { return actions }
            let isIdle = figures.users == 0 && figures.inFlight == 0
            guard isIdle || now >= end && isCut else {
                if now >= end {
                    phase = .stopping(until: now + Self.cutTime, then: next, isCut: true)
                    actions.append(.abandon)
                }
                if !figures.parts.isEmpty { actions.append(report(figures, status.wallTime)) }
                return actions
            }
            classes = classes.map { UserClass(name: $0.name, count: 0) }
            actions.append(report(figures, status.wallTime))
            return actions + stopped(next, at: now)
        }
    }

    package mutating func received(_ bytes: [UInt8], at now: Double) -> [Action] {
        guard case .array(let parts) = MessagePack(bytes), parts.count == 3, let type = parts[0].text else {
            guard !hasToldOfBadMessage else { return [] }
            hasToldOfBadMessage = true
            return [.say("the Locust master at \(master) sent something else than Locust's messages; it is ignored")]
        }
        if phase == .over { return [] }
        heardAt = now
        switch type {
        case "ack": return acknowledged(parts[1], at: now)
        case "spawn": return spawn(parts[1], at: now)
        case "stop":
            pendingJob = nil
            return stop(then: .ready, within: max(stopTimeout, drain), at: now)
        case "quit": return stop(then: .quit, within: Self.quitTime, at: now)
        case "reconnect":
            guard now >= nextReconnect else { return [] }
            nextReconnect = now + Self.reconnectPeriod
            return [.reconnect]
        case "heartbeat":
            // It was only slow.
            if case .lost = phase, !hasStoppedAlone { phase = classes.isEmpty ? .ready : .running }
            return []
        // What concerns Python's workers, and messages of the locustfile's own.
        default: return []
        }
    }

    /// The user wants the worker to end.
    package mutating func interrupt(at now: Double) -> [Action] {
        switch phase {
        case .connecting, .lost:
            phase = .over
            return [.setUsers(0), send("quit"), .end(.interrupted)]
        case .over: return []
        case .ready, .running, .stopping: return stop(then: .leave, within: drain, at: now)
        }
    }

    /// The load itself has ended, for this reason.
    package mutating func failed(_ why: String) -> [Action] {
        guard phase != .over else { return [] }
        phase = .over
        return [send("exception", ["msg": .string(why), "traceback": ""]), send("quit"), .end(.quit)]
    }

    // MARK: - The master's messages

    private mutating func acknowledged(_ data: MessagePack, at now: Double) -> [Action] {
        switch phase {
        case .connecting, .lost: break
        // A second answer to a question that was repeated.
        case .ready, .running, .stopping, .over: return []
        }
        let hadUsers = !classes.isEmpty
        phase = .ready
        classes = []
        // Another master's clock may differ.
        lastJob = -.infinity
        (nextHeartbeat, nextReport) = (now, now + Self.reportPeriod)
        reportedAt = nil
        let number = data["index"]?.number.map { " as worker \($0)" } ?? ""
        var actions: [Action] = [.say("connected to the Locust master at \(master)\(number)")]
        // It has forgotten the test, or starts the users anew.
        if hadUsers { actions.append(.setUsers(0)) }
        return actions
    }

    private mutating func spawn(_ job: MessagePack, at now: Double) -> [Action] {
        if case .stopping(_, let next, _) = phase {
            if next == .ready { pendingJob = job }
            return []
        }
        let spawning = sendNow("spawning")
        guard let time = job["timestamp"]?.real, time.isFinite, case .map(let counts)? = job["user_classes_count"]
        else {
            return badJob("a job without users")
        }
        guard time > lastJob else { return [spawning] }
        // A class that is not named keeps its users.
        var classes = self.classes
        var known: [String: Int] = [:]
        for (index, own) in classes.enumerated() { known[own.name] = index }
        for entry in counts {
            guard let name = entry.key.text, name.utf8.count <= Self.maximumName else {
                return badJob("a class of users with a name that is too long or not UTF-8")
            }
            guard let count = entry.value.number, (0...Self.maximumUsers).contains(count) else {
                return badJob("a number of users that is not one from 0 to \(Self.maximumUsers)")
            }
            if let index = known[name] {
                classes[index].count = count
            } else {
                guard classes.count < Self.maximumClasses else {
                    return badJob("more than \(Self.maximumClasses) classes of users")
                }
                known[name] = classes.count
                classes.append(UserClass(name: name, count: count))
            }
        }
        let total = classes.reduce(0) { $0 + $1.count }
        guard total <= Self.maximumUsers else {
            return badJob("a job of \(total) users, and \(Self.maximumUsers) is the most for one worker")
        }
        lastJob = time
        let timeout = job["stop_timeout"]?.real ?? 0
        stopTimeout = timeout.isFinite ? min(max(timeout, 0), 86_400) : 0
        self.classes = classes
        var actions = [spawning]
        if phase != .running {
            actions.append(.dropFigures)
            reportedAt = nil
        }
        phase = .running
        actions.append(.setUsers(total))
        actions.append(
            sendNow("spawning_complete", ["user_classes_count": Self.data(classes), "user_count": .int(total)]))
        return actions
    }

    /// Tells once: a master may send many.
    private mutating func badJob(_ what: String) -> [Action] {
        guard !hasToldOfBadJob else { return [] }
        hasToldOfBadJob = true
        return [.say("the Locust master at \(master) sent \(what); such jobs are ignored")]
    }

    /// A second reason to stop shortens the time at most, and does not take the place of a stronger one.
    private mutating func stop(then next: Next, within time: Double, at now: Double) -> [Action] {
        guard case .stopping(let end, let before, let isCut) = phase else {
            phase = .stopping(until: now + time, then: next)
            return [.setUsers(0)]
        }
        phase = .stopping(until: min(end, now + time), then: max(before, next), isCut: isCut)
        return []
    }

    private mutating func stopped(_ next: Next, at now: Double) -> [Action] {
        switch next {
        case .ready:
            phase = .ready
            classes = []
            nextReport = now + Self.reportPeriod
            lastJob = -.infinity
            let job = pendingJob.take()
            return [send("client_stopped"), ready] + (job.map { spawn($0, at: now) } ?? [])
        case .quit:
            phase = .over
            return [send("quit"), .end(.quit)]
        case .leave:
            phase = .over
            return [send("quit"), .end(.interrupted)]
        }
    }

    // MARK: - The worker's messages

    private mutating func retry(since: Double, at now: Double) -> [Action] {
        guard now >= nextRetry else { return [] }
        nextRetry = now + Self.retryPeriod
        guard now - since < Self.connectLimit else {
            phase = .over
            return [.end(.noMaster)]
        }
        guard !hasToldOfWaiting else { return [.reconnect, ready] }
        hasToldOfWaiting = true
        return [.say("no Locust master answers at \(master) yet; trying again for five minutes"), ready]
    }

    private mutating func heartbeat(_ status: Status, at now: Double) -> [Action] {
        guard now >= nextHeartbeat else { return [] }
        nextHeartbeat = now + Self.heartbeatPeriod
        return [
            sendNow(
                "heartbeat",
                [
                    "state": .string(state), "current_cpu_usage": .double(status.processor),
                    "current_memory_usage": .int(status.residentBytes),
                ])
        ]
    }

    private var state: String {
        switch phase {
        case .connecting, .ready, .over: "ready"
        case .running, .stopping: "running"
        case .lost: classes.isEmpty ? "ready" : "running"
        }
    }

    private mutating func report(_ figures: LiveFigures, _ wallTime: Double) -> Action {
        defer { reportedAt = wallTime }
        return send("stats", LocustReport(figures, names).data(since: reportedAt ?? wallTime, classes: classes))
    }

    /// -1 stands for a worker that is not Locust's own, which has no version to compare.
    private var ready: Action { send("client_ready", -1) }

    private func send(_ type: String, _ data: MessagePack = .null) -> Action { .send(message(type, data)) }
    private func sendNow(_ type: String, _ data: MessagePack = .null) -> Action { .sendNow(message(type, data)) }

    private func message(_ type: String, _ data: MessagePack) -> [UInt8] {
        MessagePack.array([.string(type), data, .string(identity)]).encoded
    }

    static func data(_ classes: [UserClass]) -> MessagePack {
        .map(classes.map { MessagePack.Entry(.string($0.name), .int($0.count)) })
    }
}
