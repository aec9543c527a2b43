import H2TestSupport
import Testing

@testable import H2Client

/// Requests for a connection other than certain ones.
@Suite(.inTurn, .ownThreads) struct PoolStateOthersTests {
    private func waited(_ result: LeaseResult) throws -> WaiterKey {
        guard case .wait(let key) = result else { throw PoolHarness.Unexpected("\(result)") }
        return key
    }

    @Test func `Over HTTP 2 a second connection is dialled, even if one is the rule`() throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        let first = try pool.open(origin, .http2)
        let waiter = try waited(pool.leaseOther(origin, than: first))
        let reasons = pool.actions.compactMap { if case .dial(_, _, _, let reason) = $0 { reason } else { nil } }
        #expect(reasons == [.hedged])
        let second = try pool.dialed()
        #expect(pool.connected(second, .http2).contains(.assign(waiter, second)))
        // It stays for the next one.
        pool.release(second, origin)
        #expect(pool.leaseOther(origin, than: first) == .use(second))
        #expect(pool.leaseOther(origin, than: second) == .use(first))
        #expect(pool.leaseOther(origin, than: first, second) == .fail(.noOther))
    }

    @Test func `A lease that is returned unused does not count`() throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        let first = try pool.open(origin, .http2)
        let before = (pool.state.leased, pool.state.reused)
        let next = try pool.use(origin)
        #expect(next == first && pool.state.leased == before.0 + 1)
        pool.event { $0.returnedUnused(Lease(connection: first, origin: origin)) }
        #expect(pool.state.leased == before.0 && pool.state.reused == before.1)
    }

    @Test func `The options say how many HTTP 2 connections there may be`() throws {
        for limit in 1...3 {
            let pool = PoolHarness { $0.whenSaturated = .openConnection(upTo: limit) }
            let origin = pool.origin()
            var all = [try pool.open(origin, .http2)]
            for _ in 1..<3 where all.count < limit {
                let waiter = try waited(pool.event { [all] in $0.leaseOther(origin, than: all) })
                let next = try pool.dialed()
                #expect(pool.connected(next, .http2).contains(.assign(waiter, next)))
                all.append(next)
            }
            #expect(all.count == limit)
            let further = pool.event { [all] in $0.leaseOther(origin, than: all) }
            #expect(further == .fail(.noOther))
        }
    }

    @Test func `Over HTTP 1 any free connection will do, and one is dialled within the limit`() throws {
        let pool = PoolHarness { $0.http1ConnectionsPerOrigin = 3 }
        let origin = pool.origin()
        let first = try pool.open(origin, .http1)
        let waiter = try waited(pool.leaseOther(origin, than: first))
        let second = try pool.dialed()
        #expect(pool.connected(second, .http1).contains(.assign(waiter, second)))
        pool.release(first, origin)
        // The connection it avoids is idle, but another one is dialled all the same.
        let next = try pool.use(origin)
        #expect(next == first)
        pool.release(first, origin)
        _ = try waited(pool.leaseOther(origin, than: first))
        let third = try pool.dialed()
        pool.connected(third, .http1)
        #expect(pool.leaseOther(origin, than: second) == .use(first))
        #expect(pool.leaseOther(origin, than: first) == .fail(.noOther))
    }

    @Test(arguments: [HTTPProtocolVersion.http1, .http2])
    func `It fails where there may be one connection alone`(_ version: HTTPProtocolVersion) throws {
        let one = PoolHarness { $0.connections = 1 }
        let origin = one.origin()
        let only = try one.open(origin, version)
        #expect(one.leaseOther(origin, than: only) == .fail(.noOther))
        let single = PoolHarness {
            $0.http1ConnectionsPerOrigin = 1
            $0.whenSaturated = .openConnection(upTo: 1)
        }
        let other = single.origin()
        let alone = try single.open(other, version)
        #expect(single.leaseOther(other, than: alone) == .fail(.noOther))
    }

    @Test func `No other origin's idle connection is closed for it`() throws {
        let pool = PoolHarness { $0.connections = 2 }
        let (origin, idler) = (pool.origin(), pool.origin())
        let first = try pool.open(origin, .http2)
        _ = try pool.openIdle(idler, .http2)
        #expect(pool.leaseOther(origin, than: first) == .fail(.noOther))
        #expect(pool.actions.isEmpty)
    }

    @Test func `It counts for the limits on load, and does not wait for them`() throws {
        for change in [
            { $0.concurrentRequests = 1 }, { $0.concurrentRequestsPerOrigin = 1 },
            { $0.requestsPerSecondPerOrigin = 0.001 },
            {
                $0.adaptive = .init()
                $0.adaptive?.initial = 1
            },
        ] as [(inout HTTPClient.LoadLimits) -> Void] {
            let pool = PoolHarness(.automatic, { $0.http1ConnectionsPerOrigin = 2 }, loadLimits: change)
            let origin = pool.origin()
            let first = try pool.open(origin, .http1)
            let result = pool.leaseOther(origin, than: first)
            if case .wait = result { pool.connected(try pool.dialed(), .http1) }
            #expect(pool.figures(of: origin).inFlight == 1)
            #expect(pool.assignments.isEmpty)
        }
        let pool = PoolHarness(loadLimits: { $0.concurrentRequests = 2 })
        let origin = pool.origin()
        let first = try pool.open(origin, .http2)
        _ = try waited(pool.leaseOther(origin, than: first))
        pool.connected(try pool.dialed(), .http2)
        #expect(pool.figures(of: origin).inFlight == 2)
        #expect(pool.figures(of: origin).http2Active == 2)
    }

    @Test func `It stands behind requests of the usual kind`() throws {
        let pool = PoolHarness { $0.http1ConnectionsPerOrigin = 2 }
        let origin = pool.origin()
        let first = try pool.open(origin, .http1)
        let other = try waited(pool.leaseOther(origin, than: first))
        let second = try pool.dialed()
        let request = try pool.wait(origin)
        #expect(pool.connected(second, .http1).contains(.assign(request, second)))
        // Nothing is dialled for it any more, so it stops waiting.
        #expect(pool.actions.contains(.fail(other, .noOther)))
        try pool.wait(origin)
        #expect(pool.leaseOther(origin, than: first) == .fail(.noOther))
    }

    @Test func `While it waits, a free connection serves the next request at once`() throws {
        let pool = PoolHarness { $0.whenSaturated = .fail }
        let origin = pool.origin()
        let first = try pool.open(origin, .http2)
        _ = try waited(pool.leaseOther(origin, than: first))
        #expect(pool.lease(origin) == .use(first))
    }

    @Test func `It fails with its dial, and no other is tried for a while`() throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        let first = try pool.open(origin, .http2)
        let waiter = try waited(pool.leaseOther(origin, than: first))
        let dial = try pool.dialed()
        #expect(pool.dialFailed(dial).contains(.fail(waiter, .dialFailed(dial))))
        #expect(pool.dials.isEmpty)
        #expect(pool.leaseOther(origin, than: first) == .fail(.noOther))
        pool.advance(1)
        _ = try waited(pool.leaseOther(origin, than: first))
    }

    @Test func `One that gives up leaves the dial to the next, unless it is slow`() throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        let first = try pool.open(origin, .http2)
        let early = try waited(pool.leaseOther(origin, than: first))
        #expect(pool.giveUp(early))
        #expect(pool.actions.isEmpty)
        let waiter = try waited(pool.leaseOther(origin, than: first))
        #expect(pool.dials.isEmpty)
        #expect(pool.giveUp(waiter))
        let cancelled = pool.advance(2).filter { if case .cancelDial = $0 { true } else { false } }
        #expect(cancelled.count == 1)
    }

    @Test func `A shutdown fails it, and a later one gets none`() throws {
        let pool = PoolHarness()
        let origin = pool.origin()
        let first = try pool.open(origin, .http2)
        let waiter = try waited(pool.leaseOther(origin, than: first))
        pool.event { $0.shutdown() }
        #expect(pool.actions.contains(.fail(waiter, .shutDown)))
        #expect(pool.leaseOther(origin, than: first) == .fail(.shutDown))
    }
}
