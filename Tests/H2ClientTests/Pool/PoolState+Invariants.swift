@testable import H2Client

/// Invariants between any two events, recomputed from scratch.
///
/// SimulationTests has a symbolic link to this file. The invariants are about internals, which only `@testable` shows, and
/// H2TestSupport is built in release too, where nothing is testable.
extension PoolState {
    /// Each breach in words. Costs a look at everything.
    func check() -> [String] {
        var breaches = Breaches()
        checkTotals(&breaches)
        for index in 0..<connections.bound where connections.isTaken(index) {
            checkConnection(Int32(index), &breaches)
        }
        for index in 0..<origins.bound where origins.isTaken(index) {
            checkCounts(Int32(index), &breaches)
            checkQueues(Int32(index), &breaches)
            checkService(Int32(index), &breaches)
        }
        return breaches.words
    }

    struct Breaches {
        var words: [String] = []

        mutating func unless(_ holds: Bool, _ what: @autoclosure () -> String) {
            if !holds { words.append(what()) }
        }
    }

    private func checkTotals(_ breaches: inout Breaches) {
        var (living, closing, idle, aging, streams) = (0, 0, 0, 0, 0)
        for index in 0..<connections.bound where connections.isTaken(index) {
            let connection = connections[Int32(index)]
            if connection.state != .gone { living += 1 }
            if connection.state == .closing { closing += 1 }
            if connection.state == .open {
                aging += 1
                if connection.isFree { idle += 1 }
            }
            streams += Int(connection.streams)
        }
        var (waiting, others, requests, unused) = (0, 0, 0, 0)
        for index in 0..<origins.bound where origins.isTaken(index) {
            let origin = origins[Int32(index)]
            waiting += origin.waiting
            others += Int(origin.others.count)
            requests += origin.inFlight
            if origin.isUnused { unused += 1 }
        }
        breaches.unless(living == self.living, "\(living) connections, counted as \(self.living)")
        breaches.unless(living <= connectionLimit, "\(living) connections, more than \(connectionLimit)")
        breaches.unless(closing == self.closing, "\(closing) closing, counted as \(self.closing)")
        breaches.unless(idle == Int(self.idle.count), "\(idle) idle, but \(self.idle.count) in the list")
        breaches.unless(aging == Int(self.aging.count), "\(aging) open, but \(self.aging.count) in the list")
        breaches.unless(waiting == waiters.count, "\(waiting) wait, but there are \(waiters.count) records")
        breaches.unless(
            others == avoided.count, "\(others) wait for another connection, \(avoided.count) avoid some")
        breaches.unless(waiting <= waitingLimit, "\(waiting) wait, more than \(waitingLimit)")
        breaches.unless(requests == inFlight, "\(requests) requests under way, counted as \(inFlight)")
        breaches.unless(streams == inFlight, "\(streams) streams for \(inFlight) requests")
        breaches.unless(inFlight <= requestLimit, "\(inFlight) requests, more than \(requestLimit)")
        breaches.unless(unused == Int(self.unused.count), "\(unused) unused, but \(self.unused.count) in the list")
        breaches.unless(pending.isEmpty, "origins are left to look at")
        breaches.unless(limited.isEmpty || inFlight >= requestLimit, "a turn is not taken")
        breaches.unless(room.isEmpty || living >= connectionLimit, "there is room that nobody takes")
        breaches.unless(
            room.isEmpty || self.idle.isEmpty || closing >= Int(room.count), "an idle connection is in another's way")
        breaches.unless(life == .running || waiters.count == 0, "a request waits after the shutdown")
    }

    private func checkConnection(_ slot: Int32, _ breaches: inout Breaches) {
        let connection = connections[slot]
        let isOpen = connection.state == .open
        func say(_ holds: Bool, _ what: String) {
            breaches.unless(holds, "connection \(slot) (\(connection.state)): \(what)")
        }
        say(origins.isTaken(Int(connection.origin)), "without its origin")
        say(connection.streams >= 0 && connection.holders >= 0, "less than nothing on it")
        let hasPlace =
            connection.state == .dialing
            || isOpen && (connection.version == .http2 ? !connection.isAside : connection.isFree)
        say(connection.list.isLinked == hasPlace, "its place in the origin's lists")
        say(connection.idle.isLinked == (isOpen && connection.isFree), "its place among the idle")
        say(connection.age.isLinked == isOpen, "its place among the open")
        say(connection.state != .gone || !connection.isFree, "kept though nothing is on it")
        say(connection.state != .draining || !connection.isFree, "drains though nothing is on it")
        say(connection.state != .held || connection.holders > 0, "held by nobody")
        say(!isOpen || connection.served < connection.maximumRequests, "takes more than its requests")
        say(connection.version != .http1 || connection.streams + connection.holders <= 1, "two requests on HTTP/1.1")
        say(isOpen && !connection.isAside || connection.guests.isEmpty, "shared though it takes no requests")
        say(!connection.isAside || isOpen && connection.version == .http2, "aside though it is not open")
        var guest = connection.guests.first
        while guest != noSlot {
            say(origins[guest].shared == slot, "shared by one that does not know")
            guest = origins[guest].guest.next
        }
    }

    private func checkCounts(_ slot: Int32, _ breaches: inout Breaches) {
        let origin = origins[slot]
        func say(_ holds: Bool, _ what: String) { breaches.unless(holds, "origin \(slot): \(what)") }
        var (all, dials, http1Dials, open1, living1, closing1, open2, idle1) = (0, 0, 0, 0, 0, 0, 0, 0)
        for index in 0..<connections.bound where connections.isTaken(index) {
            let connection = connections[Int32(index)]
            guard connection.origin == slot else { continue }
            all += 1
            if connection.state == .dialing {
                dials += 1
                if connection.offer.isHTTP1 { http1Dials += 1 }
            }
            if connection.version == .http1, connection.state != .gone { living1 += 1 }
            if connection.version == .http1, connection.state == .closing { closing1 += 1 }
            guard connection.state == .open else { continue }
            if connection.version == .http2, !connection.isAside { open2 += 1 }
            if connection.version == .http1, connection.holders == 0 {
                open1 += 1
                if connection.isFree { idle1 += 1 }
            }
        }
        say(all == Int(origin.connections), "\(all) connections, counted as \(origin.connections)")
        say(dials == Int(origin.dials.count), "\(dials) dials, counted as \(origin.dials.count)")
        say(
            http1Dials == Int(origin.dialingHTTP1),
            "\(http1Dials) dials for HTTP/1.1, counted as \(origin.dialingHTTP1)")
        say(open1 == Int(origin.openHTTP1), "\(open1) HTTP/1.1 connections, counted as \(origin.openHTTP1)")
        say(living1 == Int(origin.livingHTTP1), "\(living1) HTTP/1.1 connections, counted as \(origin.livingHTTP1)")
        // A dial for either version may come out as one too many, which is closed at once.
        say(living1 - closing1 <= http1Limit, "\(living1) HTTP/1.1 connections, more than \(http1Limit)")
        say(open2 == Int(origin.http2.count), "\(open2) HTTP/2 connections, counted as \(origin.http2.count)")
        say(idle1 == Int(origin.idleHTTP1.count), "\(idle1) idle ones, counted as \(origin.idleHTTP1.count)")
        say(origin.inFlight <= requestsPerOrigin, "\(origin.inFlight) requests, more than \(requestsPerOrigin)")
        say(origin.unused.isLinked == origin.isUnused, "its place among the unused")
        say(origin.shared == noSlot || connections.isTaken(Int(origin.shared)), "shares a connection that is gone")
        say(open2 <= http2Limit(slot), "\(open2) HTTP/2 connections, more than \(http2Limit(slot))")
    }

    private func checkQueues(_ slot: Int32, _ breaches: inout Breaches) {
        let origin = origins[slot]
        var count = 0
        for queue in [
            origin.replays, origin.requests, origin.http1Replays, origin.http1Requests, origin.exclusives,
            origin.others,
        ] {
            var waiter = queue.first
            var last: UInt64 = 0
            while waiter != noSlot {
                let record = waiters[waiter]
                breaches.unless(record.origin == slot, "origin \(slot): another's waiter \(waiter)")
                breaches.unless(count == 0 || record.order >= last, "origin \(slot): waiter \(waiter) is out of order")
                last = record.order
                count += 1
                waiter = record.links.next
                if waiter == noSlot { last = 0 }
            }
        }
        breaches.unless(count == origin.waiting, "origin \(slot): \(count) wait, counted as \(origin.waiting)")
        breaches.unless(
            count > 0 || !origin.room.isLinked && !origin.limited.isLinked, "origin \(slot) is in a queue for nobody")
    }

    /// Whether the first request that waits for another connection could have one.
    private func couldServeOther(_ origin: OriginRecord) -> Bool {
        guard origin.others.first != noSlot else { return false }
        let avoided = avoided[waiters.key(origin.others.first)] ?? []
        func isFree(_ slot: Int32) -> Bool {
            connections[slot].usableUntil > now && connections[slot].streams < connections[slot].limit
                && !avoided.contains(connections.key(slot))
        }
        if origin.shared != noSlot, isFree(origin.shared) { return true }
        for first in [origin.http2.first, origin.idleHTTP1.first] {
            var slot = first
            while slot != noSlot {
                if isFree(slot) { return true }
                slot = connections[slot].list.next
            }
        }
        return false
    }

    /// No request waits that could be served, and every waiting request has something to wait for.
    private func checkService(_ slot: Int32, _ breaches: inout Breaches) {
        let origin = origins[slot]
        // Where a `tick` is due, it comes first.
        guard origin.waiting > 0, origin.wakesAt > now else { return }
        func say(_ holds: Bool, _ what: String) { breaches.unless(holds, "origin \(slot): \(what)") }
        var (serves, hasStream, isBusy) = (false, false, false)
        var hasIdleHTTP1 = false
        for index in 0..<connections.bound where connections.isTaken(index) {
            let connection = connections[Int32(index)]
            guard connection.origin == slot || Int(origin.shared) == index else { continue }
            if connection.state == .closing || !connection.isFree { isBusy = true }
            guard connection.state == .open, !connection.isAside else { continue }
            guard connection.usableUntil > now else {
                // The tick that ends it comes soon, and finds another for those who wait.
                if armed < .max { isBusy = true }
                continue
            }
            if connection.version == .http2 {
                serves = true
                if connection.streams < connection.limit { hasStream = true }
            } else if connection.isFree {
                hasIdleHTTP1 = true
            }
        }
        say(origin.others.isEmpty || !origin.dials.isEmpty, "one waits for another connection that nobody dials")
        say(gate(slot) != .open || !couldServeOther(origin), "one waits for another connection that is there")
        say(origin.exclusives.isEmpty || !serves && !hasIdleHTTP1, "one waits for a connection to hold that is there")
        let gate = gate(slot)
        let couldServe =
            origin.waitingAny > 0 && (hasStream || hasIdleHTTP1) || origin.waitingHTTP1 > 0 && hasIdleHTTP1
        if couldServe {
            say(gate != .open, "a request waits that could be served")
            say(gate != .clientFull || origin.limited.isLinked, "a request waits for no turn")
        }
        let waitsForSomething =
            !origin.dials.isEmpty || isBusy || serves || origin.room.isLinked || origin.limited.isLinked
            || origin.wakesAt < .max || origin.inFlight > 0
        say(
            waitsForSomething,
            "a request waits for nothing: \(origin.waitingAny), \(origin.waitingHTTP1) for HTTP/1.1, "
                + "\(origin.exclusives.count) to hold; \(gate), \(mode(slot).map { "\($0)" } ?? "unknown")")
        if let wanted = dialNeed(slot) {
            say(
                origin.room.isLinked || origin.limited.isLinked || !origin.dials.isEmpty || isBusy,
                "\(wanted) is not dialled")
        }
    }
}
