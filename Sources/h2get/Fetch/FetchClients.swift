import H2Client

/// The clients of a run: one for all parts of the command line that have the same options about connections.
struct FetchClients {
    private struct Entry {
        let client: HTTPClient
        /// Of the first part that uses it.
        let settings: FetchSettings
        let origins: KnownOrigins
        /// For the transfer whose body is next on stdout, if those that wait for it hold all connections that `client` may
        /// open.
        var spare: HTTPClient?

        init(_ settings: FetchSettings, _ verbose: Verbose) {
            let logger = verbose.frameLogger(settings.versions)
            client = HTTPClient(configuration: settings.clientConfiguration(onFrame: logger))
            self.settings = settings
            origins = KnownOrigins(atOnce: settings.parallelMaximum)
        }
    }

    private var entries: [Entry]
    /// The position of the one for this part.
    private var inUse = 0

    init(_ settings: FetchSettings, _ verbose: Verbose) { entries = [Entry(settings, verbose)] }

    var current: HTTPClient { entries[inUse].client }
    var origins: KnownOrigins { entries[inUse].origins }
    var all: [HTTPClient] { entries.flatMap { [$0.client] + ($0.spare.map { [$0] } ?? []) } }
    /// The cookies that all parts have in common.
    var cookies: CookieJar? { entries.lazy.compactMap { $0.settings.cookies }.first }

    /// Chooses the client for a part, whose settings then have what it shares with others.
    /// - Returns: whether it is a new one.
    mutating func choose(for settings: inout FetchSettings, _ verbose: Verbose) -> Bool {
        if let known = entries.firstIndex(where: { $0.settings.sharesConnections(with: settings) }) {
            inUse = known
            settings.strictTransport = entries[known].settings.strictTransport
            return false
        }
        // Parts with the same file of --hsts have its hosts in common.
        if let file = settings.strictTransportFile,
            let other = entries.first(where: { $0.settings.strictTransportFile == file })
        {
            settings.strictTransport = other.settings.strictTransport
        }
        inUse = entries.count
        entries.append(Entry(settings, verbose))
        return true
    }

    /// The second client for this part, which has its own connection limits.
    mutating func spare() -> (client: HTTPClient, isNew: Bool) {
        if let spare = entries[inUse].spare { return (spare, false) }
        let client = HTTPClient(configuration: current.configuration)
        entries[inUse].spare = client
        return (client, true)
    }

    /// The statistics of all clients together, with the origins of the one in use.
    nonisolated(nonsending) func statistics() async -> HTTPClient.Statistics {
        var sum = await current.statistics()
        for other in all where other !== current {
            let more = await other.statistics()
            sum.requests += more.requests
            sum.requestsOnReusedConnections += more.requestsOnReusedConnections
            sum.connectionsOpened += more.connectionsOpened
            sum.handshakes += more.handshakes
            sum.handshakesResumed += more.handshakesResumed
            sum.earlyDataAccepted += more.earlyDataAccepted
            sum.earlyDataRejected += more.earlyDataRejected
            sum.handshakesSaved += more.handshakesSaved
            sum.retries += more.retries
            sum.hedges += more.hedges
            sum.hedgesWon += more.hedgesWon
            sum.hedgesRefused += more.hedgesRefused
            sum.bytesSent += more.bytesSent
            sum.bytesReceived += more.bytesReceived
        }
        return sum
    }

    /// Closes all of them.
    nonisolated(nonsending) func close(atOnce: Bool) async {
        for client in all {
            if atOnce { client.shutdownNow() } else { await client.shutdown(gracePeriod: .seconds(1)) }
        }
    }
}
