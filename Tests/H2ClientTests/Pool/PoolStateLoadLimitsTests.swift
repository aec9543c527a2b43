import H2TestSupport
import Testing

@testable import H2Client

/// Limits on load, and connections that several origins share.
@Suite(.inTurn) struct PoolStateLoadLimitsTests {
    @Test func `So many requests at once go to one origin`() throws {
        let pool = PoolHarness(loadLimits: { $0.concurrentRequestsPerOrigin = 2 })
        let (one, two) = (pool.origin(), pool.origin())
        let key = try pool.open(one, .http2)
        _ = try pool.use(one)
        let waiter = try pool.wait(one)
        _ = try pool.open(two, .http2)
        #expect(pool.release(key, one) == [.assign(waiter, key)])
    }

    @Test func `No more connections are dialled than requests may begin`() throws {
        let pool = PoolHarness(.http1Only, loadLimits: { $0.concurrentRequestsPerOrigin = 2 })
        let origin = pool.origin()
        var dials = 0
        for _ in 0..<10 {
            try pool.wait(origin)
            dials += pool.dials.count
        }
        #expect(dials == 2)
    }

    @Test func `So many requests at once go out in all, and origins take turns`() throws {
        let pool = PoolHarness(loadLimits: { $0.concurrentRequests = 2 })
        let (one, two) = (pool.origin(), pool.origin())
        let (first, second) = (try pool.open(one, .http2), try pool.open(two, .http2))
        let a = [try pool.wait(one), try pool.wait(one)]
        let b = [try pool.wait(two), try pool.wait(two)]
        #expect(pool.release(first, one) == [.assign(a[0], first)])
        #expect(pool.release(first, one) == [.assign(b[0], second)])
        #expect(pool.release(second, two) == [.assign(a[1], first)])
        #expect(pool.release(second, two) == [.assign(b[1], second)])
    }

    @Test func `One request at a time goes out in all where that is the limit`() throws {
        let pool = PoolHarness(loadLimits: { $0.concurrentRequests = 1 })
        let (one, two) = (pool.origin(), pool.origin())
        let second = try pool.openIdle(two, .http2)
        let first = try pool.open(one, .http2)
        let waiter = try pool.wait(two)
        #expect(pool.figures(of: two).inFlight == 0)
        #expect(pool.release(first, one) == [.assign(waiter, second)])
    }

    @Test func `A rate lets requests go in order, each at its time`() throws {
        let pool = PoolHarness(loadLimits: { ($0.requestsPerSecondPerOrigin, $0.burst) = (10, 2) })
        let origin = pool.origin()
        let key = try pool.open(origin, .http2)
        _ = try pool.use(origin)
        let (a, b) = (try pool.wait(origin), try pool.wait(origin))
        #expect(pool.advance(0.099).isEmpty)
        #expect(pool.advance(0.002) == [.assign(a, key)])
        #expect(pool.advance(0.09).isEmpty)
        #expect(pool.advance(0.02) == [.assign(b, key)])
    }

    @Test func `Who holds a connection is held by no limit on load`() throws {
        let pool = PoolHarness(loadLimits: { ($0.requestsPerSecondPerOrigin, $0.concurrentRequests) = (1, 1) })
        let origin = pool.origin()
        let key = try pool.open(origin, .http2)
        try pool.wait(origin)
        #expect(try pool.use(origin, .exclusive) == key)
    }

    @Test func `The adaptive limit holds requests back, and a pause all of them`() throws {
        let pool = PoolHarness(loadLimits: {
            $0.adaptive = HTTPClient.LoadLimits.Adaptive()
            $0.adaptive?.initial = 2
        })
        let origin = pool.origin()
        let key = try pool.open(origin, .http2)
        _ = try pool.use(origin)
        let waiter = try pool.wait(origin)
        pool.now += PoolHarness.second
        pool.event {
            $0.answered(origin, .overloaded(retryAfter: 3_000_000_000), latency: 1_000)
        }
        pool.release(key, origin)
        #expect(pool.release(key, origin).isEmpty)
        #expect(pool.advance(2.9).isEmpty)
        #expect(pool.advance(0.2) == [.assign(waiter, key)])
    }

    @Test func `A pause that a good answer asked for is kept`() throws {
        let pool = PoolHarness(loadLimits: { $0.adaptive = HTTPClient.LoadLimits.Adaptive() })
        let origin = pool.origin()
        let key = try pool.openIdle(origin, .http2)
        pool.event { $0.answered(origin, .good, latency: 1_000, pause: 2_000_000_000) }
        let waiter = try pool.wait(origin)
        #expect(pool.advance(1.9).isEmpty)
        #expect(pool.advance(0.2) == [.assign(waiter, key)])
    }

    // MARK: Coalescing

    @Test func `An origin shares another's connection, and streams are counted on that`() throws {
        let pool = PoolHarness(.automatic, { $0.streamsPerConnection = 2 })
        let (one, two) = (pool.origin(), pool.origin())
        let key = try pool.open(one, .http2)
        let waiter = try pool.wait(two)
        let dial = try pool.dialed()
        #expect(pool.event { $0.coalesced(two, onto: key) })
        #expect(pool.actions == [.cancelDial(dial, .coalesced), .assign(waiter, key)])
        pool.closed(dial)
        let (a, b) = (try pool.wait(one), try pool.wait(two))
        #expect(pool.figures(of: one).streams == 2 && pool.figures(of: two).streams == 0)
        pool.release(key, two)
        let first = pool.assignments
        pool.release(key, one)
        #expect(Set(first + pool.assignments) == [a, b])
    }

    @Test func `Those who share a connection take turns at its streams`() throws {
        let pool = PoolHarness(.automatic, { $0.streamsPerConnection = 1 })
        let (one, two, three) = (pool.origin(), pool.origin(), pool.origin())
        let key = try pool.open(one, .http2)
        for origin in [two, three] { #expect(pool.event { $0.coalesced(origin, onto: key) }) }
        var owners: [WaiterKey: OriginKey] = [:]
        for _ in 0..<6 { for origin in [one, two, three] { owners[try pool.wait(origin)] = origin } }
        var current = one
        var served: [OriginKey: Int] = [:]
        for _ in 0..<12 {
            pool.release(key, current)
            let waiter = try #require(pool.assignments.first)
            current = try #require(owners[waiter])
            served[current, default: 0] += 1
        }
        #expect(served.count == 3 && served.values.allSatisfy { $0 >= 3 }, "\(served)")
    }

    @Test func `When a shared connection takes no more, each origin dials its own`() throws {
        let pool = PoolHarness(.automatic, { $0.streamsPerConnection = 1 })
        let (one, two) = (pool.origin(), pool.origin())
        let key = try pool.open(one, .http2)
        #expect(pool.event { $0.coalesced(two, onto: key) })
        try pool.wait(two)
        pool.draining(key)
        #expect(pool.actions == [.dial(try pool.dialed(), two, .either, .replacement)])
        #expect(!pool.event { $0.coalesced(two, onto: key) })
    }

    @Test func `After 421 an origin has a connection of its own, and shares none again`() throws {
        let pool = PoolHarness()
        let (one, two) = (pool.origin(), pool.origin())
        let key = try pool.openIdle(one, .http2)
        #expect(pool.event { $0.coalesced(two, onto: key) })
        #expect(try pool.use(two) == key)
        pool.release(key, two)
        try pool.wait(two, [.own, .replay])
        #expect(pool.actions == [.dial(try pool.dialed(), two, .either, .misdirected)])
        #expect(!pool.mayCoalesce(two))
        #expect(!pool.event { $0.coalesced(two, onto: key) })
    }

    @Test func `An origin that a connection is not for any more leaves it`() throws {
        let pool = PoolHarness()
        let (one, two) = (pool.origin(), pool.origin())
        let key = try pool.openIdle(one, .http2)
        #expect(pool.event { $0.coalesced(two, onto: key) })
        _ = try pool.use(two)
        pool.event { $0.cannotCoalesce(two) }
        pool.release(key, two)
        try pool.wait(two)
        #expect(pool.dials.count == 1)
    }

    @Test func `A stream that an origin leaves behind on a shared connection goes to who waits for it`() throws {
        let pool = PoolHarness(.automatic, { $0.streamsPerConnection = 1 })
        let (one, two) = (pool.origin(), pool.origin())
        let key = try pool.openIdle(one, .http2)
        #expect(pool.event { $0.coalesced(two, onto: key) })
        _ = try pool.use(two)
        pool.event { $0.cannotCoalesce(two) }
        let waiter = try pool.wait(one)
        #expect(pool.release(key, two) == [.assign(waiter, key)])
    }
}
