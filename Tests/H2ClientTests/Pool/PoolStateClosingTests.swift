import H2TestSupport
import Testing

@testable import H2Client

/// When connections are closed, rotated, and make room; and the end of the pool.
@Suite(.inTurn) struct PoolStateClosingTests {
    @Test(arguments: [HTTPProtocolVersion.http1, .http2])
    func `A connection with nothing on it is closed within the last second of the idle timeout`(
        _ version: HTTPProtocolVersion
    ) throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        let key = try pool.openIdle(origin, version)
        #expect(pool.advance(48.9).isEmpty)
        #expect(pool.advance(1) == [.close(key, .idleTimeout)])
        #expect(pool.closed(key).isEmpty)
    }

    @Test(arguments: [HTTPProtocolVersion.http1, .http2])
    func `A connection that has been idle for the whole time is not handed out even if the tick is late`(
        _ version: HTTPProtocolVersion
    ) throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        let key = try pool.openIdle(origin, version)
        pool.now += 50 * PoolHarness.second
        try pool.wait(origin)
        #expect(pool.actions.first == .close(key, .idleTimeout))
        #expect(pool.dials.count == 1)
    }

    @Test func `Connections that come due one after the other are closed by few ticks, none of them late`() throws {
        let pool = PoolHarness(.http1Only, { $0.http1ConnectionsPerOrigin = 200 })
        let origin = pool.origin()
        var due: [ConnectionKey: UInt64] = [:]
        var keys: [ConnectionKey] = []
        for _ in 0..<200 { keys.append(try pool.open(origin, .http1)) }
        for key in keys {
            pool.now += PoolHarness.second / 50
            pool.release(key, origin)
            due[key] = pool.now + 50 * PoolHarness.second
        }
        var wakes: Set<UInt64> = []
        while !due.isEmpty, pool.now < 1_120 * PoolHarness.second {
            wakes.insert(pool.wakes)
            for case .close(let key, .idleTimeout) in pool.advance(0.01) {
                let limit = due.removeValue(forKey: key) ?? 0
                #expect(pool.now <= limit && pool.now + PoolHarness.second + PoolHarness.second / 50 >= limit)
            }
        }
        #expect(due.count == 0)
        #expect(wakes.count < 20)
    }

    @Test func `A connection that served in the meantime has its idle time begin anew`() throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        let key = try pool.openIdle(origin, .http2)
        pool.advance(40)
        _ = try pool.use(origin)
        #expect(pool.advance(100).isEmpty)
        pool.release(key, origin)
        #expect(pool.advance(48.9).isEmpty)
        #expect(pool.advance(1) == [.close(key, .idleTimeout)])
    }

    @Test func `Requests arm no timer of their own`() throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        let key = try pool.openIdle(origin, .http2)
        let armed = pool.wakes
        for _ in 0..<1_000 {
            pool.now += 1_000_000
            _ = try pool.use(origin)
            pool.release(key, origin)
        }
        #expect(pool.wakes == armed)
    }

    @Test func `An old connection takes no requests, and is replaced when somebody asks`() throws {
        let pool = PoolHarness(.automatic, { $0.maximumAge = .seconds(10) })
        let origin = pool.origin()
        let key = try pool.open(origin, .http2)
        #expect(pool.advance(10.6) == [.drain(key, .maximumAge)])
        try pool.wait(origin)
        #expect(pool.actions == [.dial(try pool.dialed(), origin, .either, .replacement)])
    }

    @Test func `A connection whose dial took long gets old in time too`() throws {
        let pool = PoolHarness(.automatic, { $0.maximumAge = .seconds(10) })
        let origin = pool.origin()
        try pool.wait(origin)
        let key = try pool.dialed()
        // The ticks that dials ask for are over.
        pool.advance(300)
        pool.connected(key, .http2)
        #expect(pool.wakes <= pool.now + 21 * PoolHarness.second / 2)
        #expect(pool.advance(10.6).contains(.drain(key, .maximumAge)))
    }

    @Test func `Connections that opened together do not get old together, and none gets older than it may`() throws {
        let pool = PoolHarness(.http1Only, { $0.http1ConnectionsPerOrigin = 50 })
        let origin = pool.origin()
        var keys: [ConnectionKey] = []
        for _ in 0..<50 { keys.append(try pool.open(origin, .http1)) }
        var (first, last) = (Double.infinity, 0.0)
        var drained: Set<ConnectionKey> = []
        let opened = pool.now
        while drained.count < 50, pool.wakes < .max {
            pool.advance(Double(pool.wakes - pool.now) / 1e9)
            for case .drain(let key, .maximumAge) in pool.actions { drained.insert(key) }
            guard !pool.actions.isEmpty else { continue }
            (first, last) = (min(first, Double(pool.now - opened) / 1e9), max(last, Double(pool.now - opened) / 1e9))
        }
        #expect(drained == Set(keys))
        // By default 10 minutes. Ticks come up to 5 % late; until then such a connection is passed over.
        #expect(first >= 540 && last <= 630, "\(first) to \(last)")
        let limits = Set(keys.map { pool.state.connections[Int32($0.slot)].ageLimit })
        #expect(limits.count > 40)
        #expect(limits.allSatisfy { $0 <= opened + 600 * PoolHarness.second })
    }

    @Test func `An old connection is not handed out even if the tick is late`() throws {
        let pool = PoolHarness(.automatic, { $0.maximumAge = .seconds(10) })
        let origin = pool.origin()
        let key = try pool.openIdle(origin, .http2)
        pool.now += 10 * PoolHarness.second
        try pool.wait(origin)
        #expect(pool.actions.first == .close(key, .maximumAge))
        #expect(pool.dials.count == 1)
    }

    @Test func `A connection is drained ahead of its last request, and replaced only for one who waits`() throws {
        let pool = PoolHarness(.automatic, { $0.requestsPerConnection = 2 })
        let origin = pool.origin()
        let key = try pool.open(origin, .http2)
        #expect(try pool.use(origin) == key)
        #expect(pool.actions == [.drain(key, .maximumRequests)])
        #expect(pool.release(key, origin).isEmpty)
        #expect(pool.release(key, origin) == [.close(key, .maximumRequests)])
        try pool.wait(origin)
        #expect(pool.dials.count == 1)
        #expect(pool.closed(key).isEmpty)
    }

    @Test func `What an HTTP/1.1 server announces tightens the limits of that connection`() throws {
        let pool = PoolHarness(.http1Only)
        let origin = pool.origin()
        let key = try pool.open(origin, .http1)
        pool.event { $0.serverLimits(key, requests: 1, idleUntil: $0.now + 5 * PoolHarness.second) }
        pool.release(key, origin)
        _ = try pool.use(origin)
        #expect(pool.actions == [.drain(key, .serverLimit)])
        let other = try pool.open(origin, .http1)
        pool.event { $0.serverLimits(other, requests: nil, idleUntil: $0.now + 5 * PoolHarness.second) }
        pool.release(other, origin)
        #expect(pool.advance(4.9).isEmpty)
        #expect(pool.advance(0.4) == [.close(other, .serverLimit)])
    }

    @Test func `A connection past the time that its server announced is not handed out`() throws {
        let pool = PoolHarness(.http1Only)
        let origin = pool.origin()
        let key = try pool.open(origin, .http1)
        pool.event { $0.serverLimits(key, requests: nil, idleUntil: $0.now + 5) }
        pool.release(key, origin)
        pool.now += 5
        try pool.wait(origin)
        #expect(pool.actions.first == .close(key, .serverLimit))
    }

    @Test func `A server that ends connections after so many requests twice is left just before it does`() throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        for _ in 0..<2 {
            let key = try pool.open(origin, .http2)
            for _ in 0..<2 { _ = try pool.use(origin) }
            pool.draining(key, served: 3)
            for _ in 0..<3 { pool.release(key, origin) }
            pool.closed(key)
        }
        let key = try pool.open(origin, .http2)
        _ = try pool.use(origin)
        #expect(pool.actions.isEmpty)
        #expect(try pool.use(origin) == key)
        #expect(pool.actions == [.drain(key, .learnedRequests)])
    }

    // MARK: - Connections whose peer may be gone

    @Test func `A doubted connection is given no requests, another is dialled, and the peer's word brings it back`()
        throws
    {
        let pool = PoolHarness()
        let origin = pool.origin()
        let key = try pool.open(origin, .http2)
        pool.event { $0.doubted(key) }
        let waiter = try pool.wait(origin)
        let dial = try pool.dialed()
        #expect(pool.actions == [.dial(dial, origin, .either, .replacement)])
        pool.event { $0.trusted(key) }
        #expect(pool.actions == [.assign(waiter, key), .cancelDial(dial, .notNeeded)])
        #expect(try pool.use(origin) == key)
    }

    @Test func `A doubted connection whose place another took is drained when its peer speaks`() throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        let key = try pool.open(origin, .http2)
        pool.event { $0.doubted(key) }
        let other = try pool.open(origin, .http2)
        #expect(other != key)
        pool.event { $0.trusted(key) }
        #expect(pool.actions == [.drain(key, .notNeeded)])
        #expect(try pool.use(origin) == other)
        #expect(pool.release(key, origin) == [.close(key, .notNeeded)])
    }

    @Test func `With several connections allowed, one comes back beside the other`() throws {
        let pool = PoolHarness(.automatic, { $0.whenSaturated = .openConnection(upTo: 2) })
        let origin = pool.origin()
        let key = try pool.open(origin, .http2)
        pool.event { $0.doubted(key) }
        let other = try pool.open(origin, .http2)
        pool.event { $0.trusted(key) }
        #expect(pool.actions.isEmpty)
        #expect(try Set([pool.use(origin), pool.use(origin)]) == [key, other])
    }

    @Test(arguments: 0..<6)
    func `A doubted connection can end in every way`(_ way: Int) throws {
        let pool = PoolHarness(.automatic, { ($0.idleTimeout, $0.maximumAge) = (.seconds(10), .seconds(100)) })
        let origin = pool.origin()
        let key = try pool.open(origin, .http2)
        pool.event { $0.doubted(key) }
        if way != 3 { pool.release(key, origin) }
        switch way {
        case 0: #expect(pool.advance(10) == [.close(key, .idleTimeout)])
        case 1: pool.event { $0.closeIdle() }
        case 2: pool.event { $0.shutdown() }
        case 3:
            #expect(pool.advance(106) == [.drain(key, .maximumAge)])
            pool.release(key, origin)
        case 4: pool.draining(key)
        default: break
        }
        pool.event { $0.trusted(key) }
        pool.closed(key)
        pool.event { $0.trusted(key) }
        #expect(pool.figures(of: origin).http2Idle == 0)
    }

    @Test func `Who shares a doubted connection dials its own`() throws {
        let pool = PoolHarness()
        let (one, two) = (pool.origin(), pool.origin())
        let key = try pool.open(one, .http2)
        try pool.wait(two)
        let dial = try pool.dialed()
        pool.event { _ = $0.coalesced(two, onto: key) }
        pool.closed(dial)
        pool.event { $0.doubted(key) }
        try pool.wait(two)
        #expect(pool.dials.count == 1)
    }

    @Test func `Two different numbers teach nothing, and neither does the end of an idle connection`() throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        for served in [2, 3, 2] {
            let key = try pool.open(origin, .http2)
            pool.draining(key, served: served)
            pool.release(key, origin)
            pool.closed(key)
        }
        for _ in 0..<3 {
            let key = try pool.openIdle(origin, .http2)
            pool.draining(key, served: 7)
            pool.closed(key)
        }
        #expect(pool.state.origins[0].learned == .max)
    }

    @Test func `A connection that serves more than was learned has it forgotten`() throws {
        let pool = PoolHarness(
            .automatic, { ($0.whenSaturated, $0.streamsPerConnection) = (.openConnection(upTo: 3), 2) })
        let origin = pool.origin()
        let long = try pool.open(origin, .http2)
        _ = try pool.use(origin)
        for _ in 0..<2 {
            try pool.wait(origin)
            let key = try pool.dialed()
            pool.connected(key, .http2)
            _ = try pool.use(origin)
            pool.draining(key, served: 2)
            pool.release(key, origin)
            pool.release(key, origin)
            pool.closed(key)
        }
        #expect(pool.state.origins[0].learned == 2)
        pool.release(long, origin)
        #expect(try pool.use(origin) == long)
        #expect(pool.state.origins[0].learned == .max)
    }

    @Test func `A dead connection is never handed out`() throws {
        let pool = PoolHarness(.http1Only)
        let origin = pool.origin()
        let key = try pool.openIdle(origin, .http1)
        pool.closed(key)
        try pool.wait(origin)
        #expect(pool.dials.count == 1)
        let other = try pool.dialed()
        pool.connected(other, .http1)
        #expect(pool.release(other, origin, reuse: false) == [.close(other, .serverSaid)])
        try pool.wait(origin)
        #expect(pool.dials.count == 1)
    }

    @Test func `Idle connections are closed on request, and those at work are not`() throws {
        let pool = PoolHarness()
        let (one, two) = (pool.origin(), pool.origin())
        let idle = try pool.openIdle(one, .http2)
        _ = try pool.open(two, .http2)
        pool.event { $0.closeIdle() }
        #expect(pool.actions == [.close(idle, .closeIdle)])
    }

    // MARK: Room

    @Test func `Where all connections are taken, the longest idle makes room`() throws {
        let pool = PoolHarness(.automatic, { $0.connections = 2 })
        let (one, two, three) = (pool.origin(), pool.origin(), pool.origin())
        let first = try pool.openIdle(one, .http2)
        pool.now += 1
        _ = try pool.openIdle(two, .http1)
        try pool.wait(three)
        #expect(pool.actions == [.close(first, .makeRoom)])
        pool.closed(first)
        #expect(pool.actions == [.dial(try pool.dialed(), three, .either, .first)])
    }

    @Test func `Where none is idle, a request waits for one that becomes so`() throws {
        let pool = PoolHarness(.automatic, { $0.connections = 1 })
        let (one, two) = (pool.origin(), pool.origin())
        let key = try pool.open(one, .http2)
        try pool.wait(two)
        #expect(pool.actions.isEmpty)
        #expect(pool.release(key, one) == [.close(key, .makeRoom)])
        pool.closed(key)
        #expect(pool.dials.count == 1)
    }

    @Test func `Origins that wait for room get it in turn`() throws {
        let pool = PoolHarness(.http1Only, { $0.connections = 1 })
        let (one, two, three) = (pool.origin(), pool.origin(), pool.origin())
        let key = try pool.open(one, .http1)
        for _ in 0..<2 {
            try pool.wait(two)
            try pool.wait(three)
        }
        pool.closed(key)
        pool.release(key, one)
        var order: [OriginKey] = []
        var last = pool.actions
        pool.closed(ConnectionKey(index: 99, generation: 1))
        #expect(pool.actions.isEmpty, "an unknown connection is passed over")
        for _ in 0..<4 {
            pool.advance(0)
            let current = try #require(
                pool.figures().first { $0.1.dialing + $0.1.http1Active > 0 }?.0)
            order.append(current)
            let slot = try #require(
                (0..<pool.state.connections.bound).first { pool.state.connections.isTaken($0) })
            let connection = pool.state.connections.key(Int32(slot))
            pool.connected(connection, .http1)
            pool.closed(connection)
            last = pool.actions
            pool.release(connection, current)
        }
        #expect(order == [two, three, two, three])
        #expect(last.isEmpty)
    }

    @Test func `An origin with several connections at work gives one to an origin that has none`() throws {
        let pool = PoolHarness(.http1Only, { $0.connections = 2 })
        let (one, two) = (pool.origin(), pool.origin())
        let (first, second) = (try pool.open(one, .http1), try pool.open(one, .http1))
        try pool.wait(one)
        try pool.wait(two)
        let waiter = try pool.wait(one)
        _ = waiter
        // The first in the queue for room is `one` itself, which gets no third connection.
        pool.release(first, one)
        #expect(pool.assignments.count == 1)
        pool.release(second, one)
        pool.advance(1.1)
        #expect(pool.actions.contains { if case .drain(_, .makeRoom) = $0 { true } else { false } })
    }

    @Test func `A connection that is at work without end gives room after a second`() throws {
        let pool = PoolHarness(.automatic, { $0.connections = 1 })
        let (one, two) = (pool.origin(), pool.origin())
        let key = try pool.open(one, .http2)
        try pool.wait(two)
        #expect(pool.advance(0.9).isEmpty)
        #expect(pool.advance(0.2) == [.drain(key, .makeRoom)])
        pool.release(key, one)
        pool.closed(key)
        #expect(pool.dials.count == 1)
    }

    @Test func `Origins that want the same place have it in turns of a second`() throws {
        let pool = PoolHarness(.http1Only, { $0.connections = 1 })
        var (holder, other) = (pool.origin(), pool.origin())
        var key = try pool.open(holder, .http1)
        for _ in 0..<5 {
            let opened = pool.now
            try pool.wait(other)
            while !pool.actions.contains(.drain(key, .makeRoom)), pool.now < opened + 10 * PoolHarness.second {
                pool.advance(0.01)
            }
            let turn = Double(pool.now - opened) / 1e9
            #expect(turn >= 0.99 && turn <= 1.05, "\(turn)")
            pool.release(key, holder)
            pool.closed(key)
            key = try pool.dialed()
            pool.advance(0.02)
            pool.connected(key, .http1)
            #expect(pool.assignments.count == 1)
            (holder, other) = (other, holder)
        }
    }

    @Test func `Each origin that has waited for room for a second gets a place`() throws {
        let pool = PoolHarness(.http1Only, { $0.connections = 4 })
        let busy = pool.origin()
        var keys: [ConnectionKey] = []
        for _ in 0..<4 { keys.append(try pool.open(busy, .http1)) }
        for _ in 0..<3 { try pool.wait(pool.origin()) }
        #expect(pool.advance(0.95).isEmpty)
        #expect(pool.advance(0.1) == keys.prefix(3).map { .drain($0, .makeRoom) })
    }

    // MARK: A peer that takes nothing

    @Test func `A connection whose peer takes no bytes is passed over until it does`() throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        let key = try pool.open(origin, .http2)
        pool.event { $0.stalled(key, true) }
        #expect(pool.actions.isEmpty)
        let waiter = try pool.wait(origin)
        let other = try pool.dialed()
        pool.event { $0.stalled(key, false) }
        #expect(pool.actions.contains(.assign(waiter, key)) && pool.actions.contains(.cancelDial(other, .notNeeded)))
        #expect(try pool.use(origin) == key)
    }

    @Test func `A connection that comes back to where another has taken its place finishes what is on it`() throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        let key = try pool.open(origin, .http2)
        pool.event { $0.stalled(key, true) }
        let other = try pool.open(origin, .http2)
        pool.event { $0.stalled(key, false) }
        #expect(pool.actions == [.drain(key, .notNeeded)])
        #expect(try pool.use(origin) == other)
        #expect(pool.release(key, origin) == [.close(key, .notNeeded)])
    }

    @Test func `Origins that share a connection leave it when its peer takes no bytes`() throws {
        let pool = PoolHarness()
        let (one, two, three) = (pool.origin(), pool.origin(), pool.origin())
        let key = try pool.open(one, .http2)
        #expect(pool.event { $0.coalesced(two, onto: key) })
        #expect(try pool.use(two) == key)
        pool.event { $0.stalled(key, true) }
        try pool.wait(two)
        #expect(pool.dials.count == 1)
        #expect(!pool.event { $0.coalesced(three, onto: key) })
        pool.release(key, two)
    }

    // MARK: The end

    @Test func `A shutdown fails who waits, closes what is idle, drains the rest, and says when it is done`() throws {
        let pool = PoolHarness()
        let (one, two, three) = (pool.origin(), pool.origin(), pool.origin())
        let idle = try pool.openIdle(one, .http2)
        let busy = try pool.open(two, .http2)
        let waiter = try pool.wait(three)
        let dial = try pool.dialed()
        pool.event { $0.shutdown() }
        #expect(
            Set(pool.actions) == [
                .fail(waiter, .shutDown), .close(idle, .shutdown), .drain(busy, .shutdown),
                .cancelDial(dial, .shutdown),
            ])
        #expect(pool.lease(one) == .fail(.shutDown))
        #expect(pool.closed(idle).isEmpty && pool.closed(dial).isEmpty)
        pool.release(busy, two)
        #expect(pool.closed(busy) == [.drained])
    }

    @Test func `A shutdown at once closes what is at work`() throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        let busy = try pool.open(origin, .http2)
        pool.event { $0.shutdownNow() }
        #expect(pool.actions.last == .abort(busy, .shutdown))
        pool.closed(busy)
        #expect(pool.actions == [.drained])
        pool.release(busy, origin)
    }

    @Test func `A pool with nothing in it is shut down at once`() {
        let pool = PoolHarness()
        pool.event { $0.shutdown() }
        #expect(pool.actions == [.drained])
    }

    // MARK: Remembering

    @Test func `Origins that nothing is done with can be forgotten, the longest unused first`() throws {
        let pool = PoolHarness()
        let used = pool.origin()
        try pool.wait(used)
        let first = pool.state.addOrigin(isSecure: true)
        for _ in 1..<PoolState.rememberedOrigins { _ = pool.state.addOrigin(isSecure: true) }
        #expect(pool.state.forgettableOrigin == nil)
        _ = pool.state.addOrigin(isSecure: true)
        #expect(pool.state.forgettableOrigin == first)
        pool.state.removeOrigin(first)
        #expect(pool.state.forgettableOrigin == nil && !pool.isUnused(first) && !pool.isUnused(used))
        pool.dialFailed(ConnectionKey(index: 0, generation: 1))
        #expect(pool.isUnused(used))
    }
}
