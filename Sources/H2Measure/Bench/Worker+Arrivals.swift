internal import H2Client

// The open loop: requests that begin when the schedule says, answered or not.

extension Worker {
    /// A request that has arrived.
    struct Arrival {
        /// When it was due.
        var time: UInt64
        /// When the loop noticed that. Until then it waited for us, from then on for a connection or a stream.
        var takenAt: UInt64
        /// Which of the plan's requests a script has then.
        var turn: Int
    }

    /// How long before an arrival the loop stops sleeping, nanoseconds: what a thread takes to wake up.
    static let spinTime: UInt64 = 50_000
    /// Two looks at the clock that are further apart had work between them.
    private static let spinStep: UInt64 = 5_000

    /// Begins the worker's own part of the schedule.
    func beginSchedules() {
        schedules = [
            schedule(Arrivals.Part(first: index, stride: plan.threads, of: plan.connections), from: beginning)
        ].compactMap { $0 }
    }

    /// The measured part begins: each part that the worker has begins anew, those of workers that gave up in the warm-up too.
    func restartSchedules() {
        schedules = schedules.compactMap { schedule($0.part, from: findings.beganAt) }
    }

    /// Takes the schedules that another worker left.
    func take(_ handover: WorkerGroup.Leftover) {
        if case .measuring = phase {
            // What was left in the warm-up has its arrivals from the beginning of the measured part.
            schedules += handover.schedules
            schedules += handover.parts.compactMap { schedule($0, from: findings.beganAt) }
            for arrival in handover.arrivals { backlog.append(arrival) }
        } else {
            schedules += handover.parts.compactMap { schedule($0, from: beginning) }
            // One that began to measure before this one leaves nothing for the warm-up.
            inherited.add(WorkerGroup.Leftover(arrivals: handover.arrivals, schedules: handover.schedules))
        }
    }

    private func schedule(_ part: Arrivals.Part, from beganAt: UInt64) -> Schedule? {
        guard let arrivals else { return nil }
        // So that it is the rate times the duration: one that is due as the time is over is none of it.
        var length = UInt64.max
        if case .measuring = phase, case .time(let time) = plan.extent { length = time.clampedNanoseconds }
        // Each part has numbers of its own, and so has the warm-up.
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
        while maySend, mayPlan, let (place, time) = nextArrival() {
            guard time <= now else { return awaitArrival(time) }
            let isFull = backlog.count + slotBacklog >= Self.mostBacklog
            if isFull { wasFullAt = now }
            guard !isFull, taken < Self.mostArrivals else {
                // It loses nothing by that: the schedule knows when each was due.
                if isFull {
                    arrivalTimer = loop.schedule(after: 1_000_000) { [unowned self] in takeArrivals() }
                } else {
                    takeArrivalsSoon()
                }
                return
            }
            taken += 1
            let (number, turn) = (schedules[place].taken, schedules[place].round)
            schedules[place].take(arrivals)
            // What came while the backlog was full waited for those before it.
            let takenAt = time <= wasFullAt ? time : loop.now
            dispatch(Arrival(time: time, takenAt: takenAt, turn: turn), number: place == 0 ? number : nil)
        }
    }

    /// Which schedule has the next arrival, and when that is.
    @inline(__always)
    private func nextArrival() -> (place: Int, time: UInt64)? {
        var found: (place: Int, time: UInt64)?
        for place in schedules.indices where !schedules[place].isAtAnEnd {
            if schedules[place].next < found?.time ?? .max { found = (place, schedules[place].next) }
        }
        return found
    }

    /// Sleeps until shortly before the arrival, and looks at the clock from then on. Between the looks the loop has its turns,
    /// so that answers are not kept waiting.
    private func awaitArrival(_ time: UInt64) {
        // Not when it began to look: those that began meanwhile took their time.
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

    /// In the loop's next turn: a timer that is due at once would have its turn before all else.
    private func takeArrivalsSoon() {
        guard !takesArrivalsSoon else { return }
        takesArrivalsSoon = true
        loop.execute { [self] in
            takesArrivalsSoon = false
            takeArrivals()
        }
    }

    /// How many requests were due, and have not even been put into the backlog, which was full.
    ///
    /// - Parameter now: nil once the time is over: then all that a schedule still has is due. One that another worker left ends
    ///   when that worker's time does, which may be a moment later.
    func notTaken(at now: UInt64?) -> Int {
        guard let arrivals else { return 0 }
        return schedules.reduce(0) { $0 + $1.due(now ?? $1.end, arrivals) }
    }

    /// Whether the schedule has another request: a number of requests is a number of arrivals.
    var mayPlan: Bool {
        guard case .measuring = phase, case .requests = plan.extent else { return true }
        return left > backlog.count + slotBacklog
    }

    /// Whether each place has its own requests, rather than what all have in common.
    private var isPerConnection: Bool {
        switch plan.pace {
        case .arrivalsPerConnection, .script: true
        case .closed, .arrivals, .stages: false
        }
    }

    /// - Parameter number: which of the worker's own schedule it is; nil for one that was taken over.
    private func dispatch(_ arrival: Arrival, number: Int?) {
        if isPerConnection, let number {
            // At random it is for each connection as for all, which taking turns would even out.
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

    /// The slot has room for a request that arrives.
    func markReady(_ slot: ConnectionSlot) {
        guard !slot.isReady else { return }
        slot.isReady = true
        ready.append(slot)
    }

    func tookFromSlotBacklog() { slotBacklog -= 1 }

    /// A slot gives up, and others send what it was to send.
    func takeOver(_ arrivals: Ring<Arrival>) {
        var arrivals = arrivals
        while let arrival = arrivals.popFirst() {
            slotBacklog -= 1
            backlog.append(arrival)
        }
        wakeSoon()
    }
}
