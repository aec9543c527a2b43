import H2TestSupport
import Testing

@testable import H2Client

/// Queues: who comes next, what saturation does, and giving up.
@Suite(.inTurn) struct PoolStateWaitingTests {
    @Test func `Requests are served in the order in which they came, and replays before them`() throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        let key = try pool.open(origin, .http2, streams: 1)
        let (a, b) = (try pool.wait(origin), try pool.wait(origin))
        let (r, s) = (try pool.wait(origin, .replay), try pool.wait(origin, .replay))
        for waiter in [r, s, a, b] { #expect(pool.release(key, origin) == [.assign(waiter, key)]) }
    }

    @Test func `Capacity is counted in streams, as far as the options and the server allow`() throws {
        let pool = PoolHarness(.automatic, { $0.streamsPerConnection = 3 })
        let origin = pool.origin()
        let key = try pool.open(origin, .http2, streams: 100)
        #expect(try pool.use(origin) == key)
        #expect(try pool.use(origin) == key)
        let waiters = [try pool.wait(origin), try pool.wait(origin)]
        pool.event { $0.streamLimitChanged(key, to: 2) }
        #expect(pool.actions.isEmpty)
        #expect(pool.release(key, origin).isEmpty, "two are still on it")
        #expect(pool.release(key, origin) == [.assign(waiters[0], key)])
        pool.event { $0.streamLimitChanged(key, to: 100) }
        #expect(pool.actions == [.assign(waiters[1], key)])
    }

    @Test func `Where the options say so, taken streams open another connection, up to the limit`() throws {
        let pool = PoolHarness(.automatic, { $0.whenSaturated = .openConnection(upTo: 2) })
        let origin = pool.origin()
        let first = try pool.open(origin, .http2, streams: 2)
        #expect(try pool.use(origin) == first)
        let waiter = try pool.wait(origin)
        let second = try pool.dialed()
        #expect(pool.actions == [.dial(second, origin, .either, .allInUse)])
        try pool.wait(origin)
        #expect(pool.actions.isEmpty, "the one under way serves both")
        try pool.wait(origin)
        #expect(pool.actions.isEmpty, "there may be no third")
        pool.connected(second, .http2, streams: 2)
        #expect(pool.assignments.count == 2 && pool.assignments[0] == waiter)
    }

    @Test func `The connection with the fewest streams gets the next request`() throws {
        let pool = PoolHarness(.automatic, { $0.whenSaturated = .openConnection(upTo: 2) })
        let origin = pool.origin()
        let first = try pool.open(origin, .http2, streams: 2)
        _ = try pool.use(origin)
        try pool.wait(origin)
        let second = try pool.dialed()
        pool.connected(second, .http2, streams: 10)
        pool.event { $0.streamLimitChanged(first, to: 10) }
        #expect(try pool.use(origin) == second)
        _ = try pool.use(origin)
        let figures = pool.figures(of: origin)
        #expect(figures.streams == 5 && figures.http2Active == 2)
        let (one, two) = (pool.state.connections[0].streams, pool.state.connections[1].streams)
        #expect(abs(one - two) <= 1)
    }

    @Test func `The HTTP/1.1 connection that was used last gets the next request`() throws {
        let pool = PoolHarness(.http1Only)
        let origin = pool.origin()
        let (first, second) = (try pool.open(origin, .http1), try pool.open(origin, .http1))
        pool.release(second, origin)
        pool.release(first, origin)
        #expect(try pool.use(origin) == first)
        #expect(try pool.use(origin) == second)
    }

    @Test func `Where saturation fails requests, a dial that can serve them does not`() throws {
        let pool = PoolHarness(.automatic, { ($0.whenSaturated, $0.streamsPerConnection) = (.fail, 2) })
        let origin = pool.origin()
        try pool.wait(origin)
        let key = try pool.dialed()
        try pool.wait(origin)
        #expect(pool.lease(origin) == .fail(.saturated), "those that wait count")
        pool.connected(key, .http2)
        #expect(pool.assignments.count == 2)
        #expect(pool.lease(origin) == .fail(.saturated))
        let replay = try pool.wait(origin, .replay)
        #expect(pool.release(key, origin) == [.assign(replay, key)])
    }

    @Test func `Where saturation fails requests, HTTP/1.1 opens connections up to its limit first`() throws {
        let pool = PoolHarness(.http1Only, { ($0.whenSaturated, $0.http1ConnectionsPerOrigin) = (.fail, 2) })
        let origin = pool.origin()
        let key = try pool.open(origin, .http1)
        try pool.wait(origin)
        #expect(pool.dials.count == 1)
        #expect(pool.lease(origin) == .fail(.saturated))
        pool.release(key, origin)
        #expect(pool.assignments.count == 1)
    }

    @Test func `One who gives up is passed over, and is not known after that`() throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        let key = try pool.open(origin, .http2, streams: 1)
        let (a, b) = (try pool.wait(origin), try pool.wait(origin))
        #expect(pool.giveUp(a))
        #expect(!pool.giveUp(a))
        #expect(pool.release(key, origin) == [.assign(b, key)])
        #expect(!pool.giveUp(b), "it has its connection")
    }

    @Test func `So many may wait in all, and no more`() throws {
        let pool = PoolHarness(.automatic, { $0.waitingRequests = 2 })
        let (one, two) = (pool.origin(), pool.origin())
        let waiter = try pool.wait(one)
        try pool.wait(two)
        #expect(pool.lease(one) == .fail(.tooManyWaiting))
        pool.giveUp(waiter)
        try pool.wait(one)
    }

    @Test func `A hundred thousand may wait, and those who give up leave nothing behind`() throws {
        var pool = HTTPClient.Pool()
        pool.waitingRequests = 100_000
        var state = PoolState(versions: .automatic, pool: pool, loadLimits: HTTPClient.LoadLimits())
        let origin = state.addOrigin(isSecure: true)
        var keys: [WaiterKey] = []
        keys.reserveCapacity(100_000)
        for _ in 0..<2 {
            for _ in 0..<100_000 {
                guard case .wait(let key) = state.lease(origin) else { break }
                keys.append(key)
            }
            #expect(keys.count == 100_000)
            let oneMore = state.lease(origin)
            #expect(oneMore == .fail(.tooManyWaiting))
            var known = 0
            for key in keys where state.giveUp(key) { known += 1 }
            #expect(known == 100_000)
            keys.removeAll(keepingCapacity: true)
        }
        #expect(state.waiters.bound == 100_000)
        let dials = state.actions.count { if case .dial = $0 { true } else { false } }
        #expect(dials == 1)
        let actions = state.actions.count
        #expect(actions < 10)
        let breaches = state.check()
        #expect(breaches.isEmpty)
    }

    @Test func `What was leased, reused and opened is counted`() throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        let key = try pool.openIdle(origin, .http2)
        _ = try pool.use(origin)
        try pool.wait(pool.origin())
        #expect(pool.state.leased == 2 && pool.state.reused == 1 && pool.state.opened == 1)
        var figures = PoolState.Figures()
        (figures.http2Active, figures.streams, figures.inFlight) = (1, 1, 1)
        #expect(pool.figures(of: origin) == figures)
        #expect(pool.figures().count == 2)
        pool.draining(key)
        #expect(pool.figures(of: origin).draining == 1)
    }

    @Test func `A connection that takes requests during its handshake counts as opened after it`() throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        try pool.wait(origin)
        let key = try pool.dialed()
        pool.event { $0.connected(key, protocol: .http1, isEstablished: false) }
        #expect(pool.assignments.count == 1)
        #expect(pool.state.opened == 0 && pool.figures(of: origin).dialing == 1)
        pool.event { $0.established(key) }
        #expect(pool.state.opened == 1 && pool.figures(of: origin).http1Active == 1)
    }

    @Test func `Requests that wait are counted for their origin alone`() throws {
        let pool = PoolHarness()
        let (one, two) = (pool.origin(), pool.origin())
        for _ in 0..<3 { try pool.wait(one) }
        try pool.wait(two)
        #expect(pool.figures(of: one).waiting == 3)
        #expect(pool.figures(of: two).waiting == 1)
    }
}
