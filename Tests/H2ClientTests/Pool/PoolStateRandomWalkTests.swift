import H2TestSupport
import Testing

@testable import H2Client

/// Random options and events. After each event all that must hold is checked; what the pool does is checked against a model
/// of the connections and requests that its owner would keep.
@Suite(.inTurn, .ownThreads) struct PoolStateRandomWalkTests {
    @Test(arguments: 1...200) func `Whatever happens, limits hold and each request ends once`(seed: UInt64) {
        let walk = PoolWalk(seed: seed)
        for _ in 0..<400 where walk.complaint == nil { walk.step() }
        walk.finish()
        #expect(walk.complaint == nil, "seed \(seed)")
    }
}

/// One walk. The first thing that is wrong ends up in `complaint`.
final class PoolWalk {
    struct Random: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
        mutating func one(in count: Int) -> Bool { Int.random(in: 0..<count, using: &self) == 0 }
    }

    struct Waiter {
        var origin: OriginKey
        var kind: LeaseKind
        var order: Int
        var avoided: [ConnectionKey] = []
    }

    struct Held {
        var lease: Lease
        var isExclusive: Bool
    }

    struct Connection {
        var origin: OriginKey
        var versions: ProtocolOffer
        var version: HTTPProtocolVersion?
        var limit = 0
        var streams = 0
        var holders = 0
        var isStalled = false
        /// Takes no requests: the pool or the server said so.
        var isEnding = false
        /// To be answered with `closed` soon.
        var isToldToClose = false
        var isGone = false
    }

    var random: Random
    var state: PoolState
    var pool = HTTPClient.Pool()
    var loadLimits = HTTPClient.LoadLimits()
    var now: UInt64 = 1_000_000_000_000
    var armed = UInt64.max
    var origins: [OriginKey] = []
    var waiters: [WaiterKey: Waiter] = [:]
    var leases: [Held] = []
    var connections: [ConnectionKey: Connection] = [:]
    var keys: [ConnectionKey] = []
    var order = 0
    var isShutDown = false
    var wasDrained = false
    var complaint: String?

    init(seed: UInt64) {
        random = Random(state: seed)
        var options = HTTPClient.Pool()
        options.http1ConnectionsPerOrigin = .random(in: 1...3, using: &random)
        options.connections = random.one(in: 3) ? 1 : .random(in: 2...7, using: &random)
        options.whenSaturated = [.queue, .queue, .openConnection(upTo: 3), .fail][.random(in: 0..<4, using: &random)]
        if random.one(in: 2) { options.streamsPerConnection = .random(in: 1...3, using: &random) }
        if random.one(in: 3) { options.requestsPerConnection = .random(in: 1...5, using: &random) }
        if random.one(in: 3) { options.maximumAge = .seconds(3) }
        options.idleTimeout = .milliseconds([100, 2_000, 60_000][.random(in: 0..<3, using: &random)])
        options.waitingRequests = [3, 20, 1_000][.random(in: 0..<3, using: &random)]
        var limits = HTTPClient.LoadLimits()
        if random.one(in: 3) { limits.concurrentRequestsPerOrigin = .random(in: 1...3, using: &random) }
        if random.one(in: 3) { limits.concurrentRequests = .random(in: 1...5, using: &random) }
        if random.one(in: 4) {
            limits.requestsPerSecondPerOrigin = 5
            limits.burst = .random(in: 1...3, using: &random)
        }
        if random.one(in: 4) {
            limits.adaptive = HTTPClient.LoadLimits.Adaptive()
            limits.adaptive?.initial = 2
            limits.adaptive?.maximumPause = .seconds(2)
        }
        let versions: HTTPClient.Versions =
            [.automatic, .automatic, .automatic, .http2Only, .http1Only, .http2PriorKnowledge][
                .random(in: 0..<6, using: &random)]
        (pool, loadLimits) = (options, limits)
        state = PoolState(versions: versions, pool: options, loadLimits: limits)
        for _ in 0..<Int.random(in: 1...5, using: &random) {
            origins.append(state.addOrigin(isSecure: !random.one(in: 5)))
        }
    }

    func complain(_ what: @autoclosure () -> String) {
        if complaint == nil { complaint = what() }
    }

    // MARK: Events

    func step() {
        now += UInt64.random(in: 0...30_000_000, using: &random)
        if random.one(in: 40) { now += UInt64.random(in: 0...3_000_000_000, using: &random) }
        if armed <= now { tick() }
        guard let origin = origins.randomElement(using: &random) else { return }
        let connection = keys.randomElement(using: &random)
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<26: request(origin)
        case 26..<30: requestOther(origin)
        case 30..<50: if let connection { progress(connection) }
        case 50..<75: release()
        case 75..<79:
            guard let (key, _) = waiters.min(by: { $0.value.order < $1.value.order }), random.one(in: 2) else { return }
            if !act({ $0.giveUp(key) }) { complain("a waiter is not known") }
            waiters[key] = nil
        case 79..<82: if let connection { serverDrains(connection) }
        case 82..<86: if let connection { close(connection) }
        case 86..<90: if let connection { changeLimit(connection) }
        case 90, 91: answer(origin)
        case 92:
            guard let connection else { return }
            stall(connection, random.one(in: 2))
        case 93: tick()
        case 94: if random.one(in: 4) { act { $0.closeIdle() } }
        case 95: if random.one(in: 10) { act { $0.requireHTTP1(origin) } }
        case 96, 97:
            guard let connection else { return }
            let isEnding = connections[connection]?.isEnding != false
            let isShared = act { $0.coalesced(origin, onto: connection) }
            if isEnding, isShared { complain("an ending connection is shared") }
        case 98: if random.one(in: 6) { act { $0.cannotCoalesce(origin) } }
        default: replaceOrigin(origin)
        }
    }

    private func request(_ origin: OriginKey) {
        var kind: LeaseKind = []
        if random.one(in: 6) { kind.insert(.replay) }
        if random.one(in: 10) { kind.insert(.http1) }
        if random.one(in: 12) { kind.insert(.exclusive) }
        if random.one(in: 40) { kind.insert(.own) }
        order += 1
        state.now = now
        switch state.lease(origin, kind: kind) {
        case .use(let key): took(key, origin, kind)
        case .wait(let key):
            if waiters[key] != nil { complain("a waiter's key is used twice") }
            waiters[key] = Waiter(origin: origin, kind: kind, order: order)
        case .fail(let failure):
            switch failure {
            case .saturated: if pool.whenSaturated != .fail || kind.contains(.replay) { complain("\(failure)") }
            case .tooManyWaiting: if waiters.count < pool.waitingRequests { complain("\(failure)") }
            case .shutDown: if !isShutDown { complain("\(failure)") }
            case .http1NotAllowed: if !kind.contains(.http1) { complain("\(failure)") }
            case .dialFailed, .noOther: complain("\(failure)")
            }
        }
        execute(state.takeActions())
    }

    /// Another copy of a request that is in progress.
    private func requestOther(_ origin: OriginKey) {
        let carrying = Set(leases.filter { $0.lease.origin == origin && !$0.isExclusive }.map(\.lease.connection))
        var avoided = keys.filter(carrying.contains)
        guard let first = avoided.randomElement(using: &random) else { return }
        if !random.one(in: 4) { avoided = [first] }
        order += 1
        state.now = now
        switch state.leaseOther(origin, than: avoided) {
        case .use(let key):
            if avoided.contains(key) { complain("a connection to avoid was given out") }
            took(key, origin, .other)
        case .wait(let key):
            if waiters[key] != nil { complain("a waiter's key is used twice") }
            waiters[key] = Waiter(origin: origin, kind: .other, order: order, avoided: avoided)
        case .fail(.noOther): break
        case .fail(let failure): if failure != .shutDown || !isShutDown { complain("\(failure)") }
        }
        execute(state.takeActions())
    }

    private func progress(_ key: ConnectionKey) {
        guard let connection = connections[key] else { return }
        if connection.isToldToClose || connection.isEnding && connection.streams + connection.holders == 0 {
            if connection.version == nil, random.one(in: 3) { return connect(key) }
            return gone(key)
        }
        guard connection.version == nil else { return }
        if random.one(in: 5) {
            connections[key]?.isGone = true
            let timedOut = random.one(in: 2)
            act { $0.dialFailed(key, timedOut: timedOut) }
            forget(key)
        } else {
            connect(key)
        }
    }

    private func connect(_ key: ConnectionKey) {
        guard let connection = connections[key] else { return }
        let version: HTTPProtocolVersion =
            switch connection.versions {
            case .either: random.one(in: 3) ? .http1 : .http2
            case .http2, .priorKnowledge: .http2
            case .http1, .cleartextHTTP1: .http1
            }
        connections[key]?.version = version
        let streams = version == .http1 ? 1 : Int.random(in: 0...4, using: &random)
        connections[key]?.limit = version == .http1 ? 1 : min(streams, pool.streamsPerConnection)
        act { $0.connected(key, protocol: version, maxStreams: streams) }
    }

    private func release() {
        guard !leases.isEmpty else { return }
        let index = Int.random(in: 0..<leases.count, using: &random)
        let held = leases.remove(at: index)
        let key = held.lease.connection
        let mayReuse = !random.one(in: 5)
        if held.isExclusive {
            connections[key]?.holders -= 1
        } else {
            connections[key]?.streams -= 1
        }
        if !mayReuse, connections[key]?.version == .http1 { connections[key]?.isEnding = true }
        if held.isExclusive {
            let served = Int.random(in: 0...2, using: &random)
            act { $0.releasedExclusive(held.lease, served: served, mayReuse: mayReuse) }
        } else {
            act { $0.released(held.lease, mayReuse: mayReuse) }
        }
        forget(key)
    }

    private func serverDrains(_ key: ConnectionKey) {
        guard let connection = connections[key], connection.version != nil, !connection.isGone else { return }
        connections[key]?.isEnding = true
        let served = random.one(in: 2) ? nil : 3
        act { $0.draining(key, served: served) }
    }

    private func close(_ key: ConnectionKey) {
        guard let connection = connections[key], connection.version != nil, !connection.isGone else { return }
        gone(key)
    }

    private func gone(_ key: ConnectionKey) {
        guard connections[key]?.isGone == false else { return }
        connections[key]?.isGone = true
        connections[key]?.isEnding = true
        act { $0.closed(key) }
        forget(key)
    }

    private func changeLimit(_ key: ConnectionKey) {
        guard let connection = connections[key] else { return }
        if connection.version == .http2 {
            let limit = Int.random(in: 0...4, using: &random)
            connections[key]?.limit = min(limit, pool.streamsPerConnection)
            act { $0.streamLimitChanged(key, to: limit) }
        } else if connection.version == .http1 {
            let requests = random.one(in: 2) ? nil : Int.random(in: 0...3, using: &random)
            let idle = random.one(in: 2) ? nil : now + UInt64.random(in: 0...2_000_000_000, using: &random)
            act { $0.serverLimits(key, requests: requests, idleUntil: idle) }
        }
    }

    private func stall(_ key: ConnectionKey, _ isStalled: Bool) {
        guard let connection = connections[key], connection.version == .http2, !connection.isGone else { return }
        connections[key]?.isStalled = isStalled
        act { $0.stalled(key, isStalled) }
    }

    private func answer(_ origin: OriginKey) {
        let answer: AdaptiveLimit.Answer = random.one(in: 4) ? .overloaded(retryAfter: 1_000_000_000) : .good
        act { $0.answered(origin, answer, latency: 1_000_000) }
    }

    private func replaceOrigin(_ origin: OriginKey) {
        guard state.isUnused(origin), let index = origins.firstIndex(of: origin) else { return }
        state.removeOrigin(origin)
        origins[index] = state.addOrigin(isSecure: !random.one(in: 5))
        check()
    }

    private func tick() {
        if armed <= now { armed = .max }
        act { $0.tick() }
    }

    // MARK: The end

    /// From here on servers answer, and nobody asks: each request that waits has to be served. Then the pool shuts down.
    func finish() {
        for _ in 0..<20_000 where complaint == nil && !waiters.isEmpty { servedWell() }
        if complaint == nil, !waiters.isEmpty { complain("\(waiters.count) requests wait for ever") }
        isShutDown = true
        if random.one(in: 2) {
            act { $0.shutdown() }
        } else {
            act { $0.shutdownNow() }
        }
        while complaint == nil, !leases.isEmpty { release() }
        for key in keys where complaint == nil { gone(key) }
        if complaint == nil, !wasDrained { complain("the shutdown did not end") }
        if !waiters.isEmpty { complain("\(waiters.count) requests were not told of the shutdown") }
        if state.connections.count > 0 { complain("\(state.connections.count) connections are left") }
    }

    private func servedWell() {
        for key in keys {
            if connections[key]?.isStalled == true { stall(key, false) }
            guard let connection = connections[key] else { continue }
            if connection.isToldToClose || connection.isEnding && connection.streams + connection.holders == 0 {
                gone(key)
            } else if connection.version == nil {
                connect(key)
            } else if connection.version == .http2, connection.limit == 0 {
                connections[key]?.limit = min(2, pool.streamsPerConnection)
                act { $0.streamLimitChanged(key, to: 2) }
            }
        }
        if !leases.isEmpty { return release() }
        now = armed == .max ? now + 1_000_000 : max(armed, now)
        if armed <= now { tick() }
    }

    // MARK: What the pool does

    @discardableResult
    private func act<T>(_ body: (inout PoolState) -> T) -> T {
        state.now = now
        let result = body(&state)
        execute(state.takeActions())
        return result
    }

    private func execute(_ actions: [PoolAction]) {
        for action in actions {
            switch action {
            case .dial(let key, let origin, let versions, _):
                if connections[key] != nil { complain("a connection's key is used twice") }
                connections[key] = Connection(origin: origin, versions: versions)
                keys.append(key)
            case .assign(let waiter, let key):
                guard let found = waiters.removeValue(forKey: waiter) else {
                    complain("a request is assigned twice")
                    continue
                }
                if found.avoided.contains(key) { complain("a connection to avoid was given out") }
                if found.kind.isEmpty,
                    waiters.values.contains(where: {
                        $0.kind.isEmpty && $0.origin == found.origin && $0.order < found.order
                    })
                {
                    complain("a request went before an earlier one")
                }
                took(key, found.origin, found.kind)
            case .fail(let waiter, _):
                if waiters.removeValue(forKey: waiter) == nil { complain("a request ended twice") }
            case .close(let key, let reason):
                if connections[key]?.streams != 0 || connections[key]?.holders != 0 {
                    complain("closed (\(reason)) with something on it")
                }
                ending(key, true)
            case .drain(let key, _): ending(key, false)
            case .abort(let key, _), .cancelDial(let key, _): ending(key, true)
            case .wakeAt(let time):
                if time >= armed { complain("a tick is asked for that comes already") }
                armed = time
            case .drained:
                if !isShutDown || wasDrained { complain("drained") }
                wasDrained = true
            }
        }
        check()
    }

    private func ending(_ key: ConnectionKey, _ now: Bool) {
        if connections[key]?.isGone != false { complain("told to end, but is gone") }
        connections[key]?.isEnding = true
        if now { connections[key]?.isToldToClose = true }
    }

    private func took(_ key: ConnectionKey, _ origin: OriginKey, _ kind: LeaseKind) {
        guard let connection = connections[key], connection.version != nil, !connection.isGone, !connection.isEnding
        else { return complain("a connection that takes no requests was given out") }
        if connection.isStalled { complain("a connection whose peer takes nothing was given out") }
        if kind.contains(.http1), connection.version != .http1 { complain("HTTP/2 was given out for HTTP/1.1") }
        if connection.version == .http1, connection.streams + connection.holders > 0 {
            complain("an HTTP/1.1 connection was given out twice")
        }
        if !kind.contains(.exclusive), connection.streams >= connection.limit { complain("too many streams") }
        if kind.contains(.exclusive) {
            connections[key]?.holders += 1
        } else {
            connections[key]?.streams += 1
        }
        leases.append(
            Held(lease: Lease(connection: key, origin: origin), isExclusive: kind.contains(.exclusive)))
    }

    private func forget(_ key: ConnectionKey) {
        guard let connection = connections[key], connection.isGone, connection.streams + connection.holders == 0 else {
            return
        }
        connections[key] = nil
        keys.removeAll { $0 == key }
    }

    private func check() {
        state.now = now
        let breaches = state.check()
        if let first = breaches.first { complain(first) }
    }
}
