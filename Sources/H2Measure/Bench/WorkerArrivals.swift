internal import H2Client

// The open loop: requests that begin when the schedule says, answered or not.

extension Worker {
    func takeArrivals() {
        guard let arrivals else { return }
        arrivalTimer = nil
        loop.readClock()
        let now = loop.now
        var taken = 0
        while maySend, mayPlan {
            let time = arrivalsBeganAt &+ arrivals.time(of: nextArrival, in: arrivalsPart)
            guard time <= now else {
                arrivalTimer = loop.schedule(after: time - now) { [unowned self] in takeArrivals() }
                return
            }
            let isFull = backlog.count + seatBacklog >= Self.mostBacklog
            guard !isFull, taken < Self.mostArrivals else {
                // It loses nothing by that: the schedule knows when each was due.
                arrivalTimer = loop.schedule(after: isFull ? 1_000_000 : 0) { [unowned self] in takeArrivals() }
                return
            }
            taken += 1
            nextArrival += 1
            dispatch(time)
        }
    }

    /// How many requests were due, and have not even been put into the backlog, which was full.
    func notTaken(at now: UInt64) -> Int {
        guard let arrivals else { return 0 }
        func isDue(_ count: Int) -> Bool {
            arrivalsBeganAt &+ arrivals.time(of: nextArrival + count - 1, in: arrivalsPart) <= now
        }
        var (due, notDue) = (0, 1)
        while isDue(notDue) { (due, notDue) = (notDue, notDue * 2) }
        while notDue - due > 1 {
            let middle = (due + notDue) / 2
            if isDue(middle) { due = middle } else { notDue = middle }
        }
        return due
    }

    /// Whether the schedule has another request: a number of requests is a number of arrivals.
    var mayPlan: Bool {
        guard case .measuring = phase, case .requests = plan.extent else { return true }
        return left > backlog.count + seatBacklog
    }

    func dispatch(_ time: UInt64) {
        if case .arrivalsPerConnection = plan.pace {
            let seat = seats[(nextArrival - 1) % seats.count]
            if !seat.hasGivenUp {
                seatBacklog += 1
                return seat.take(time)
            }
        }
        backlog.append(time)
        sendBacklog()
    }

    func sendBacklog() {
        while !backlog.isEmpty, let seat = ready.popFirst() {
            seat.isReady = false
            seat.pump()
        }
    }

    /// The seat has room for a request that arrives.
    func markReady(_ seat: Seat) {
        guard !seat.isReady else { return }
        seat.isReady = true
        ready.append(seat)
    }

    func tookFromSeatBacklog() { seatBacklog -= 1 }

    /// A seat gives up, and others send what it was to send.
    func takeOver(_ times: Ring<UInt64>) {
        var times = times
        while let time = times.popFirst() {
            seatBacklog -= 1
            backlog.append(time)
        }
        sendBacklog()
    }
}
