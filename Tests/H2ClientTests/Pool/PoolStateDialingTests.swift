import H2TestSupport
import Testing

@testable import H2Client

/// When connections are opened, how many, and what becomes of those who wait for them.
@Suite(.inTurn) struct PoolStateDialingTests {
    @Test func `A thousand first requests open one connection`() throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        try pool.wait(origin)
        let key = try pool.dialed()
        #expect(pool.actions == [.dial(key, origin, .either, .first)])
        for _ in 1..<1_000 {
            try pool.wait(origin)
            #expect(pool.actions.isEmpty)
        }
        pool.connected(key, .http2, streams: 1_000)
        #expect(pool.assignments.count == 1_000)
        #expect(pool.actions.count == 1_000)
    }

    @Test func `An origin that turns out to speak HTTP/1.1 gets as many connections as there may be at once`() throws {
        let pool = PoolHarness(.automatic, { $0.http1ConnectionsPerOrigin = 6 })
        let origin = pool.origin()
        try pool.wait(origin)
        let key = try pool.dialed()
        for _ in 1..<20 { try pool.wait(origin) }
        pool.connected(key, .http1)
        #expect(pool.assignments.count == 1)
        #expect(pool.dials.count == 5)
    }

    @Test func `An origin known for HTTP/1.1 gets a connection for each request, up to the limit`() throws {
        let pool = PoolHarness(.automatic, { $0.http1ConnectionsPerOrigin = 3 })
        let origin = pool.origin()
        pool.closed(try pool.openIdle(origin, .http1))
        for expected in [1, 1, 1, 0, 0] {
            try pool.wait(origin)
            #expect(pool.dials.count == expected)
        }
    }

    @Test func `What an origin chose is remembered when its connections are gone`() throws {
        let pool = PoolHarness()
        let (one, two) = (pool.origin(), pool.origin())
        pool.closed(try pool.openIdle(one, .http1))
        pool.closed(try pool.openIdle(two, .http2))
        try pool.wait(one)
        try pool.wait(one)
        #expect(pool.dials.count == 1)
        try pool.wait(two)
        #expect(pool.dials.count == 1)
        try pool.wait(two)
        #expect(pool.dials.isEmpty)
    }

    @Test(arguments: [
        (HTTPClient.Versions.automatic, true, ProtocolOffer.either), (.automatic, false, .cleartextHTTP1),
        (.http2Only, true, .http2), (.http2Only, false, .priorKnowledge), (.http1Only, true, .http1),
        (.http1Only, false, .cleartextHTTP1), (.http2PriorKnowledge, true, .either),
        (.http2PriorKnowledge, false, .priorKnowledge),
    ])
    func `A dial offers what the client speaks`(
        _ versions: HTTPClient.Versions, _ secure: Bool, _ offer: ProtocolOffer
    ) throws {
        let pool = PoolHarness(versions)
        let origin = pool.origin(secure: secure)
        try pool.wait(origin)
        #expect(pool.actions == [.dial(try pool.dialed(), origin, offer, .first)])
    }

    @Test func `A failed dial fails all who waited for it`() throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        let waiters = [
            try pool.wait(origin), try pool.wait(origin), try pool.wait(origin, .exclusive),
            try pool.wait(origin, .replay),
        ]
        let key = ConnectionKey(index: 0, generation: 1)
        pool.dialFailed(key)
        #expect(Set(pool.actions) == Set(waiters.map { .fail($0, .dialFailed(key)) }))
        #expect(pool.actions.count == 4)
    }

    @Test func `A failed dial fails nobody while others serve, and the next is held off`() throws {
        let pool = PoolHarness(.http1Only, { $0.http1ConnectionsPerOrigin = 2 })
        let origin = pool.origin()
        let first = try pool.open(origin, .http1)
        try pool.wait(origin)
        let second = try pool.dialed()
        pool.dialFailed(second)
        #expect(pool.actions.isEmpty)
        pool.advance(0.09)
        #expect(pool.actions.isEmpty)
        pool.advance(0.02)
        #expect(pool.dials.count == 1)
        pool.dialFailed(try pool.dialed())
        pool.advance(0.15)
        #expect(pool.actions.isEmpty, "the second time it is held off for longer")
        pool.closed(first)
        #expect(pool.dials.count == 1, "nothing serves any more, so there is nothing to lose")
    }

    @Test func `A failed dial is not replaced at once while another is under way, and the last one fails all who wait`()
        throws
    {
        let pool = PoolHarness(.http1Only)
        let origin = pool.origin()
        let a = try pool.wait(origin)
        let first = try pool.dialed()
        let b = try pool.wait(origin)
        let second = try pool.dialed()
        #expect(pool.dialFailed(first).isEmpty)
        #expect(pool.advance(0.9).isEmpty)
        #expect(pool.dialFailed(second) == [.fail(a, .dialFailed(second)), .fail(b, .dialFailed(second))])
    }

    // MARK: - Slow dials

    @Test(arguments: [HTTPProtocolVersion.http1, .http2])
    func `Beside a slow dial another is tried, three times at the most, and the first to succeed serves`(
        _ version: HTTPProtocolVersion
    ) throws {
        let pool = PoolHarness(version == .http1 ? .http1Only : .automatic)
        let origin = pool.origin()
        let waiter = try pool.wait(origin)
        let first = try pool.dialed()
        #expect(pool.advance(0.99).isEmpty)
        pool.advance(0.02)
        let second = try pool.dialed()
        pool.advance(1)
        let third = try pool.dialed()
        pool.advance(1)
        let fourth = try pool.dialed()
        #expect(pool.advance(10).isEmpty)
        pool.connected(third, version)
        #expect(pool.assignments == [waiter])
        // Nobody waits for the others.
        let cancelled = pool.actions.compactMap { if case .cancelDial(let key, _) = $0 { key } else { nil } }
        #expect(Set(cancelled) == [first, second, fourth])
    }

    @Test func `What no other dial would change fails all who wait, though a slow one is under way`() throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        let waiter = try pool.wait(origin)
        let slow = try pool.dialed()
        pool.advance(1.1)
        let second = try pool.dialed()
        pool.event { $0.dialFailed(second, isFinal: true) }
        #expect(pool.actions.contains(.fail(waiter, .dialFailed(second))))
        let cancelled = pool.actions.compactMap { if case .cancelDial(let key, _) = $0 { key } else { nil } }
        #expect(cancelled == [slow])
    }

    @Test func `A dial that is slow takes nobody else's place`() throws {
        let pool = PoolHarness(.http1Only, { $0.connections = 2 })
        let (busy, hung) = (pool.origin(), pool.origin())
        _ = try pool.open(busy, .http1)
        try pool.wait(hung)
        #expect(pool.dials.count == 1)
        #expect(pool.advance(20).isEmpty)
    }

    @Test func `A request that joined late is not failed by another's time limit`() throws {
        let pool = PoolHarness(.http1Only, { $0.connections = 1 })
        let origin = pool.origin()
        let early = try pool.wait(origin)
        let key = try pool.dialed()
        pool.advance(0.04)
        let soon = try pool.wait(origin)
        pool.advance(1.8)
        let late = try pool.wait(origin)
        pool.advance(0.1)
        pool.event { $0.dialFailed(key, timedOut: true) }
        let next = try pool.dialed()
        #expect(
            pool.actions == [
                .fail(early, .dialFailed(key)), .fail(soon, .dialFailed(key)),
                .dial(next, origin, .http1, .first),
            ])
        #expect(pool.connected(next, .http1) == [.assign(late, next)])
    }

    @Test func `Who has waited for a dial's whole time is told, though others are under way`() throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        let early = try pool.wait(origin)
        let first = try pool.dialed()
        pool.advance(1.5)
        #expect(pool.dials.count == 1)
        let late = try pool.wait(origin)
        pool.advance(0.5)
        pool.event { $0.dialFailed(first, timedOut: true) }
        #expect(pool.actions == [.fail(early, .dialFailed(first))])
        #expect(pool.giveUp(late))
    }

    @Test func `A dial that nobody waits for is given up when it is slow`() throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        let waiter = try pool.wait(origin)
        let key = try pool.dialed()
        pool.advance(0.2)
        #expect(pool.giveUp(waiter))
        #expect(pool.actions.isEmpty, "it may be of use to the next request")
        #expect(pool.advance(0.9) == [.cancelDial(key, .notNeeded)])
        pool.closed(key)
        try pool.wait(origin)
        let next = try pool.dialed()
        pool.advance(0.5)
        #expect(pool.connected(next, .http2).count == 1)
    }

    @Test func `Of many dials those are given up that are more than who waits can use`() throws {
        let pool = PoolHarness(.http1Only)
        let origin = pool.origin()
        var waiters: [WaiterKey] = []
        var dials: [ConnectionKey] = []
        for _ in 0..<8 {
            waiters.append(try pool.wait(origin))
            dials += pool.dials
        }
        #expect(dials.count == 8)
        for waiter in waiters.dropLast() { #expect(pool.giveUp(waiter)) }
        #expect(pool.advance(1.1) == dials.prefix(4).map { .cancelDial($0, .notNeeded) })
    }

    // MARK: -

    @Test func `After a failure one dial tries the origin, and its success opens the others`() throws {
        let pool = PoolHarness(.http1Only)
        let origin = pool.origin()
        try pool.wait(origin)
        pool.dialFailed(try pool.dialed())
        try pool.wait(origin)
        let key = try pool.dialed()
        for _ in 0..<3 {
            try pool.wait(origin)
            #expect(pool.actions.isEmpty)
        }
        pool.connected(key, .http1)
        #expect(pool.dials.count == 3)
    }

    @Test func `A connection that never allowed a stream is as a failed dial`() throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        let waiter = try pool.wait(origin)
        let key = try pool.dialed()
        pool.connected(key, .http2, streams: 0)
        #expect(pool.actions.isEmpty)
        #expect(pool.closed(key) == [.fail(waiter, .dialFailed(key))])
    }

    @Test func `A connection that closes is replaced at once if somebody waits, and not if nobody does`() throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        let first = try pool.open(origin, .http2, streams: 1)
        try pool.wait(origin)
        pool.closed(first)
        let second = try pool.dialed()
        #expect(pool.actions == [.dial(second, origin, .either, .replacement)])
        pool.connected(second, .http2, streams: 1)
        pool.release(first, origin)
        pool.release(second, origin)
        #expect(pool.closed(second).isEmpty)
    }

    @Test func `A draining connection gets no request, and is replaced at once if somebody waits`() throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        let first = try pool.open(origin, .http2, streams: 1)
        let waiter = try pool.wait(origin)
        pool.draining(first)
        let second = try pool.dialed()
        #expect(pool.release(first, origin) == [.close(first, .serverSaid)])
        pool.connected(second, .http2)
        #expect(pool.actions == [.assign(waiter, second)])
        pool.draining(second)
        #expect(pool.actions.isEmpty, "nobody waits")
        try pool.wait(origin)
        #expect(pool.dials.count == 1)
    }

    @Test func `A request for HTTP/1.1 at an HTTP/2 origin gets a connection of that kind`() throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        let http2 = try pool.open(origin, .http2)
        let waiter = try pool.wait(origin, [.http1, .replay])
        let key = try pool.dialed()
        #expect(pool.actions == [.dial(key, origin, .http1, .http1Required)])
        pool.connected(key, .http1)
        #expect(pool.actions == [.assign(waiter, key)])
        #expect(try pool.use(origin) == http2, "the others go on in HTTP/2")
    }

    @Test func `A client of HTTP/2 alone has nothing for a request that needs HTTP/1.1`() {
        let pool = PoolHarness(.http2Only)
        #expect(pool.lease(pool.origin(), .http1) == .fail(.http1NotAllowed))
    }

    @Test func `An origin that requires HTTP/1.1 is spoken to in nothing else`() throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        let busy = try pool.open(origin, .http2)
        pool.event { $0.requireHTTP1(origin) }
        #expect(pool.actions == [.drain(busy, .http1Required)])
        try pool.wait(origin)
        let key = try pool.dialed()
        #expect(pool.actions == [.dial(key, origin, .http1, .http1Required)])
        pool.connected(key, .http1)
        #expect(pool.assignments.count == 1)
    }

    @Test func `Dials for HTTP/1.1 are cancelled when the server turns out to have learned HTTP/2`() throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        pool.closed(try pool.openIdle(origin, .http1))
        var dials: [ConnectionKey] = []
        for _ in 0..<3 {
            try pool.wait(origin)
            dials += pool.dials
        }
        #expect(dials.count == 3)
        pool.connected(dials[0], .http2)
        #expect(pool.assignments.count == 3)
        #expect(pool.actions.suffix(2) == [.cancelDial(dials[2], .notNeeded), .cancelDial(dials[1], .notNeeded)])
        #expect(pool.connected(dials[1], .http2) == [.close(dials[1], .notNeeded)], "it did not hear of that in time")
    }

    @Test func `Who wants to hold a connection gets one of HTTP/1.1 for itself`() throws {
        let pool = PoolHarness(.http1Only, { $0.http1ConnectionsPerOrigin = 1 })
        let origin = pool.origin()
        let key = try pool.openIdle(origin, .http1)
        #expect(try pool.use(origin, .exclusive) == key)
        let waiter = try pool.wait(origin)
        #expect(pool.actions.isEmpty)
        #expect(pool.giveBack(key, origin, served: 3) == [.assign(waiter, key)])
    }

    @Test func `A connection to hold is dialled where there is none, and says why`() throws {
        let pool = PoolHarness(.http1Only)
        let origin = pool.origin()
        let waiter = try pool.wait(origin, .exclusive)
        let key = try pool.dialed()
        #expect(pool.actions == [.dial(key, origin, .http1, .lent)])
        #expect(pool.connected(key, .http1) == [.assign(waiter, key)])
        #expect(pool.giveBack(key, origin, reuse: false) == [.close(key, .serverSaid)])
    }

    @Test func `Who holds an HTTP/2 connection takes no stream of it, and keeps it open`() throws {
        let pool = PoolHarness(.automatic, { $0.maximumAge = nil })
        let origin = pool.origin()
        let key = try pool.open(origin, .http2, streams: 1)
        #expect(try pool.use(origin, .exclusive) == key)
        pool.release(key, origin)
        #expect(pool.advance(1_000).isEmpty)
        #expect(try pool.use(origin) == key)
        pool.release(key, origin)
        pool.giveBack(key, origin)
        #expect(pool.advance(64) == [.close(key, .idleTimeout)])
    }
}
