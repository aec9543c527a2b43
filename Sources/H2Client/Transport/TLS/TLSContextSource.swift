import CNghttp2
import H2Platform

/// The TLS context of a configuration: loaded off the loops, shared by connections, and reloaded when one of its files has
/// changed on disk.
///
/// A failure is not cached: the next connection tries again. While a client certificate and its key are being replaced, they
/// briefly do not match; as long as the new ones cannot be used, the previous context stays.
///
/// Invariant behind `@unchecked Sendable`: mutable state is accessed only under `lock`.
final class TLSContextSource: @unchecked Sendable {
    typealias Outcome = Result<TLSContext, H2Error>

    /// Identifies a version of a file.
    private struct Stamp: Equatable {
        let path: String
        private let values: [UInt64]

        init(_ path: String) {
            self.path = path
            var values = [UInt64](repeating: 0, count: 5)
            ch2_file_stamp(path, &values)
            self.values = values
        }
    }

    private struct Waiting {
        let loop: H2EventLoop
        let completion: @Sendable (Outcome) -> Void
    }

    private struct Loaded {
        var context: TLSContext
        var trust: [Stamp]
        var identity: [Stamp]
        /// Set by `prepare`: until then the first connection need not look at the files again.
        var isCurrentUntil: UInt64 = 0

        /// Whether no file is named that could change. The system's trust is read once, or as needed.
        var isForGood: Bool { trust.isEmpty && identity.isEmpty }
    }

    /// Nanoseconds after which another load is started beside a slow one.
    private static let patience: UInt64 = 15_000_000_000
    /// Nanoseconds for which a prepared context is current.
    private static let preparedFor: UInt64 = 1_000_000_000

    private let configuration: ConnectionConfiguration.TLS
    private let lock = PthreadLock()
    private var loaded: Loaded?
    /// When the current load began, in nanoseconds; nil if there is none.
    private var loadingSince: UInt64?
    private var waiting: [Waiting] = []

    init(_ configuration: ConnectionConfiguration.TLS) { self.configuration = configuration }

    /// A source with an existing context, which never changes.
    init(_ context: TLSContext) {
        configuration = ConnectionConfiguration.TLS()
        loaded = Loaded(context: context, trust: [], identity: [])
    }

    /// Calls `completion` on the loop's thread: immediately if no named file could have changed. Called on the loop's
    /// thread.
    func context(on loop: H2EventLoop, completion: @escaping @Sendable (Outcome) -> Void) {
        loop.preconditionInLoop()
        var isFirst = false
        let fresh: TLSContext? = lock.withLock {
            if let loaded, loaded.isForGood { return loaded.context }
            let now = H2EventLoop.monotonicNanoseconds()
            if let loaded, now < loaded.isCurrentUntil {
                self.loaded?.isCurrentUntil = 0
                return loaded.context
            }
            // Callers must not all wait forever for a load that hangs (on an unreachable network file system).
            isFirst = loadingSince.map { now - $0 > Self.patience } ?? true
            if isFirst { loadingSince = now }
            waiting.append(Waiting(loop: loop, completion: completion))
            return nil
        }
        if let fresh { return completion(.success(fresh)) }
        guard isFirst else { return }
        let status = startDetachedThread {
            ch2_name_this_thread("h2-tls")
            self.answer(self.load())
        }
        if status != 0 { answer(.failure(LoopThread.exhausted("start a thread to load certificates", status))) }
    }

    /// Loads the context on this thread, which may block. Connections that `start` begins wait for it instead of starting a
    /// thread that loads it. If the load fails and nobody waits for it, the next connection tries again.
    func prepare(_ start: () -> Void) {
        let isFirst = lock.withLock {
            guard loaded == nil, loadingSince == nil else { return false }
            loadingSince = H2EventLoop.monotonicNanoseconds()
            return true
        }
        start()
        guard isFirst else { return }
        ch2_defer_error_strings()
        answer(load(), isPrepared: true)
    }

    private func answer(_ outcome: Outcome, isPrepared: Bool = false) {
        let callers = lock.withLock {
            defer { (waiting, loadingSince) = ([], nil) }
            if isPrepared, waiting.isEmpty {
                loaded?.isCurrentUntil = H2EventLoop.monotonicNanoseconds() + Self.preparedFor
            }
            return waiting
        }
        for caller in callers { caller.loop.execute { caller.completion(outcome) } }
    }

    /// Loads the context. Only one load runs at a time, unless one hangs: `loadingSince` is set until it completes.
    private func load() -> Outcome {
        // Take the stamps first: a file that changes while it is read is then read again.
        let (trust, identity) = (trustStamps(), identityStamps())
        let before = lock.withLock { loaded }
        func keep(_ context: TLSContext, identity: [Stamp]) -> Outcome {
            lock.withLock { loaded = Loaded(context: context, trust: trust, identity: identity) }
            return .success(context)
        }
        if let before, before.trust == trust, before.identity == identity {
            return keep(before.context, identity: identity)
        }
        do {
            return keep(try TLSContext(client: configuration), identity: identity)
        } catch {
            if let before, before.trust == trust { return keep(before.context, identity: before.identity) }
            lock.withLock { loaded = nil }
            return .failure(error as? H2Error ?? H2Error(.tlsConfiguration, message: "\(error)"))
        }
    }

    /// Writes the sessions to their file, if there is one, and returns when that is done.
    nonisolated(nonsending) func saveSessions() async {
        guard let context = lock.withLock({ loaded?.context }), context.keepsSessions else { return }
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            let status = BlockingThreads.shared.run {
                context.saveSessions()
                continuation.resume()
            }
            if status != 0 { continuation.resume() }
        }
    }

    /// The files did not load within the time limit of a handshake: a disk or network file system hangs.
    static func timeout(_ limit: Duration) -> H2Error {
        H2Error(
            .timeout, scope: .connection, cause: .timeout(.tls, after: limit),
            message: "reading the files of certificates took longer than \(limit)",
            remedy: "is their disk or network file system well?", isRetryable: true)
    }

    /// The stamps of trusted files and folders. A folder's own stamp changes when files are added or removed.
    private func trustStamps() -> [Stamp] {
        guard configuration.verifiesPeer else { return [] }
        let sources = TrustSources(configuration)
        let inFolders = sources.folders.flatMap { folder -> [String] in
            let names = TrustSources.names(in: folder) ?? []
            return names.contains(where: TrustSources.isHash) ? [] : names.map { folder + "/" + $0 }
        }
        let named = (sources.values + configuration.revocationLists).compactMap(\.path)
        return (sources.files + sources.folders + inFolders + named).map { Stamp($0) }
    }

    private func identityStamps() -> [Stamp] {
        let identity = configuration.identity
        return [
            configuration.certificateFile, configuration.privateKeyFile, identity?.certificates.path,
            identity?.privateKey?.path,
        ].compactMap { $0 }.map { Stamp($0) }
    }
}
