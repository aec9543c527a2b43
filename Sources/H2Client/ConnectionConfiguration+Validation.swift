// Validation of configurations. Invalid values do not trap: every request of the client fails with the error, and so does
// `connect`.

extension ConnectionConfiguration {
    /// Checks the options for invalid values. Requests and `connect` check them too, and fail in the same way.
    ///
    /// Sizes outside the protocol's range (a window of 1,000 bytes or of `Int.max`) are replaced by the nearest valid size.
    /// - Throws: `H2Error` (`invalidConfiguration`), which names the option, its value, and the valid values.
    public func validate() throws(H2Error) {
        for (name, value) in [
            ("windows.stream", windows.stream), ("windows.connection", windows.connection),
            ("windows.maximum", windows.maximum), ("windows.unreadLimit", windows.unreadLimit),
            ("limits.headerListSize", limits.headerListSize), ("limits.frameSize", limits.frameSize),
            ("limits.concurrentStreams", limits.concurrentStreams),
        ] {
            try Self.require(value >= 1, name, value, "1 or more")
        }
        for (name, value) in [
            ("limits.continuationFrames", limits.continuationFrames),
            ("limits.informationalResponses", limits.informationalResponses),
            ("limits.controlFrames", limits.controlFrames),
            ("limits.controlFramesPerSecond", limits.controlFramesPerSecond),
            ("limits.waitingRequests", limits.waitingRequests),
        ] {
            try Self.require(value >= 0, name, value, "0 or more")
        }
        for (name, value) in [
            ("timeouts.resolve", timeouts.resolve), ("timeouts.connect", timeouts.connect),
            ("timeouts.tls", timeouts.tls), ("timeouts.establish", timeouts.establish),
            ("timeouts.settings", timeouts.settings), ("timeouts.writeStall", timeouts.writeStall),
            ("timeouts.drain", timeouts.drain),
            ("timeouts.connectionAttemptDelay", timeouts.connectionAttemptDelay),
            ("keepAlive.interval", keepAlive.interval), ("keepAlive.timeout", keepAlive.timeout),
        ] {
            try Self.requireTime(name, value)
        }
        if let connectTo {
            try Self.require(!connectTo.host.isEmpty, "connectTo.host", "empty", "a host")
            try Self.require((1...65_535).contains(connectTo.port), "connectTo.port", connectTo.port, "1 to 65535")
        }
        try tls.validate()
        try proxies.validate(as: "proxies", of: "ConnectionConfiguration")
        try local.validate()
    }

    static func require(
        _ isRight: Bool, _ name: String, _ value: Any, _ range: String, in type: String = "ConnectionConfiguration"
    ) throws(H2Error) {
        guard !isRight else { return }
        throw H2Error(
            .invalidConfiguration, initiator: .user, message: "\(type).\(name) cannot be \(value)",
            remedy: "make it \(range)")
    }

    static func requireTime(
        _ name: String, _ value: Duration?, in type: String = "ConnectionConfiguration"
    ) throws(H2Error) {
        if let value { try require(value >= .zero, name, value, "zero or more", in: type) }
    }
}

extension HTTPClient.Configuration {
    /// Checks the options for invalid values. Each request of a client checks them too, and fails in the same way.
    /// - Throws: `H2Error` (`invalidConfiguration`), which names the option, its value, and the valid values.
    public func validate() throws(H2Error) {
        try connection.validate()
        for tls in originTLS.values { try tls.validate() }
        try proxies.validate(as: "proxies", of: Self.name)
        try require(!eventLoops.isEmpty, "eventLoops", "empty", "one or more loops, or .own(count:) with 1 or more")
        for (name, value) in [
            ("pool.http1ConnectionsPerOrigin", pool.http1ConnectionsPerOrigin),
            ("pool.streamsPerConnection", pool.streamsPerConnection), ("pool.connections", pool.connections),
            ("pool.requestsPerConnection", pool.requestsPerConnection),
            ("loadLimits.concurrentRequestsPerOrigin", loadLimits.concurrentRequestsPerOrigin),
            ("loadLimits.concurrentRequests", loadLimits.concurrentRequests), ("loadLimits.burst", loadLimits.burst),
        ] {
            try require(value >= 1, name, value, "1 or more")
        }
        if case .openConnection(let limit) = pool.whenSaturated {
            try require(limit >= 1, "pool.whenSaturated", "openConnection(upTo: \(limit))", "up to 1 or more")
        }
        try require(pool.waitingRequests >= 0, "pool.waitingRequests", pool.waitingRequests, "0 or more")
        try redirects.validate(as: "\(Self.name).redirects")
        try retry.validate(as: "\(Self.name).retry")
        try authentication?.validate()
        for (name, value) in [
            ("pool.idleTimeout", pool.idleTimeout),
            ("pool.unreadTimeout", pool.unreadTimeout),
        ] {
            try ConnectionConfiguration.requireTime(name, value, in: Self.name)
        }
        try requestOptions.validate(as: "\(Self.name).requestOptions")
        if let age = pool.maximumAge {
            // A connection that may serve nothing would be replaced for ever.
            try require(age > .zero, "pool.maximumAge", age, "above zero, or nil for no limit")
        }
        if let rate = loadLimits.requestsPerSecondPerOrigin {
            try require(
                rate > 0 && rate.isFinite, "loadLimits.requestsPerSecondPerOrigin", rate, "above 0, or nil for no limit"
            )
        }
        if let adaptive = loadLimits.adaptive { try validate(adaptive) }
    }

    private func validate(_ adaptive: HTTPClient.LoadLimits.Adaptive) throws(H2Error) {
        let name = "loadLimits.adaptive"
        try require(adaptive.initial >= 1, "\(name).initial", adaptive.initial, "1 or more")
        try require(adaptive.minimum >= 1, "\(name).minimum", adaptive.minimum, "1 or more")
        try require(
            adaptive.maximum >= adaptive.minimum, "\(name).maximum", adaptive.maximum, "the minimum or more")
        try require(
            adaptive.decreaseFactor > 0 && adaptive.decreaseFactor < 1, "\(name).decreaseFactor",
            adaptive.decreaseFactor, "between 0 and 1")
        try require(
            adaptive.latencyTolerance >= 1 && adaptive.latencyTolerance.isFinite, "\(name).latencyTolerance",
            adaptive.latencyTolerance, "1 or more")
        try ConnectionConfiguration.requireTime("\(name).maximumPause", adaptive.maximumPause, in: Self.name)
    }

    private static let name = "HTTPClient.Configuration"

    private func require(_ isRight: Bool, _ name: String, _ value: Any, _ range: String) throws(H2Error) {
        try ConnectionConfiguration.require(isRight, name, value, range, in: Self.name)
    }
}

extension HTTPClient.ProxySettings {
    func validate(as name: String, of type: String) throws(H2Error) {
        try tls?.validate()
        guard let preproxy else { return }
        try ConnectionConfiguration.require(
            !preproxy.scheme.isHTTP, "\(name).preproxy", preproxy, "a SOCKS proxy", in: type)
    }
}

extension RequestOptions {
    /// - Parameter name: how the error refers to these options.
    /// - Throws: `H2Error` (`invalidConfiguration`).
    func validate(as name: String = "RequestOptions") throws(H2Error) {
        for (option, value) in [
            ("timeout", timeout), ("queueTimeout", queueTimeout), ("sendTimeout", sendTimeout),
            ("firstByteTimeout", firstByteTimeout), ("bodyProgressTimeout", bodyProgressTimeout),
            ("expectContinue", expectContinue),
        ] {
            try ConnectionConfiguration.requireTime(option, value, in: name)
        }
        try redirects?.validate(as: "\(name).redirects")
        try retry?.validate(as: "\(name).retry")
        try hedging?.validate(as: "\(name).hedging")
    }
}

extension HTTPClient.RedirectPolicy {
    func validate(as name: String) throws(H2Error) {
        try ConnectionConfiguration.require(limit >= 0, "limit", limit, "0 or more", in: name)
    }
}

extension HTTPClient.HedgingPolicy {
    func validate(as name: String) throws(H2Error) {
        func require(_ isRight: Bool, _ option: String, _ value: Any, _ range: String) throws(H2Error) {
            try ConnectionConfiguration.require(isRight, option, value, range, in: name)
        }
        try ConnectionConfiguration.requireTime("delay", delay, in: name)
        let most = Self.mostHedges
        try require((0...most).contains(maximumHedges), "maximumHedges", maximumHedges, "0 to \(most)")
        try require(budget >= 0 && budget.isFinite, "budget", budget, "0 or more")
        try require(minimumHedgesPerSecond >= 0, "minimumHedgesPerSecond", minimumHedgesPerSecond, "0 or more")
    }
}

extension HTTPClient.RetryPolicy {
    func validate(as name: String) throws(H2Error) {
        func require(_ isRight: Bool, _ option: String, _ value: Any, _ range: String) throws(H2Error) {
            try ConnectionConfiguration.require(isRight, option, value, range, in: name)
        }
        try require(maximumAttempts >= 1, "maximumAttempts", maximumAttempts, "1 or more")
        try require(
            minimumRetriesPerSecond >= 0, "minimumRetriesPerSecond", minimumRetriesPerSecond, "0 or more")
        try require(budget >= 0 && budget.isFinite, "budget", budget, "0 or more")
        try require((0...1).contains(jitter), "jitter", jitter, "0 to 1")
        for (option, value) in [
            ("backoff", backoff), ("maximumBackoff", maximumBackoff), ("maximumRetryAfter", maximumRetryAfter),
            ("maximumTime", maximumTime),
        ] {
            try ConnectionConfiguration.requireTime(option, value, in: name)
        }
    }
}
