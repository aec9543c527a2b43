import CNghttp2
public import H2Client
import H2Platform

/// A small origin server for HTTP/2 and HTTP/1.1: for demos, benchmarks and tests, and the peer that tests tell to misbehave.
///
/// It serves the routes that `GET /` lists, and the files of a folder. It is one event loop's worth of server: give each
/// of several loops an origin of its own to use more cores. `Limits` let it be left running, also where other machines can
/// reach it; but it has no access control, and its routes do what they are asked to, so it is not meant to face the internet.
///
/// It runs until `stop` or `stopNow`; dropping the value stops nothing.
public final class OriginServer: Sendable {
    /// The port that it listens on.
    public let port: Int
    /// The address that it listens on.
    public let address: String
    /// SHA-256 of the certificate (DER), in lower-case hexadecimal; nil in cleartext.
    public let fingerprint: String?
    /// The throw-away authority that signed the certificate, to be trusted by clients; nil unless `selfSigned`.
    public let caPEM: String?

    private let listener: LoopBound<Listener>
    private let loop: EventLoop
    private let lifetime: LoopLifetime
    private let counters: Counters

    /// Binds, listens and returns; clients can connect from then on.
    ///
    /// - Parameter loop: the loop that does all the work; nil starts one, which ends with the origin.
    /// - Throws: `H2Error`: `localIO` where the address cannot be bound or the document root is no folder,
    ///   `tlsConfiguration` where a certificate cannot be made or loaded.
    public static func start(
        _ configuration: Configuration = Configuration(), on loop: EventLoop? = nil
    ) throws -> OriginServer {
        try OriginServer(configuration, loop: loop)
    }

    private init(_ configuration: Configuration, loop: EventLoop?) throws {
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
        self.loop = loop ?? EventLoop()
        lifetime = LoopLifetime(self.loop, isOurs: loop == nil)
        let listener = LoopBound(
            Listener(
                descriptor: descriptor, configuration: configuration, tls: tls, site: site, counters: counters,
                loop: self.loop))
        self.listener = listener
        self.loop.execute { listener.value.start() }
    }

    /// Such as `https://127.0.0.1:8443`.
    public var url: String {
        let host = address.contains(":") ? "[\(address)]" : address
        return "\(fingerprint == nil ? "http" : "https")://\(host):\(port)"
    }

    /// What it has done so far; from any thread.
    public var statistics: Statistics { counters.snapshot }

    /// Stops listening, says GOAWAY on each connection in two steps (RFC 9113 section 6.8), on HTTP/1.1 `Connection: close`
    /// in the next response, lets requests under way finish, and returns when every connection is closed. Connections of
    /// HTTP/1.1 without a request are closed at once. After `grace` those that are left are closed as they are.
    /// Cancelling the calling task changes nothing. Harmless twice.
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

    /// Stops listening and closes every connection as it is, in the loop's next turn. Returns at once. Harmless twice.
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

/// Ends an origin's own loop once, and takes no more calls for it then: they would never run.
///
/// Invariant behind `@unchecked Sendable`: `hasEnded` is touched under `lock` alone.
private final class LoopLifetime: @unchecked Sendable {
    private let loop: EventLoop
    private let isOurs: Bool
    private let lock = PthreadLock()
    private var hasEnded = false

    init(_ loop: EventLoop, isOurs: Bool) {
        self.loop = loop
        self.isOurs = isOurs
    }

    /// False where the loop has ended. A call that is taken before the end does run: the loop's last turn takes what was
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
