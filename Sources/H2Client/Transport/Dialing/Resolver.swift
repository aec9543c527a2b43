import CNghttp2
import H2Platform

/// Resolves names to addresses.
package protocol NameResolver: AnyObject, Sendable {
    /// Calls `completion` once on the loop's thread, after this has returned.
    /// - Parameter began: called on the loop's thread when the look-up starts, which may be later than requested; time limits
    ///   count from then. Not called if no look-up is needed.
    /// - Returns: a query to cancel, unless the answer is already on its way.
    @discardableResult
    func resolve(
        host: String, port: Int, on loop: H2EventLoop, began: (@Sendable () -> Void)?,
        completion: @escaping @Sendable (Result<[SocketAddress], H2Error>) -> Void
    ) -> (any NameQuery)?
}

/// A request for the addresses of a name.
package protocol NameQuery: Sendable {
    /// Stops waiting. Can be called from any thread; an answer already on its way to the loop still arrives. Does nothing after
    /// the answer.
    func cancel()
}

extension NameResolver {
    @discardableResult
    package func resolve(
        host: String, port: Int, on loop: H2EventLoop,
        completion: @escaping @Sendable (Result<[SocketAddress], H2Error>) -> Void
    ) -> (any NameQuery)? {
        resolve(host: host, port: port, on: loop, began: nil, completion: completion)
    }
}

/// Resolves names by getaddrinfo on its own threads, so that a slow name server never blocks a loop.
///
/// Requests for a name that is already being looked up share that look-up. Threads are started for look-ups and exit when none
/// is waiting; at most `threadLimit` run at once, and others wait in order. Nothing is cached: that is the name service's job.
///
/// Invariant behind `@unchecked Sendable`: mutable state is accessed only under `lock`.
package final class Resolver: NameResolver, @unchecked Sendable {
    typealias Outcome = Result<[SocketAddress], H2Error>

    /// The resolver shared by the process.
    package static let shared = Resolver()
    /// Concurrent look-ups. A thread is held as long as the name servers take, 5 to 30 s if they do not respond: this many dead
    /// names do not delay others.
    static let threadLimit = 256
    /// Maximum number of look-ups waiting for a thread.
    static let waitingLimit = 10_000

    private struct Key: Hashable {
        let host: String
        let port: Int
    }

    private struct Lookup {
        var queries: [Query] = []
        var isRunning = false
    }

    /// One caller waiting for an answer.
    package final class Query: NameQuery {
        private let resolver: Resolver
        fileprivate let key: (host: String, port: Int)
        fileprivate let loop: H2EventLoop
        fileprivate let began: (@Sendable () -> Void)?
        fileprivate let completion: @Sendable (Result<[SocketAddress], H2Error>) -> Void

        fileprivate init(
            _ resolver: Resolver, host: String, port: Int, loop: H2EventLoop, began: (@Sendable () -> Void)?,
            completion: @escaping @Sendable (Outcome) -> Void
        ) {
            self.resolver = resolver
            key = (host, port)
            self.loop = loop
            self.began = began
            self.completion = completion
        }

        fileprivate func begin() {
            if let began { loop.execute(began) }
        }

        /// A look-up without waiting callers is not started.
        package func cancel() { resolver.cancel(self) }
    }

    private let lookUp: @Sendable (_ host: String, _ port: Int) -> Outcome
    private let threadLimit: Int
    private let lock = PthreadLock()
    private var lookups: [Key: Lookup] = [:]
    /// Keys waiting for a thread, in order. A cancelled one is missing in `lookups`, or running again, when its turn comes.
    private var waiting: [Key] = []
    private var waitingHead = 0
    private var threads = 0

    /// - Parameter lookUp: replaces getaddrinfo, for tests. It may block.
    init(
        threadLimit: Int = Resolver.threadLimit,
        lookUp: @escaping @Sendable (_ host: String, _ port: Int) -> Result<[SocketAddress], H2Error> = {
            Resolver.addresses(host: $0, port: $1, flags: 0)
        }
    ) {
        self.threadLimit = threadLimit
        self.lookUp = lookUp
    }

    /// True for an IPv4 or IPv6 literal, which has no name to send or look up.
    package static func isAddress(_ host: String) -> Bool {
        var storage = in6_addr()
        let bare = String(host.prefix { $0 != "%" })
        return inet_pton(AF_INET, bare, &storage) == 1 || inet_pton(AF_INET6, bare, &storage) == 1
    }

    // MARK: - Requests

    /// Calls `completion` on the loop's thread, later, with addresses in getaddrinfo's order.
    /// - Returns: a query to cancel, unless the answer is already on its way.
    @discardableResult
    package func resolve(
        host: String, port: Int, on loop: H2EventLoop, began: (@Sendable () -> Void)?,
        completion: @escaping @Sendable (Result<[SocketAddress], H2Error>) -> Void
    ) -> (any NameQuery)? {
        if Self.isAddress(host) {
            // No wait: a literal is parsed, not looked up.
            let result = Self.address(host, port: port)
            loop.execute { completion(result) }
            return nil
        }
        let query = Query(self, host: host, port: port, loop: loop, began: began, completion: completion)
        guard let refusal = add(query) else { return query }
        loop.execute { completion(.failure(refusal)) }
        return nil
    }

    /// Number of running and waiting look-ups.
    var counts: (running: Int, waiting: Int) {
        lock.withLock {
            let running = lookups.values.count { $0.isRunning }
            return (running, lookups.count - running)
        }
    }

    private func add(_ query: Query) -> H2Error? {
        let key = Key(host: query.key.host, port: query.key.port)
        var isRunning = false
        let isThreadWanted: Bool? = lock.withLock {
            if lookups[key] == nil {
                // `waiting` also holds cancelled ones until their turn: they count too, so that it stays bounded.
                guard waiting.count - waitingHead < Self.waitingLimit else { return nil }
                lookups[key] = Lookup()
                waiting.append(key)
            }
            lookups[key]?.queries.append(query)
            isRunning = lookups[key]?.isRunning ?? false
            guard threads < threadLimit, waitingHead < waiting.count else { return false }
            threads += 1
            return true
        }
        guard let isThreadWanted else {
            return H2Error(
                .limitExceeded,
                message: "cannot look up '\(key.host)': \(Self.waitingLimit) look-ups wait already",
                remedy: "connect to fewer hosts at once", isRetryable: true)
        }
        if isRunning { query.begin() }
        if isThreadWanted {
            let status = startDetachedThread { self.serve() }
            if status != 0 { noThread(status) }
        }
        return nil
    }

    private func cancel(_ query: Query) {
        let key = Key(host: query.key.host, port: query.key.port)
        lock.withLock {
            guard var lookup = lookups[key] else { return }
            lookup.queries.removeAll { $0 === query }
            lookups[key] = lookup.queries.isEmpty && !lookup.isRunning ? nil : lookup
        }
    }

    // MARK: - Look-ups

    /// The main function of a thread: it serves look-ups until none is waiting.
    private func serve() {
        ch2_name_this_thread("h2-resolver")
        while let key = next() {
            let outcome = lookUp(key.host, key.port)
            answer(key, outcome)
        }
    }

    private func next() -> Key? {
        var queries: [Query] = []
        defer { for query in queries { query.begin() } }
        return lock.withLock {
            while waitingHead < waiting.count {
                let key = waiting[waitingHead]
                waitingHead += 1
                if waitingHead > 64 && waitingHead * 2 > waiting.count {
                    waiting.removeFirst(waitingHead)
                    waitingHead = 0
                }
                guard let lookup = lookups[key], !lookup.isRunning else { continue }
                lookups[key]?.isRunning = true
                queries = lookup.queries
                return key
            }
            waiting = []
            waitingHead = 0
            threads -= 1
            return nil
        }
    }

    private func answer(_ key: Key, _ outcome: Outcome) {
        let queries = lock.withLock { lookups.removeValue(forKey: key)?.queries ?? [] }
        for query in queries { query.loop.execute { query.completion(outcome) } }
    }

    /// The system has no thread: if others are running they will serve the waiting look-ups, otherwise those fail.
    private func noThread(_ status: CInt) {
        let failed: [(Key, Lookup)] = lock.withLock {
            threads -= 1
            guard threads == 0 else { return [] }
            waiting = []
            waitingHead = 0
            let all = lookups.map { ($0.key, $0.value) }
            lookups = [:]
            return all
        }
        for (key, lookup) in failed {
            let error = H2Error(
                .resolveFailed, cause: .errno(status),
                message: "cannot start a thread to look up '\(key.host)': \(describeErrno(status))")
            for query in lookup.queries { query.loop.execute { query.completion(.failure(error)) } }
        }
    }

    /// The address of a literal. getaddrinfo does not say why it rejects a zone.
    static func address(_ host: String, port: Int) -> Result<[SocketAddress], H2Error> {
        let zone = host.utf8.drop { $0 != UInt8(ascii: "%") }.dropFirst()
        let name = String(decoding: zone, as: UTF8.self)
        guard !zone.isEmpty, UInt32(name) == nil else {
            return addresses(host: host, port: port, flags: AI_NUMERICHOST)
        }
        let index = if_nametoindex(name)
        guard index > 0 else {
            return .failure(
                H2Error(
                    .resolveFailed, initiator: .user, cause: .errno(errno),
                    message: "cannot use '\(host)': there is no interface named '\(name)'",
                    remedy: "name one that this machine has (ip link)"))
        }
        // getaddrinfo accepts a zone by name only for link-local addresses (RFC 4007 allows it for any scope).
        return addresses(host: host.prefix { $0 != "%" } + "%\(index)", port: port, flags: AI_NUMERICHOST)
    }

    static func addresses(host: String, port: Int, flags: CInt) -> Result<[SocketAddress], H2Error> {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_flags = flags | AI_NUMERICSERV
        hints.ai_socktype = streamSocketType
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, String(port), &hints, &list)
        guard status == 0 else {
            return .failure(
                H2Error(
                    .resolveFailed, initiator: .remote, cause: .resolver(status),
                    message: "cannot resolve '\(host)': \(String(cString: gai_strerror(status)))",
                    remedy: "check the name, or connect to an address"))
        }
        defer { freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var next = list
        while let entry = next?.pointee {
            if let address = entry.ai_addr, entry.ai_family == AF_INET || entry.ai_family == AF_INET6 {
                let bytes = UnsafeRawBufferPointer(start: address, count: Int(entry.ai_addrlen))
                addresses.append(SocketAddress(bytes: Array(bytes), family: entry.ai_family))
            }
            next = entry.ai_next
        }
        return .success(addresses)
    }
}
