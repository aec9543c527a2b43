import H2Client
import HTTPTypes

/// The options for connections, retries, load and time, and the client configuration that results from them.
extension FetchSettings {
    /// Statuses after which --retry retries: those that curl considers transient.
    static let transientStatuses: Set<HTTPResponse.Status> = [
        .requestTimeout, .tooManyRequests, .internalServerError, .badGateway, .serviceUnavailable, .gatewayTimeout,
    ]
    /// The longest wait between two attempts, and the longest Retry-After obeyed. The same as in curl.
    private static let longestRetryWait = Duration.seconds(600)

    mutating func setVersions(_ connection: ConnectionArguments) throws {
        var given: [String] = []
        if connection.http1 { (given, versions) = (given + ["--http1.1"], .http1Only) }
        if connection.http2 { (given, versions) = (given + ["--http2"], .automatic) }
        if connection.priorKnowledge { (given, versions) = (given + ["--http2-prior-knowledge"], .http2Only) }
        guard given.count <= 1 else { throw Failure.usage("\(given[0]) and \(given[1]) cannot be combined") }
    }

    mutating func setConnection(_ connection: ConnectionArguments, _ certificates: TLSArguments) throws {
        tls = try certificates.configuration(authorityDirectory: connection.authorityDirectory)
        connectRules = ConnectRules(
            connectTo: try connection.connectTo.map(ConnectRule.init(connectTo:)),
            resolve: try connection.resolve.map(ConnectRule.init(resolve:)))
        if let limit = connection.connectionsPerOrigin {
            guard limit > 0 else { throw Failure.usage("--connections-per-origin must be at least 1") }
            pool.http1ConnectionsPerOrigin = limit
            if limit > 1 { pool.whenSaturated = .openConnection(upTo: limit) }
        }
        if let limit = connection.requestsPerConnection {
            guard limit > 0 else { throw Failure.usage("--max-requests-per-connection must be at least 1") }
            pool.requestsPerConnection = limit
        }
        for (option, count) in [
            ("--informational-max", connection.informationalMaximum),
            ("--informational-per-second", connection.informationalPerSecond),
        ] where count ?? 0 < 0 {
            throw Failure.usage("\(option) must be at least 0")
        }
        informationalMaximum = connection.informationalMaximum
        informationalPerSecond = connection.informationalPerSecond
        // Responses that wait to be written to stdout are not read while those before them are.
        pool.unreadTimeout = nil
        // Each transfer may need one. Beyond that, idle connections are closed to make room.
        pool.connections = max(256, parallelMaximum)
        loadLimits.requestsPerSecondPerOrigin = connection.rate?.perSecond
        if connection.polite {
            var adaptive = HTTPClient.LoadLimits.Adaptive()
            adaptive.maximum = min(adaptive.maximum, parallelMaximum)
            adaptive.initial = min(adaptive.initial, adaptive.maximum)
            loadLimits.adaptive = adaptive
        }
    }

    mutating func setTimes(_ times: TimeArguments) throws {
        maxTime = times.maxTime?.duration
        connectTimeout = times.connectTimeout?.duration
        if let limit = times.queueTimeout?.duration { options.queueTimeout = limit }
        if let limit = times.firstByteTimeout?.duration { options.firstByteTimeout = limit }
        if let limit = times.stallTimeout?.duration {
            options.sendTimeout = limit
            options.bodyProgressTimeout = limit
            stallTimeout = limit
        }
        if let time = times.keepAliveTime {
            guard let time = time.duration else { throw Failure.usage("--keepalive-time must be more than 0") }
            keepAliveTime = time
        }
    }

    mutating func setRetry(_ request: RequestArguments) throws {
        // A server may refuse all requests beyond its limit at once, and each of them may be retried.
        (retry.budget, retry.minimumRetriesPerSecond) = (1, 1_000)
        guard let retries = request.retries else {
            guard request.retryDelay == nil else { throw Failure.usage("--retry-delay goes with --retry N") }
            guard request.retryMaxTime == nil else { throw Failure.usage("--retry-max-time goes with --retry N") }
            return
        }
        guard retries >= 0 else { throw Failure.usage("--retry must be at least 0") }
        self.retries = retries
        guard retries > 0 || (request.retryDelay == nil && request.retryMaxTime == nil) else {
            throw Failure.usage("with --retry 0 nothing is sent twice: leave out --retry-delay and --retry-max-time")
        }
        retry.maximumAttempts = min(retries, 1_000_000) + 1
        guard retries > 0 else { return }
        // The user decides how often to retry.
        retry.minimumRetriesPerSecond = .max
        retry.statuses = Self.transientStatuses
        retry.retriesOnNewConnections = true
        (retry.backoff, retry.maximumBackoff) = (.seconds(1), Self.longestRetryWait)
        if let delay = request.retryDelay?.duration {
            (retry.backoff, retry.maximumBackoff, retry.jitter) = (delay, delay, 0)
        }
        retry.maximumRetryAfter = Self.longestRetryWait
        retry.maximumTime = request.retryMaxTime?.duration
    }

    /// The given options that hold requests back, in words, if any.
    var politeOptions: String? {
        switch (loadLimits.adaptive != nil, loadLimits.requestsPerSecondPerOrigin != nil) {
        case (true, true): "--polite or --rate"
        case (true, false): "--polite"
        case (false, true): "--rate"
        case (false, false): nil
        }
    }

    // MARK: - The client

    /// - Parameter onFrame: called with each frame; nil costs nothing.
    func clientConfiguration(onFrame: (@Sendable (FrameRecord) -> Void)? = nil) -> HTTPClient.Configuration {
        var configuration = HTTPClient.Configuration()
        configuration.versions = versions
        configuration.pool = pool
        configuration.retry = retry
        // There is no option for them yet.
        configuration.redirects = .never
        configuration.requestOptions = RequestOptions()
        configuration.loadLimits = loadLimits
        // Bodies are written as they are sent.
        configuration.contentDecoding = .off
        configuration.connection = connectionConfiguration()
        configuration.connection.onFrame = onFrame
        if !connectRules.isEmpty {
            configuration.connection.resolver = HostResolver(AddressList())
            let rules = connectRules
            configuration.connectTo = { rules.target(for: $0) }
        }
        return configuration
    }

    private func connectionConfiguration() -> ConnectionConfiguration {
        var configuration = ConnectionConfiguration()
        configuration.tls = tls
        // At the end no transfer is running, and a peer that does not close must not delay the user.
        configuration.timeouts.drain = .seconds(1)
        if let connectTimeout {
            configuration.timeouts.establish = connectTimeout
            configuration.timeouts.resolve = connectTimeout
            configuration.timeouts.connect = connectTimeout
            configuration.timeouts.tls = connectTimeout
        }
        if let informationalMaximum { configuration.limits.informationalResponses = informationalMaximum }
        if let informationalPerSecond {
            configuration.limits.informationalResponsesPerSecond = informationalPerSecond
        }
        if let keepAliveTime {
            configuration.keepAlive.interval = keepAliveTime
            configuration.tcpKeepAlive?.idle = keepAliveTime
            configuration.tcpKeepAlive?.interval = keepAliveTime
        }
        if writesInOrder {
            // Responses that wait to be written are not read. Together they must not use up the connection's window,
            // or the response that is next would wait forever. So the streams share 64 MiB, their windows do not
            // grow, and the unread limit holds them all.
            let atOnce = inputFile == nil ? min(parallelMaximum, urls.count) : parallelMaximum
            let stream = min(max((64 << 20) / atOnce, 65_535), 8 << 20)
            configuration.windows.stream = stream
            configuration.windows.maximum = stream
            configuration.windows.unreadLimit = atOnce * stream
        }
        return configuration
    }

    /// The longest that a request may wait for a connection or stream through connecting and load limits.
    ///
    /// If it waits longer, responses that wait for it hold all of them.
    var longestHonestWait: Duration {
        let steps = ConnectionConfiguration.Timeouts()
        var wait = (connectTimeout ?? steps.resolve + steps.connect + steps.tls) + .seconds(2)
        if let adaptive = loadLimits.adaptive { wait += adaptive.maximumPause }
        if let rate = loadLimits.requestsPerSecondPerOrigin { wait += .seconds(min(1 / rate, 86_400)) }
        return wait
    }

    /// The limit of concurrent transfers, with bodies in order on stdout, to an origin that has not responded yet.
    ///
    /// The number of HTTP/1.1 connections if only HTTP/1.1 is possible, otherwise unlimited.
    func initialPermits(_ origin: Origin) -> Int {
        switch (versions, origin.scheme) {
        case (.http1Only, _), (.automatic, .http): pool.http1ConnectionsPerOrigin
        default: .max
        }
    }
}
