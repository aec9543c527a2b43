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

    mutating func setVersions(_ arguments: Arguments) throws {
        var given: [String] = []
        if arguments.isOn(.http10) { (given, versions, sendsHTTP10) = (["--http1.0"], .http1Only, true) }
        if arguments.isOn(.http11) { (given, versions) = (given + ["--http1.1"], .http1Only) }
        if arguments.isOn(.http2) { (given, versions) = (given + ["--http2"], .automatic) }
        if arguments.isOn(.http2PriorKnowledge) {
            (given, versions) = (given + ["--http2-prior-knowledge"], .http2Only)
        }
        guard given.count <= 1 else { throw Failure.usage("\(given[0]) and \(given[1]) cannot be combined") }
        guard !sendsHTTP10 || !arguments.isOn(.expectContinue) else {
            throw Failure.usage("HTTP/1.0 has no Expect: 100-continue: leave out --expect-continue or --http1.0")
        }
    }

    mutating func setConnection(_ arguments: Arguments) throws {
        connectRules = ConnectRules(
            connectTo: try arguments.texts(.connectTo).map(ConnectRule.init(connectTo:)),
            resolve: try arguments.texts(.resolve).map(ConnectRule.init(resolve:)))
        if let limit = try arguments.value(.connectionsPerOrigin, Quantity.wholeNumber(from: 1)) {
            pool.http1ConnectionsPerOrigin = limit
            if limit > 1 { pool.whenSaturated = .openConnection(upTo: limit) }
        } else if arguments.isOn(.parallelImmediate) {
            pool.http1ConnectionsPerOrigin = parallelMaximum
            pool.whenSaturated = .openConnection(upTo: parallelMaximum)
        }
        // No transfer then waits for a connection that others are opening.
        if arguments.isOn(.parallelImmediate) { pool.streamsPerConnection = 1 }
        if let limit = try arguments.value(.maxRequestsPerConnection, Quantity.wholeNumber(from: 1)) {
            pool.requestsPerConnection = limit
        }
        informationalMaximum = try arguments.value(.informationalMax, Quantity.wholeNumber(from: 0))
        informationalPerSecond = try arguments.value(.informationalPerSecond, Quantity.wholeNumber(from: 0))
        // Responses that wait to be written to stdout are not read while those before them are.
        pool.unreadTimeout = nil
        // Each transfer may need one. Beyond that, idle connections are closed to make room.
        pool.connections = max(256, parallelMaximum)
        loadLimits.requestsPerSecondPerOrigin = try arguments.value(.rate, Rate.init(text:))?.perSecond
        if arguments.isOn(.polite) {
            var adaptive = HTTPClient.LoadLimits.Adaptive()
            adaptive.maximum = min(adaptive.maximum, parallelMaximum)
            adaptive.initial = min(adaptive.initial, adaptive.maximum)
            loadLimits.adaptive = adaptive
        }
    }

    mutating func setTimes(_ arguments: Arguments) throws {
        maxTime = try arguments.value(.maxTime, Seconds.init(text:))?.duration
        maxTotalTime = try arguments.value(.maxTotalTime, Seconds.init(text:))?.duration
        connectTimeout = try arguments.value(.connectTimeout, Seconds.init(text:))?.duration
        if let limit = try arguments.value(.queueTimeout, Seconds.init(text:))?.duration {
            options.queueTimeout = limit
        }
        if let limit = try arguments.value(.firstByteTimeout, Seconds.init(text:))?.duration {
            options.firstByteTimeout = limit
        }
        if let limit = try arguments.value(.stallTimeout, Seconds.init(text:))?.duration {
            options.sendTimeout = limit
            options.bodyProgressTimeout = limit
            stallTimeout = limit
        }
        if let time = try arguments.value(.keepaliveTime, Seconds.init(text:)) {
            guard let time = time.duration else { throw Failure.usage("--keepalive-time must be more than 0") }
            keepAliveTime = time
        }
        let limit = try arguments.value(.limitRate, Quantity.size(in: 0...Int.max))
        rateLimit = limit == 0 ? nil : limit
        let speed = try arguments.value(.speedLimit, Quantity.size(in: 0...Int.max))
        let time = try arguments.value(.speedTime, Quantity.wholeNumber(from: 1))
        if speed != 0, speed != nil || time != nil {
            // curl's defaults.
            slowest = BodyMeter.Floor(bytesPerSecond: speed ?? 1, seconds: min(time ?? 30, 31_536_000))
        }
    }

    mutating func setRetry(_ arguments: Arguments) throws {
        // A server may refuse all requests beyond its limit at once, and each of them may be retried.
        (retry.budget, retry.minimumRetriesPerSecond) = (1, 1_000)
        let delay = try arguments.value(.retryDelay, Seconds.init(text:))
        let maximumTime = try arguments.value(.retryMaxTime, Seconds.init(text:))
        guard let retries = try arguments.value(.retry, Quantity.wholeNumber(from: 0)) else {
            guard delay == nil else { throw Failure.usage("--retry-delay goes with --retry N") }
            guard maximumTime == nil else { throw Failure.usage("--retry-max-time goes with --retry N") }
            guard !arguments.isOn(.retryAllErrors) else {
                throw Failure.usage("--retry-all-errors goes with --retry N")
            }
            return
        }
        self.retries = retries
        retriesAllErrors = arguments.isOn(.retryAllErrors)
        guard retries > 0 || (delay == nil && maximumTime == nil && !retriesAllErrors) else {
            throw Failure.usage(
                "with --retry 0 nothing is sent twice: leave out --retry-delay, --retry-max-time and --retry-all-errors"
            )
        }
        retry.maximumAttempts = min(retries, 1_000_000) + 1
        guard retries > 0 else { return }
        // The user decides how often to retry.
        retry.minimumRetriesPerSecond = .max
        retry.statuses = Self.transientStatuses
        retry.retriesOnNewConnections = true
        (retry.backoff, retry.maximumBackoff) = (.seconds(1), Self.longestRetryWait)
        if let delay = delay?.duration {
            (retry.backoff, retry.maximumBackoff, retry.jitter) = (delay, delay, 0)
        }
        retry.maximumRetryAfter = Self.longestRetryWait
        retry.maximumTime = maximumTime?.duration
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
        configuration.redirects = redirects
        configuration.authentication = netrc
        configuration.cookies = cookies
        configuration.strictTransport = strictTransport
        configuration.proxies = proxies
        configuration.requestOptions = RequestOptions()
        configuration.loadLimits = loadLimits
        // Without --compressed, bodies are written as they are sent.
        if !decodesContent { configuration.contentDecoding = .off }
        configuration.connection = connectionConfiguration()
        configuration.connection.onFrame = onFrame
        configuration.connection.notes = notes
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
        configuration.local = local
        configuration.unixSocketPath = unixSocketPath
        configuration.sendsHTTP10 = sendsHTTP10
        if let attemptDelay { configuration.timeouts.connectionAttemptDelay = attemptDelay }
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
        if isWithoutKeepAlive {
            configuration.keepAlive.interval = nil
            configuration.tcpKeepAlive = nil
        }
        if let keepAliveCount { configuration.tcpKeepAlive?.count = keepAliveCount }
        if let keepAliveTime {
            configuration.keepAlive.interval = keepAliveTime
            configuration.tcpKeepAlive?.idle = keepAliveTime
            configuration.tcpKeepAlive?.interval = keepAliveTime
        }
        if let rateLimit {
            // Little may wait for a slow reader, so that the server is held back soon.
            configuration.windows.stream = min(max(rateLimit, 65_535), configuration.windows.stream)
            configuration.windows.maximum = configuration.windows.stream
        } else if writesInOrder || mostWaitingResponses != nil {
            // Responses that wait to be written are not read. Together they must not use up the connection's window,
            // or the response that is next would wait forever. So the streams share 64 MiB, their windows do not
            // grow, and the unread limit holds them all.
            let atOnce = max(mostWaitingResponses ?? 0, transfersAtOnce)
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
