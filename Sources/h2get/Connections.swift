import H2Client

/// The connections of a run: one an origin. Where a server ends one (nginx does so after 1,000 requests), the next takes
/// its place.
///
/// Belongs to one actor.
final class Connections {
    /// One connection and who uses it.
    final class Lease {
        let connection: HTTP2Connection
        /// Transfers on it now.
        fileprivate(set) var users = 0
        fileprivate let entry: Entry
        /// No new transfer gets it; it is closed when the last one is done.
        fileprivate var isRetired = false

        fileprivate init(_ connection: HTTP2Connection, _ entry: Entry) {
            self.connection = connection
            self.entry = entry
        }
    }

    fileprivate final class Entry {
        var lease: Lease?
        var isDialing = false
        var waiters: [(index: Int, continuation: CheckedContinuation<Void, Never>)] = []
        /// Why the origin is given up.
        var failure: (any Error)?
        /// Transfers that got a response, on any of the connections.
        var served = 0
        /// The same when the last connection was made: without progress since then it was of no use.
        var servedBefore = 0
        /// Connections in a row that were of no use.
        var fruitless = 0
    }

    /// So many connections in a row that serve nothing, and the origin is given up.
    private static let fruitlessLimit = 3

    private let settings: FetchSettings
    private let onFrame: (@Sendable (FrameRecord) -> Void)?
    private let onConnected: (ConnectionInfo) -> Void
    private var entries: [Origin: Entry] = [:]
    private var open: [Lease] = []

    /// How many were made.
    private(set) var count = 0
    /// Facts of the first one, for the summary.
    private(set) var first: ConnectionInfo?
    private var closedBytesReceived = 0
    private var closedBytesSent = 0

    init(
        settings: FetchSettings, onFrame: (@Sendable (FrameRecord) -> Void)?,
        onConnected: @escaping (ConnectionInfo) -> Void
    ) {
        self.settings = settings
        self.onFrame = onFrame
        self.onConnected = onConnected
    }

    /// The origin's connection, made at the first call; who asks meanwhile waits, and goes on in the order of the URLs,
    /// so that none is left behind again and again. The caller must `release` it.
    /// - Throws: why connecting failed, for every later call too: one dead origin must not cost a timeout for each of
    ///   its URLs.
    nonisolated(nonsending) func lease(for origin: Origin, index: Int) async throws -> Lease {
        let entry = entry(for: origin)
        while true {
            try Task.checkCancellation()
            if let lease = entry.lease, !lease.connection.isDraining {
                lease.users += 1
                return lease
            }
            if let failure = entry.failure { throw failure }
            if entry.isDialing {
                await withCheckedContinuation { entry.waiters.append((index, $0)) }
                continue
            }
            entry.isDialing = true
            defer {
                entry.isDialing = false
                let waiters = entry.waiters
                entry.waiters = []
                for waiter in waiters.sorted(by: { $0.index < $1.index }) { waiter.continuation.resume() }
            }
            if let ended = entry.lease { await retire(ended, of: entry) }
            guard entry.fruitless < Self.fruitlessLimit else {
                let failure = H2Error(
                    .connectionClosed, scope: .connection, initiator: .remote,
                    message: "\(origin) ended \(Self.fruitlessLimit) connections in a row without serving a request",
                    remedy: "look at the server's log, or at -vv")
                entry.failure = failure
                throw failure
            }
            do {
                let lease = try await dial(origin, entry)
                lease.users += 1
                entry.lease = lease
                return lease
            } catch {
                if !(error is CancellationError) { entry.failure = error }
                throw error
            }
        }
    }

    /// A connection for one transfer alone. The caller must `release` it.
    nonisolated(nonsending) func leaseAlone(for origin: Origin) async throws -> Lease {
        let lease = try await dial(origin, entry(for: origin))
        lease.isRetired = true
        lease.users = 1
        return lease
    }

    /// A transfer got a response on it.
    func served(by lease: Lease) { lease.entry.served += 1 }

    nonisolated(nonsending) func release(_ lease: Lease) async {
        lease.users -= 1
        if lease.isRetired, lease.users == 0 { await close(lease) }
    }

    /// Closes all. After a cancelled run nothing is waited for.
    nonisolated(nonsending) func closeAll(atOnce: Bool) async {
        for lease in open {
            if atOnce { lease.connection.closeNow() }
            await close(lease)
        }
    }

    /// Bytes on the wire so far, before TLS.
    nonisolated(nonsending) func bytesOnWire() async -> (sent: Int, received: Int) {
        var (sent, received) = (closedBytesSent, closedBytesReceived)
        for lease in open {
            let snapshot = await lease.connection.snapshot()
            sent += snapshot.bytesSent
            received += snapshot.bytesReceived
        }
        return (sent, received)
    }

    private func entry(for origin: Origin) -> Entry {
        if let entry = entries[origin] { return entry }
        let entry = Entry()
        entries[origin] = entry
        return entry
    }

    private nonisolated(nonsending) func retire(_ lease: Lease, of entry: Entry) async {
        entry.lease = nil
        entry.fruitless = entry.served == entry.servedBefore ? entry.fruitless + 1 : 0
        entry.servedBefore = entry.served
        lease.isRetired = true
        if lease.users == 0 { await close(lease) }
    }

    private nonisolated(nonsending) func close(_ lease: Lease) async {
        guard let place = open.firstIndex(where: { $0 === lease }) else { return }
        open.remove(at: place)
        let snapshot = await lease.connection.snapshot()
        closedBytesSent += snapshot.bytesSent
        closedBytesReceived += snapshot.bytesReceived
        await lease.connection.close()
    }

    // MARK: - Dialing

    private nonisolated(nonsending) func dial(_ origin: Origin, _ entry: Entry) async throws -> Lease {
        var configuration = settings.configuration(for: origin)
        configuration.onFrame = onFrame
        let connection = try await connect(origin, configuration)
        count += 1
        if first == nil { first = connection.info }
        onConnected(connection.info)
        let lease = Lease(connection, entry)
        open.append(lease)
        return lease
    }

    /// The library limits each step; --connect-timeout and -m limit all of them together.
    private nonisolated(nonsending) func connect(
        _ origin: Origin, _ configuration: Configuration
    ) async throws -> HTTP2Connection {
        guard let limit = [settings.connectTimeout, settings.maxTime].compactMap({ $0 }).min() else {
            return try await HTTP2Connection.connect(to: origin, configuration: configuration)
        }
        return try await withThrowingTaskGroup(of: HTTP2Connection?.self) { group in
            group.addTask { try await HTTP2Connection.connect(to: origin, configuration: configuration) }
            group.addTask {
                // A step that alone takes all the time is told by the library, with its name.
                try await Task.sleep(for: limit + .milliseconds(20))
                return nil
            }
            defer { group.cancelAll() }
            if let connection = try await group.next() ?? nil { return connection }
            throw H2Error(
                .timeout, scope: .connection, cause: .timeout(.connect, after: limit),
                message: "connecting to \(origin) took longer than \(limit.brief)",
                remedy: "is the server up? allow more with --connect-timeout")
        }
    }
}
