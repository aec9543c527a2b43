import Testing

@testable import H2Client

extension PoolState {
    mutating func takeActions() -> [PoolAction] {
        defer { actions = [] }
        return actions
    }
}

/// A pool with a clock that the test moves. Each event returns its actions, save `wakeAt`, which is noted in `wakes`, and
/// is followed by a check of all that must hold.
final class PoolHarness {
    static let second: UInt64 = 1_000_000_000

    var state: PoolState
    var now: UInt64 = 1_000 * PoolHarness.second
    /// When the pool asked for a tick.
    var wakes = UInt64.max
    /// Of the last event, without `wakeAt`.
    var actions: [PoolAction] = []

    init(
        _ versions: HTTPClient.Versions = .automatic, _ pool: (inout HTTPClient.Pool) -> Void = { _ in },
        loadLimits: (inout HTTPClient.LoadLimits) -> Void = { _ in }
    ) {
        var options = HTTPClient.Pool()
        pool(&options)
        var limits = HTTPClient.LoadLimits()
        loadLimits(&limits)
        state = PoolState(versions: versions, pool: options, loadLimits: limits)
    }

    private func noting(_ location: SourceLocation) {
        actions = []
        for action in state.takeActions() {
            if case .wakeAt(let time) = action {
                #expect(time < wakes, "a later tick than the one that comes", sourceLocation: location)
                wakes = time
            } else {
                actions.append(action)
            }
        }
        let breaches = state.check()
        #expect(breaches.isEmpty, sourceLocation: location)
    }

    @discardableResult
    func event<T>(
        _ location: SourceLocation = #_sourceLocation, _ body: (inout PoolState) -> T
    ) -> T {
        state.now = now
        let result = body(&state)
        noting(location)
        return result
    }

    // MARK: Events

    func origin(secure: Bool = true) -> OriginKey { state.addOrigin(isSecure: secure) }

    @discardableResult
    func lease(
        _ origin: OriginKey, _ kind: LeaseKind = [], sourceLocation: SourceLocation = #_sourceLocation
    ) -> LeaseResult {
        event(sourceLocation) { $0.lease(origin, kind: kind) }
    }

    @discardableResult
    func leaseOther(
        _ origin: OriginKey, than avoided: ConnectionKey..., sourceLocation: SourceLocation = #_sourceLocation
    ) -> LeaseResult {
        event(sourceLocation) { $0.leaseOther(origin, than: avoided) }
    }

    /// A request that must get a connection at once.
    func use(
        _ origin: OriginKey, _ kind: LeaseKind = [], sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> ConnectionKey {
        guard case .use(let key) = lease(origin, kind, sourceLocation: sourceLocation) else {
            throw Unexpected("it did not get a connection")
        }
        return key
    }

    /// A request that must wait.
    @discardableResult
    func wait(
        _ origin: OriginKey, _ kind: LeaseKind = [], sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> WaiterKey {
        guard case .wait(let key) = lease(origin, kind, sourceLocation: sourceLocation) else {
            throw Unexpected("it did not wait")
        }
        return key
    }

    @discardableResult
    func connected(
        _ key: ConnectionKey, _ version: HTTPProtocolVersion, streams: Int = 100,
        sourceLocation: SourceLocation = #_sourceLocation
    ) -> [PoolAction] {
        event(sourceLocation) {
            $0.connected(key, protocol: version, maxStreams: streams)
        }
        return actions
    }

    @discardableResult
    func dialFailed(_ key: ConnectionKey, sourceLocation: SourceLocation = #_sourceLocation) -> [PoolAction] {
        event(sourceLocation) { $0.dialFailed(key) }
        return actions
    }

    @discardableResult
    func release(
        _ key: ConnectionKey, _ origin: OriginKey, reuse: Bool = true,
        sourceLocation: SourceLocation = #_sourceLocation
    ) -> [PoolAction] {
        event(sourceLocation) {
            $0.released(Lease(connection: key, origin: origin), mayReuse: reuse)
        }
        return actions
    }

    @discardableResult
    func giveBack(
        _ key: ConnectionKey, _ origin: OriginKey, served: Int = 0, reuse: Bool = true,
        sourceLocation: SourceLocation = #_sourceLocation
    ) -> [PoolAction] {
        event(sourceLocation) {
            $0.releasedExclusive(Lease(connection: key, origin: origin), served: served, mayReuse: reuse)
        }
        return actions
    }

    @discardableResult
    func draining(
        _ key: ConnectionKey, served: Int? = nil, sourceLocation: SourceLocation = #_sourceLocation
    ) -> [PoolAction] {
        event(sourceLocation) { $0.draining(key, served: served) }
        return actions
    }

    @discardableResult
    func closed(_ key: ConnectionKey, sourceLocation: SourceLocation = #_sourceLocation) -> [PoolAction] {
        event(sourceLocation) { $0.closed(key) }
        return actions
    }

    @discardableResult
    func giveUp(_ key: WaiterKey, sourceLocation: SourceLocation = #_sourceLocation) -> Bool {
        event(sourceLocation) { $0.giveUp(key) }
    }

    /// Moves the clock, and ticks as asked on the way.
    @discardableResult
    func advance(_ seconds: Double, sourceLocation: SourceLocation = #_sourceLocation) -> [PoolAction] {
        let end = now + UInt64(seconds * 1e9)
        var all: [PoolAction] = []
        while wakes <= end {
            now = max(now, wakes)
            wakes = .max
            event(sourceLocation) { $0.tick() }
            all += actions
        }
        now = end
        actions = all
        return all
    }

    // MARK: Shorter ways

    // `#expect` copies what a method is called on, which a PoolState cannot be.
    func figures(of origin: OriginKey) -> PoolState.Figures {
        figures().first { $0.0 == origin }?.1 ?? PoolState.Figures()
    }
    func figures() -> [(OriginKey, PoolState.Figures)] { state.figures() }
    func isUnused(_ origin: OriginKey) -> Bool { state.isUnused(origin) }
    func mayCoalesce(_ origin: OriginKey) -> Bool { state.mayCoalesce(origin) }

    struct Unexpected: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    /// The connections that the last event dials.
    var dials: [ConnectionKey] {
        actions.compactMap { if case .dial(let key, _, _, _) = $0 { key } else { nil } }
    }

    var assignments: [WaiterKey] {
        actions.compactMap { if case .assign(let waiter, _) = $0 { waiter } else { nil } }
    }

    /// The one connection that the last event dials.
    func dialed() throws -> ConnectionKey {
        guard let key = dials.first, dials.count == 1 else { throw Unexpected("\(dials.count) dials") }
        return key
    }

    /// Opens a connection by a request that is still on it.
    func open(_ origin: OriginKey, _ version: HTTPProtocolVersion, streams: Int = 100) throws -> ConnectionKey {
        try wait(origin)
        let key = try dialed()
        connected(key, version, streams: streams)
        guard assignments.count == 1 else { throw Unexpected("the request did not get the connection") }
        return key
    }

    /// Opens a connection, and has nothing on it.
    func openIdle(_ origin: OriginKey, _ version: HTTPProtocolVersion, streams: Int = 100) throws -> ConnectionKey {
        let key = try open(origin, version, streams: streams)
        release(key, origin)
        return key
    }
}
