/// A user's function that resolves names, with a cache of its answers.
///
/// Invariant behind `@unchecked Sendable`: mutable state is accessed only under `lock`. Callers are notified, and the
/// user's function is called, after the lock has been released.
final class LookUpCache: NameResolver, @unchecked Sendable {
    private struct Known {
        let addresses: [String]
        let expiry: UInt64
    }

    /// Accessed under `lock`, apart from its identity.
    private final class Lookup: @unchecked Sendable {
        var queries: [Query] = []
        var task: Task<Void, Never>?
        /// Nobody is waiting any more: the answer is dropped, even if someone asks for the same host again.
        var isUnwanted = false
    }

    /// One caller waiting for an answer.
    private final class Query: NameQuery {
        let cache: LookUpCache
        let host: String
        let port: Int
        let loop: H2EventLoop
        let completion: @Sendable (Result<[SocketAddress], H2Error>) -> Void

        init(
            _ cache: LookUpCache, _ host: String, _ port: Int, _ loop: H2EventLoop,
            _ completion: @escaping @Sendable (Result<[SocketAddress], H2Error>) -> Void
        ) {
            self.cache = cache
            self.host = host
            self.port = port
            self.loop = loop
            self.completion = completion
        }

        func cancel() { cache.cancel(self) }

        func answer(_ result: Result<[String], H2Error>) {
            let addresses = result.flatMap { Resolver.literals($0, of: host, port: port) }
            loop.execute { self.completion(addresses) }
        }
    }

    private let lookUp: HostResolver.LookUp
    private let limit: Int
    private let lock = PthreadLock()
    private var known: [String: Known] = [:]
    private var lookups: [String: Lookup] = [:]

    init(limit: Int, _ lookUp: @escaping HostResolver.LookUp) {
        self.limit = max(limit, 0)
        self.lookUp = lookUp
    }

    func resolve(
        host: String, port: Int, on loop: H2EventLoop, began: (@Sendable () -> Void)?,
        completion: @escaping @Sendable (Result<[SocketAddress], H2Error>) -> Void
    ) -> (any NameQuery)? {
        if Resolver.isAddress(host) {
            return Resolver.shared.resolve(host: host, port: port, on: loop, began: began, completion: completion)
        }
        let query = Query(self, host, port, loop, completion)
        var begun: Lookup?
        let fresh: Known? = lock.withLock {
            if let fresh = known[host], fresh.expiry > H2EventLoop.monotonicNanoseconds() { return fresh }
            known[host] = nil
            let lookup = lookups[host] ?? Lookup()
            if lookups[host] == nil {
                lookups[host] = lookup
                begun = lookup
            }
            lookup.queries.append(query)
            return nil
        }
        if let fresh {
            query.answer(.success(fresh.addresses))
            return nil
        }
        if let began { loop.execute(began) }
        if let begun { start(begun, host) }
        return query
    }

    /// The task belongs to the look-up: it ends with the function's answer, and is cancelled when nobody is waiting for
    /// it.
    private func start(_ lookup: Lookup, _ host: String) {
        let task = Task {
            let result: Result<HostResolver.Answer, any Error>
            do { result = .success(try await lookUp(host)) } catch { result = .failure(error) }
            ended(lookup, host, result)
        }
        let isUnwanted = lock.withLock {
            lookup.task = task
            return lookup.isUnwanted
        }
        if isUnwanted { task.cancel() }
    }

    private func ended(_ lookup: Lookup, _ host: String, _ result: Result<HostResolver.Answer, any Error>) {
        let now = H2EventLoop.monotonicNanoseconds()
        let queries = lock.withLock {
            // A cancelled function may return anything.
            if case .success(let answer) = result, !lookup.isUnwanted, answer.timeToLive > .zero, limit > 0 {
                makeRoom(now)
                known[host] = Known(
                    addresses: answer.addresses, expiry: now &+ answer.timeToLive.clampedNanoseconds)
            }
            if lookups[host] === lookup { lookups[host] = nil }
            lookup.task = nil
            defer { lookup.queries = [] }
            return lookup.queries
        }
        let addresses = result.map(\.addresses).mapError { error in
            error as? H2Error
                ?? H2Error(
                    .resolveFailed, initiator: .user, message: "cannot resolve '\(host)': \(error)",
                    remedy: "the resolver of the configuration failed")
        }
        for query in queries { query.answer(addresses) }
    }

    /// Called under the lock.
    private func makeRoom(_ now: UInt64) {
        guard known.count >= limit else { return }
        known = known.filter { $0.value.expiry > now }
        while known.count >= limit, let first = known.min(by: { $0.value.expiry < $1.value.expiry }) {
            known[first.key] = nil
        }
    }

    private func cancel(_ query: Query) {
        let unwanted: Task<Void, Never>? = lock.withLock {
            guard let lookup = lookups[query.host] else { return nil }
            lookup.queries.removeAll { $0 === query }
            guard lookup.queries.isEmpty else { return nil }
            lookups[query.host] = nil
            lookup.isUnwanted = true
            return lookup.task
        }
        unwanted?.cancel()
    }
}
