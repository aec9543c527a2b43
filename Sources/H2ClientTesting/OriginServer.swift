import CNghttp2
public import H2Client
import H2Platform

/// A small HTTP/2 and HTTP/1.1 origin server for demos, benchmarks and tests, with faults on demand.
///
/// It serves the routes that `GET /` lists, and the files of a folder. It runs on one event loop: to use more cores, start
/// one origin on each of several loops. With its `Limits` it may be left running, even if other machines can reach it. But
/// it has no access control, and its routes do what clients ask, so do not expose it to the internet.
///
/// It runs until `stop` or `stopNow`; releasing the value does not stop it.
public final class OriginServer: Sendable {
    /// The port that the origin listens on.
    public let port: Int
    /// The address that the origin listens on.
    public let address: String
    /// SHA-256 of the certificate (DER), in lower-case hexadecimal; nil in cleartext.
    public let fingerprint: String?
    /// The throw-away CA that signed the certificate, for clients to trust; nil unless `selfSigned`.
    public let caPEM: String?

    private let listener: LoopBound<Listener>
    private let loop: H2EventLoop
    private let lifetime: LoopLifetime
    private let counters: Counters

    /// Starts an origin. Clients can connect as soon as this returns.
    ///
    /// - Parameter loop: the loop that does all the work; nil starts one, which ends with the origin.
    /// - Throws: `H2Error`: `localIO` if the address cannot be bound or the document root is not a folder,
    ///   `tlsConfiguration` if a certificate cannot be created or loaded.
    public static func start(
        _ configuration: Configuration = Configuration(), on loop: H2EventLoop? = nil
    ) throws -> OriginServer {
        try OriginServer(configuration, loop: loop)
    }

    private init(_ configuration: Configuration, loop: H2EventLoop?) throws {
        let site = try Site(
            documentRoot: configuration.documentRoot, servesDotFiles: configuration.servesDotFiles)
        let tls: TLSContext?
        switch configuration.security {
        case .cleartext:
            (tls, caPEM) = (nil, nil)
        case .selfSigned(let names):
            let context = try TLSContext(serverProtocols: configuration.versions.protocols)
            caPEM = try context.makeSelfSigned(names: names, days: 7).caPEM
            tls = context
        case .identity(let certificateFile, let keyFile):
            let context = try TLSContext(serverProtocols: configuration.versions.protocols)
            try context.loadIdentity(certificate: certificateFile, key: keyFile)
            (tls, caPEM) = (context, nil)
        }
        fingerprint = tls?.certificateFingerprint.map { $0.map { Self.hexadecimal($0) }.joined() }

        guard let wirePort = UInt16(exactly: configuration.port) else {
            throw H2Error(.localIO, message: "port \(configuration.port) is out of range", remedy: "use 0 to 65535")
        }
        let descriptor = ch2_listen(configuration.address, wirePort, 1024)
        guard descriptor >= 0 else {
            let code = errno
            throw H2Error(
                .localIO, cause: .errno(code),
                message: "cannot listen on \(configuration.address) port \(wirePort): \(describeErrno(code))",
                remedy: code == EADDRINUSE ? "use another port, or 0 for any" : "use an address of this machine")
        }
        port = Int(ch2_socket_port(descriptor))
        address = configuration.address
        counters = Counters()
        self.loop = loop ?? H2EventLoop()
        lifetime = LoopLifetime(self.loop, isOurs: loop == nil)
        let listener = LoopBound(
            Listener(
                descriptor: descriptor, configuration: configuration, tls: tls, site: site, counters: counters,
                loop: self.loop))
        self.listener = listener
        self.loop.execute { listener.value.start() }
    }

    /// The origin's URL, such as `https://127.0.0.1:8443`.
    public var url: String {
        let host = address.contains(":") ? "[\(address)]" : address
        return "\(fingerprint == nil ? "http" : "https")://\(host):\(port)"
    }

    /// The origin's statistics so far. Callable from any thread.
    public var statistics: Statistics { counters.snapshot }

    /// Stops the origin gracefully, and returns when every connection is closed.
    ///
    /// It stops listening, lets open requests finish, and sends GOAWAY on each HTTP/2 connection in two steps (RFC 9113
    /// section 6.8), on HTTP/1.1 `Connection: close` in the next response. HTTP/1.1 connections without a request are closed
    /// at once. After `grace` the remaining connections are closed abruptly. Cancelling the calling task has no effect.
    /// Calling this twice is harmless.
    public func stop(grace: Duration = .seconds(5)) async {
        await withCheckedContinuation { continuation in
            let isRunning = lifetime.execute { [listener] in
                listener.value.drain(grace: grace) { continuation.resume() }
            }
            // The loop has ended, so everything is closed.
            if !isRunning { continuation.resume() }
        }
        lifetime.end()
    }

    /// Stops listening and closes every connection abruptly, in the loop's next turn.
    ///
    /// Returns at once. Calling this twice is harmless.
    public func stopNow() {
        _ = lifetime.execute { [listener, lifetime] in
            listener.value.closeAll()
            lifetime.end()
        }
    }

    private static func hexadecimal(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16)
        return digits.utf8.count == 1 ? "0" + digits : digits
    }
}

/// Ends an origin's own loop once, and then accepts no more calls for it, because they would never run.
///
/// Invariant behind `@unchecked Sendable`: `hasEnded` is accessed only under `lock`.
private final class LoopLifetime: @unchecked Sendable {
    private let loop: H2EventLoop
    private let isOurs: Bool
    private let lock = PthreadLock()
    private var hasEnded = false

    init(_ loop: H2EventLoop, isOurs: Bool) {
        self.loop = loop
        self.isOurs = isOurs
    }

    /// Runs `call` on the loop; false if the loop has ended. An accepted call always runs: the loop's last turn runs everything
    /// posted before `shutdown`.
    func execute(_ call: @escaping @Sendable () -> Void) -> Bool {
        lock.withLock {
            if !hasEnded { loop.execute(call) }
            return !hasEnded
        }
    }

    func end() {
        lock.withLock {
            guard isOurs, !hasEnded else { return }
            hasEnded = true
            loop.shutdown()
        }
    }
}
