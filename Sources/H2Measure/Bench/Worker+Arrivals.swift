internal import H2Client
import H2Platform

// The open loop: requests that begin on schedule, whether or not earlier ones are answered.

extension Worker {
    /// A request that has arrived.
    struct Arrival {
        /// When it was due.
        var time: UInt64
        /// When the loop noticed it. Until then it waited for the client, from then on for a connection or a stream.
        var takenAt: UInt64
        /// The index of the plan's request that a script sends then.
        var request: Int
    }

    /// How long before an arrival the loop stops sleeping, in nanoseconds: the time that a thread takes to wake up.
    static let spinTime: UInt64 = 50_000
    /// If two readings of the clock are further apart, there was work between them.
    private static let spinStep: UInt64 = 5_000

    /// Begins the worker's own part of the schedule.
    func beginSchedules() {
        schedules = [
            schedule(Arrivals.Part(first: index, stride: plan.threads, of: plan.connections), from: beginning)
        ].compactMap { $0 }
    }

    /// Restarts each part that the worker has, including those of workers that gave up in the warm-up, with the measured part.
    func restartSchedules() {
        schedules = schedules.compactMap { schedule($0.part, from: findings.beganAt) }
    }

    /// Takes the schedules that another worker left.
    func take(_ leftover: WorkerGroup.Leftover) {
        if case .measuring = phase {
            // Parts left in the warm-up arrive from the beginning of the measured part on.
            schedules += leftover.schedules
            schedules += leftover.parts.compactMap { schedule($0, from: findings.beganAt) }
            for arrival in leftover.arrivals { backlog.append(arrival) }
        } else {
            schedules += leftover.parts.compactMap { schedule($0, from: beginning) }
            // A worker that began to measure before this one leaves nothing for the warm-up.
            inherited.add(WorkerGroup.Leftover(arrivals: leftover.arrivals, schedules: leftover.schedules))
        }
    }

    private func schedule(_ part: Arrivals.Part, from beganAt: UInt64) -> Schedule? {
        guard let arrivals else { return nil }
        // The number is then the rate times the duration: a request due exactly at the end is left out.
        var length = UInt64.max
        if case .measuring = phase, case .time(let time) = plan.extent { length = time.clampedNanoseconds }
        // Each part has random numbers of its own, and so has the warm-up.
        var mixed = SplitMix64(seed: plan.arrivalSeed)
        let seed = mixed.next() ^ (UInt64(part.first) << 1 | (phase == .warmUp ? 1 : 0))
        return Schedule(
            part, of: arrivals, beganAt: beganAt, length: length, seed: plan.arrivesAtRandom ? seed : nil)
    }

    func takeArrivals() {
        guard let arrivals else { return }
        if let arrivalTimer { loop.cancel(arrivalTimer) }
        arrivalTimer = nil
        loop.readClock()
        let now = loop.now
        var taken = 0
        while maySend, mayPlan, let (schedule, time) = nextArrival() {
            guard time <= now else { return awaitArrival(time) }
            let isFull = backlog.count + slotBacklog >= Self.maximumBacklog
            if isFull { wasFullAt = now }
            guard !isFull, taken < Self.maximumArrivalsPerTurn else {
                // Nothing is lost: the schedule knows when each was due.
                if isFull {
                    arrivalTimer = loop.schedule(after: 1_000_000) { [unowned self] in takeArrivals() }
                } else {
                    takeArrivalsSoon()
                }
                return
            }
            taken += 1
            let (number, request) = (schedules[schedule].taken, schedules[schedule].round)
            schedules[schedule].take(arrivals)
            // Requests that arrived while the backlog was full waited for those before them.
            let takenAt = time <= wasFullAt ? time : loop.now
            dispatch(Arrival(time: time, takenAt: takenAt, request: request), number: schedule == 0 ? number : nil)
        }
    }

    /// The schedule with the next arrival, and its time.
    @inline(__always)
    private func nextArrival() -> (schedule: Int, time: UInt64)? {
        var found: (schedule: Int, time: UInt64)?
        for index in schedules.indices where !schedules[index].isAtAnEnd {
            if schedules[index].next < found?.time ?? .max { found = (index, schedules[index].next) }
        }
        return found
    }

    /// Sleeps until shortly before the arrival, and polls the clock from then on. The loop runs between polls, so that answers
    /// are not delayed.
    private func awaitArrival(_ time: UInt64) {
        // Not the time when the polling began: arrivals that began since then took time.
        let now = loop.now
        let ahead = maySpin ? Self.spinTime : 0
        guard time <= now &+ ahead else {
            arrivalTimer = loop.schedule(after: time - now - ahead) { [unowned self] in takeArrivals() }
            return
        }
        guard maySpin else { return takeArrivalsSoon() }
        guard !isSpinning else { return }
        isSpinning = true
        spunAt = now
        loop.execute { [self] in
            isSpinning = false
            let passed = loop.preciseNow &- spunAt
            if passed < Self.spinStep { spun &+= passed }
            takeArrivals()
        }
    }

    /// Takes arrivals in the loop's next turn: a timer due at once would run before everything else.
    private func takeArrivalsSoon() {
        guard !takesArrivalsSoon else { return }
        takesArrivalsSoon = true
        loop.execute { [self] in
            takesArrivalsSoon = false
            takeArrivals()
        }
    }

    /// The number of requests that were due but did not even get into the backlog, which was full.
    ///
    /// - Parameter now: nil once the time is over: everything that a schedule still has is then due. A schedule left by another
    ///   worker ends with that worker's time, which may be a moment later.
    func notTaken(at now: UInt64?) -> Int {
        guard let arrivals else { return 0 }
        return schedules.reduce(0) { $0 + $1.due(now ?? $1.end, arrivals) }
    }

    /// Whether the schedule may have another arrival: with a number of requests, there are that many arrivals.
    var mayPlan: Bool {
        guard case .measuring = phase, case .requests = plan.extent else { return true }
        return left > backlog.count + slotBacklog
    }

    /// Whether each slot has requests of its own, rather than all sharing the same ones.
    private var isPerConnection: Bool {
        switch plan.pace {
        case .arrivalsPerConnection, .script: true
        case .closed, .arrivals, .stages: false
        }
    }

    /// - Parameter number: the arrival's index in the worker's own schedule; nil for a schedule taken over.
    private func dispatch(_ arrival: Arrival, number: Int?) {
        if isPerConnection, let number {
            // Each connection gets random arrivals, too; taking turns would even them out.
            var mixed = SplitMix64(seed: UInt64(number))
            let slot = slots[plan.arrivesAtRandom ? Int(mixed.next() % UInt64(slots.count)) : number % slots.count]
            if !slot.hasGivenUp {
                slotBacklog += 1
                return slot.take(arrival)
            }
        }
        backlog.append(arrival)
        sendBacklog()
    }

    func sendBacklog() {
        while !backlog.isEmpty, let slot = ready.popFirst() {
            slot.isReady = false
            slot.pump()
        }
    }

    /// The slot has room for an arriving request.
    func markReady(_ slot: ConnectionSlot) {
        guard !slot.isReady else { return }
        slot.isReady = true
        ready.append(slot)
    }

    func tookFromSlotBacklog() { slotBacklog -= 1 }

    /// A slot gives up, and others send its requests.
    func takeOver(_ arrivals: Ring<Arrival>) {
        var arrivals = arrivals
        while let arrival = arrivals.popFirst() {
            slotBacklog -= 1
            backlog.append(arrival)
        }
        wakeSoon()
    }
}
