import H2Platform

/// Counts of the HTTP/2 connections that carry tunnels, by proxy, across all loops.
///
/// Invariant behind `@unchecked Sendable`: `counts` is accessed under `lock`.
final class ProxyFigures: @unchecked Sendable {
    struct Counts: Equatable {
        /// Connections with tunnels, without tunnels, and those that accept no more.
        var active = 0
        var idle = 0
        var draining = 0
        var tunnels = 0
        var connectionsOpened = 0
        var tunnelsOpened = 0

        var isUnused: Bool { active == 0 && idle == 0 && draining == 0 && tunnels == 0 }
    }

    private let lock = PthreadLock()
    private var counts: [String: Counts] = [:]

    /// The maximum number of proxies remembered without connections.
    private static let rememberedProxies = 1_000

    /// - Parameter proxy: the same string for every user of a proxy: `HTTPClient.Proxy.description`.
    func change(_ proxy: String, _ change: (inout Counts) -> Void) {
        lock.withLock {
            change(&counts[proxy, default: Counts()])
            if counts.count > Self.rememberedProxies { counts = counts.filter { !$0.value.isUnused } }
        }
    }

    var all: [String: Counts] { lock.withLock { counts } }
}

/// Reports one HTTP/2 connection to a proxy to its client: figures and events.
///
/// Belongs to its loop's thread.
final class ProxyReport {
    enum Standing { case none, active, idle, draining }

    private let figures: ProxyFigures
    private let proxy: String
    /// Released when the connection ends, because it holds the client's pool.
    private var observe: ProxyRoute.Observer?
    private var standing = Standing.none

    init(_ figures: ProxyFigures, _ proxy: HTTPClient.Proxy, _ observe: ProxyRoute.Observer?) {
        self.figures = figures
        self.proxy = proxy.description
        self.observe = observe
    }

    func become(_ next: Standing) {
        guard next != standing else { return }
        figures.change(proxy) {
            $0.add(-1, standing)
            $0.add(1, next)
        }
        standing = next
    }

    func opened(_ connection: Connection, _ reason: HTTPClient.OpenReason) {
        figures.change(proxy) { $0.connectionsOpened += 1 }
        become(.idle)
        tell(.connectionOpened(connection.info, connection.version, reason), connection)
    }

    func tunnelOpened(to origin: Origin, _ connection: Connection, isReused: Bool) {
        figures.change(proxy) {
            $0.tunnels += 1
            $0.tunnelsOpened += 1
        }
        observe?(.tunnelOpened(isReused: isReused), origin, connection.info.id)
    }

    func tunnelClosed() { figures.change(proxy) { $0.tunnels -= 1 } }

    func draining(_ connection: Connection, _ why: H2Error) {
        tell(.connectionDraining(reason: why.message), connection)
    }

    func closed(_ connection: Connection, _ why: H2Error) {
        become(.none)
        tell(.connectionClosed(reason: why.message, requests: connection.requests), connection)
        observe = nil
    }

    private func tell(_ kind: HTTPClient.Event.Kind, _ connection: Connection) {
        observe?(kind, connection.info.origin, connection.info.id)
    }
}

extension ProxyFigures.Counts {
    fileprivate mutating func add(_ count: Int, _ standing: ProxyReport.Standing) {
        switch standing {
        case .none: break
        case .active: active += count
        case .idle: idle += count
        case .draining: draining += count
        }
    }
}
