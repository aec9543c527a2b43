public import H2Client
import H2Platform
public import Testing

/// How to start one of the servers that Debian packages, and what it can do.
public struct RealServer: Sendable, CustomTestStringConvertible {
    /// What a test asks of a server.
    public struct Options: Sendable {
        /// SETTINGS_MAX_CONCURRENT_STREAMS.
        public var streamLimit = 100
        /// The certificate that it shows; nil for the valid one.
        public var leaf: TestCertificates.Leaf?
        /// Seconds that a connection without a request is kept; nil for the server's own time.
        public var keepAliveSeconds: Int?
        /// How many requests a connection serves before the server ends it: of both protocols with nginx, of HTTP/1.1
        /// with Apache. Nil for as many as come.
        public var requestsPerConnection: Int?
        /// What is answered with a refusal; nil for nothing.
        public var refusal: Refusal?
        /// How many requests a Python application serves at a time; nil for 8.
        public var threads: Int?

        public init() {}
    }

    /// Which requests are refused, and how.
    public struct Refusal: Sendable {
        public enum Above: Sendable {
            /// More than that many requests a second of all clients, `burst` of them ahead of time.
            case requestsPerSecond(Int, burst: Int)
            /// More than that many requests at a time of all clients; of HTTP/2 each stream counts.
            case requestsAtATime(Int)
        }

        public var above: Above
        /// 429 or 503, with a Retry-After.
        public var status = 503
        public var retryAfterSeconds = 1

        public init(above: Above, status: Int = 503, retryAfterSeconds: Int = 1) {
            self.above = above
            self.status = status
            self.retryAfterSeconds = retryAfterSeconds
        }
    }

    /// Those of `Options` that not every server knows.
    public enum Option: Sendable {
        case keepAliveSeconds, requestsPerConnection, refusal, threads
    }

    /// Where a server can be reached, and what it speaks there.
    public struct Endpoints: OptionSet, Sendable {
        public let rawValue: Int
        public init(rawValue: Int) { self.rawValue = rawValue }

        /// HTTP/2 at `origin`, by ALPN.
        public static let http2TLS = Endpoints(rawValue: 1)
        /// HTTP/1.1 at `origin`, by ALPN or without.
        public static let http1TLS = Endpoints(rawValue: 2)
        /// HTTP/2 by prior knowledge at `cleartextOrigin`.
        public static let http2Cleartext = Endpoints(rawValue: 4)
        /// HTTP/1.1 at `http1CleartextOrigin`.
        public static let http1Cleartext = Endpoints(rawValue: 8)
        /// No HTTP/2 at `http1Origin`.
        public static let http1OnlyTLS = Endpoints(rawValue: 16)
        /// No HTTP/1.1 at `http2OnlyOrigin`.
        public static let http2OnlyTLS = Endpoints(rawValue: 32)
    }

    /// Where a server takes uploads.
    public enum Upload: Sendable {
        /// POST to `/echo` comes back.
        case echo
        /// PUT to `/up/NAME` makes a file that can be fetched there.
        case put
    }

    /// What it serves.
    public enum Content: Sendable {
        /// The files of `StaticSite`.
        case files
        /// The routes of `PythonApplication`.
        case application
    }

    /// The server's name.
    public let name: String
    /// The command that it is.
    public let command: String
    public let upload: Upload
    /// The SETTINGS_MAX_CONCURRENT_STREAMS that it announces whatever `Options.streamLimit` says; nil where it obeys.
    public let fixedStreamLimit: Int?
    /// Whether responses end in the trailer field `x-trailer: yes`.
    public let sendsTrailers: Bool
    /// The signal on which it tells its connections GOAWAY and lets their streams finish; nil where it knows none.
    public let gracefulSignal: CInt?
    /// Whether it goes on serving new connections after that signal (a reload), or ends (a shutdown).
    public let outlivesGracefulSignal: Bool
    public let endpoints: Endpoints
    public let obeys: Set<Option>
    public var content = Content.files
    /// Why it cannot run here although its command is there; nil where it can.
    var obstacle: @Sendable () -> String? = { nil }
    let make: @Sendable (Site) throws -> [ServerProcess]

    public var testDescription: String { name }

    /// What a definition gets to write its configuration from.
    struct Site: Sendable {
        var folder: String
        var root: String
        var uploads: String
        var leaf: TestCertificates.Leaf
        var options: Options
        var streamLimit: Int { options.streamLimit }
        /// TLS with what ALPN chooses; cleartext by prior knowledge.
        var tls: Int
        var cleartext: Int
        /// HTTP/1.1 only, over TLS and in cleartext.
        var http1: Int
        var http1Cleartext: Int
        /// TLS with HTTP/2 only.
        var http2Only: Int
        var backend: Int
        /// Servers started by root give its rights up, unless they are told another user.
        var isRoot: Bool
    }

    /// Starts the server, runs `body` and ends it on every exit. Where it is not installed the test is skipped, or fails
    /// where CI or H2_REQUIRE_SERVERS is set.
    public func run<R>(
        _ options: Options = Options(), _ body: nonisolated(nonsending) (RunningServer) async throws -> R
    ) async throws -> R {
        for command in Set([command, "nghttpd", "openssl"]) where Program.path(of: command) == nil {
            try Self.skip("\(command) is not installed (Scripts/setup test installs it)")
        }
        if let obstacle = obstacle() { try Self.skip(obstacle) }
        let asked: [(Option, Bool)] = [
            (.keepAliveSeconds, options.keepAliveSeconds != nil), (.refusal, options.refusal != nil),
            (.requestsPerConnection, options.requestsPerConnection != nil), (.threads, options.threads != nil),
        ]
        for (option, isAsked) in asked where isAsked && !obeys.contains(option) {
            throw ProcessFailure("\(name) has no \(option)")
        }
        let folder = try TemporaryDirectory.shared.newFolder(name)
        let site = Site(
            folder: folder, root: try StaticSite.shared.folder,
            uploads: try TemporaryDirectory.shared.newFolder("uploads", mode: 0o777),
            leaf: try options.leaf ?? TestCertificates.shared.valid, options: options,
            tls: try LoopbackPort.unused(), cleartext: try LoopbackPort.unused(), http1: try LoopbackPort.unused(),
            http1Cleartext: try LoopbackPort.unused(), http2Only: try LoopbackPort.unused(),
            backend: try LoopbackPort.unused(), isRoot: getuid() == 0)
        let processes = try make(site)
        let server = RunningServer(server: self, site: site, processes: processes)
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for process in processes { group.addTask { try await process.start() } }
                try await group.waitForAll()
            }
            let result = try await body(server)
            await server.stop()
            return result
        } catch {
            await server.stop()
            throw error
        }
    }

    /// Ends the test as skipped, or as failed where servers are required.
    public static func skip(_ why: String) throws {
        if getenv("CI") != nil || getenv("H2_REQUIRE_SERVERS") != nil { throw ProcessFailure(why) }
        // The runner's own line does not say which server was left out.
        let line = Array("SKIPPED: \(why)\n".utf8)
        _ = write(STDERR_FILENO, line, line.count)
        #if compiler(>=6.3)
            try Test.cancel("\(why)")
        #else
            throw ProcessFailure(why)
        #endif
    }
}

/// A server that runs on loopback for one test.
public struct RunningServer: Sendable {
    public let server: RealServer
    let site: RealServer.Site
    let processes: [ServerProcess]

    /// The server's own process; a backend comes after it.
    public var process: ServerProcess { processes.last! }
    /// https, where ALPN chooses.
    public var origin: Origin { get throws { try origin([.http2TLS, .http1TLS], .https, site.tls) } }
    /// http, HTTP/2 by prior knowledge.
    public var cleartextOrigin: Origin { get throws { try origin(.http2Cleartext, .http, site.cleartext) } }
    /// https where ALPN knows HTTP/1.1 alone, or there is no ALPN.
    public var http1Origin: Origin {
        get throws {
            try origin(.http1OnlyTLS, .https, server.endpoints.contains(.http2TLS) ? site.http1 : site.tls)
        }
    }
    /// http, HTTP/1.1.
    public var http1CleartextOrigin: Origin { get throws { try origin(.http1Cleartext, .http, site.http1Cleartext) } }
    /// https where ALPN knows HTTP/2 alone.
    public var http2OnlyOrigin: Origin {
        get throws {
            try origin(.http2OnlyTLS, .https, server.endpoints.contains(.http1TLS) ? site.http2Only : site.tls)
        }
    }

    private func origin(_ endpoint: RealServer.Endpoints, _ scheme: Origin.Scheme, _ port: Int) throws -> Origin {
        guard !server.endpoints.isDisjoint(with: endpoint) else {
            throw ProcessFailure("\(server.name) does not serve there")
        }
        return try Origin(scheme: scheme, host: "localhost", port: port)
    }

    /// A configuration that trusts the tests' authority.
    public var configuration: ConnectionConfiguration {
        get throws {
            var configuration = ConnectionConfiguration()
            configuration.tls.caFile = try TestCertificates.shared.caFile
            return configuration
        }
    }

    /// What the server and its backend wrote, for messages.
    public var log: String { processes.map(\.log).joined(separator: "\n") }

    /// Has the server read its configuration again, with new workers; the old ones finish what they have and end. Returns
    /// when there is a new worker.
    /// - Throws: `ProcessFailure` where the server cannot do that, or does not within 10 seconds.
    public func reload() async throws {
        guard let signal = server.gracefulSignal, server.outlivesGracefulSignal else {
            throw ProcessFailure("\(server.name) cannot reload")
        }
        // Two processes are one server on two ports here.
        for process in processes { try await process.renewWorkers(by: signal) }
    }

    /// Ends the server's processes and starts them again on the same ports; connections are lost. Between the two, new
    /// ones are refused.
    /// - Throws: `ProcessFailure` where a process does not serve again.
    public func restart(after ending: ServerProcess.Ending = .stop) async throws {
        for process in processes { try await process.restart(after: ending) }
    }

    func stop() async {
        for process in processes.reversed() { await process.stop() }
    }
}
