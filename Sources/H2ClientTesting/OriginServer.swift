import CNghttp2
public import H2Client
import H2Platform

/// A small HTTP/2 and HTTP/1.1 origin server for tests, demos and benchmarks, with faults on demand.
///
/// ```swift
/// var configuration = OriginServer.Configuration()
/// configuration.routes["/orders"] = { request in .init(status: .created, body: request.body) }
/// try await OriginServer.withServer(configuration) { server in
///     try await withHTTPClient(configuration: server.clientConfiguration()) { client in
///         let created = try await client.post("\(server.url)/orders", body: .string("tea"))
///         assert(created.status == .created && created.text == "tea")
///         let refused = try await client.get("\(server.url)/status/503")
///         assert(refused.status == .serviceUnavailable)
///     }
/// }
/// ```
///
/// It serves the routes of its configuration, those that `GET /` lists (see <doc:H2ClientTesting>), and the files of a folder. It
/// runs on one event loop: to use more cores, start a server on each of several loops. With its ``Limits`` it may be left
/// running, even if other machines can reach it. But it has no access control, and its routes do what clients ask, so do not
/// expose it to the internet.
///
/// A server that was started by ``start(_:on:)`` runs until ``stop(grace:)`` or ``stopNow()``; releasing the value does not stop it.
public final class OriginServer: LiveObject, Sendable {
    /// The port that the server listens on.
    public let port: Int
    /// The address that the server listens on.
    public let address: String
    /// SHA-256 of the certificate (DER), in lower-case hexadecimal; nil in cleartext.
    public let fingerprint: String?
    /// The throw-away CA that signed the certificate, for clients to trust, as PEM; nil unless ``Security/selfSigned(names:)``.
    ///
    /// ``clientConfiguration()`` trusts it.
    public let caPEM: String?

    private let versions: Versions
    private let listener: LoopBound<Listener>
    private let loop: H2EventLoop
    private let lifetime: LoopLifetime
    private let counters: Counters

    /// Starts a server, runs `body`, and stops the server: what is in progress then is ended abruptly.
    ///
    /// - Parameters:
    ///   - configuration: What the server does.
    ///   - loop: The loop that does all the work; nil starts one, which ends with the server.
    ///   - body: The work that needs the server. Clients can connect as soon as it begins.
    /// - Throws: The errors of ``start(_:on:)`` and of `body`.
    public static nonisolated(nonsending) func withServer<R>(
        _ configuration: Configuration = Configuration(), on loop: H2EventLoop? = nil,
        _ body: nonisolated(nonsending) (OriginServer) async throws -> R
    ) async throws -> R {
        let server = try start(configuration, on: loop)
        do {
            let result = try await body(server)
            await server.stop(grace: .zero)
            return result
        } catch {
            await server.stop(grace: .zero)
            throw error
        }
    }

    /// Starts a server, which the caller must stop. Clients can connect as soon as this returns.
    ///
    /// - Parameters:
    ///   - configuration: What the server does.
    ///   - loop: The loop that does all the work; nil starts one, which ends with the server.
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
                remedy: code == EADDRINUSE
                    ? "use another port, or 0 for any" : "use a numeric address of this machine, such as 127.0.0.1")
        }
        port = Int(ch2_socket_port(descriptor))
        address = configuration.address
        versions = configuration.versions
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

    /// The server's URL, without a path, such as `https://127.0.0.1:8443`.
    public var url: String {
        let host = address.contains(":") ? "[\(address)]" : address
        return "\(fingerprint == nil ? "http" : "https")://\(host):\(port)"
    }

    /// The server's origin, for example to connect an `HTTP2Connection` to it.
    public var origin: Origin {
        // `start` has listened on this address and port, so that they are valid.
        guard let origin = try? Origin(scheme: fingerprint == nil ? .http : .https, host: address, port: port) else {
            preconditionFailure("\(address) port \(port) is not a valid origin")
        }
        return origin
    }

    /// Returns the configuration of a client that trusts this server's certificate and speaks a version of HTTP that it offers.
    ///
    /// Everything else is as by default. In cleartext a server of both versions is spoken to in HTTP/1.1. The property
    /// `connection` of the result is the configuration of an `HTTP2Connection` or `HTTP1Connection`.
    public func clientConfiguration() -> HTTPClient.Configuration {
        var configuration = HTTPClient.Configuration()
        if let caPEM { configuration.connection.tls.roots = [.pem(caPEM)] }
        switch versions {
        case .both: break
        case .http2: configuration.versions = .http2Only
        case .http1: configuration.versions = .http1Only
        }
        return configuration
    }

    /// The server's statistics so far. Callable from any thread.
    public var statistics: Statistics { counters.snapshot }

    /// Stops the server gracefully, and returns when every connection is closed.
    ///
    /// It stops listening, lets open requests finish, and sends GOAWAY on each HTTP/2 connection in two steps (RFC 9113
    /// section 6.8), on HTTP/1.1 `Connection: close` in the next response. HTTP/1.1 connections without a request are closed
    /// at once. After `grace` the remaining connections are closed abruptly. Cancelling the calling task has no effect.
    /// Calling this twice is harmless.
    public nonisolated(nonsending) func stop(grace: Duration = .seconds(5)) async {
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
