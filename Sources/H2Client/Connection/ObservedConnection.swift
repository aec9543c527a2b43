/// A connection's figures, for who measures what is sent over it by its own door. On its loop's thread.
package struct ObservedConnection {
    private let driver: ConnectionDriver

    fileprivate init(_ driver: ConnectionDriver) {
        driver.loop.preconditionInLoop()
        self.driver = driver
    }

    package var info: ConnectionInfo { driver.info }
    package var version: HTTPVersion { driver.version }
    package var figures: DirectFigures { driver.figures() }
    package var openStreams: Int { driver.openStreamCount }
    package var lastByteAt: UInt64 { driver.lastInputAt }
    package var isDraining: Bool { driver.isDraining }
    /// That of the server's GOAWAY, if there was one.
    package var goAwayCode: ErrorCode? { driver.goAwayCode }
    /// How many requests may be under way at once, as far as is known, and whether the server has said so.
    package var maxConcurrentStreams: Int { driver.maxConcurrentStreams }
    package var knowsStreamLimit: Bool { driver.knowsStreamLimit }
    /// Calls `body` on the loop whenever the server has told another number of streams, or that it keeps to what was assumed.
    package func onStreamLimit(_ body: @escaping () -> Void) { driver.streamLimitWatcher = body }
    /// The server's SETTINGS_MAX_CONCURRENT_STREAMS; nil while it is not known, for no limit, and for HTTP/1.1.
    package var announcedStreamLimit: Int? { driver.announcedStreamLimit }
}

extension ConnectionDriver {
    final var announcedStreamLimit: Int? {
        guard version == .http2, knowsStreamLimit else { return nil }
        let limit = maxConcurrentStreams
        return limit >= Int(Int32.max) ? nil : limit
    }
}

extension HTTP2Connection {
    package nonisolated var observed: ObservedConnection { ObservedConnection(multiplexer) }
}

extension HTTP1Connection {
    package nonisolated var observed: ObservedConnection { ObservedConnection(driver) }
}
