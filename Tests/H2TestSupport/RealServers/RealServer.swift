public import H2Client
public import Testing

import Glibc

/// How to start one of the servers that Debian packages, and what it can do.
public struct RealServer: Sendable, CustomTestStringConvertible {
    /// What a test asks of a server.
    public struct Options: Sendable {
        /// SETTINGS_MAX_CONCURRENT_STREAMS.
        public var streamLimit = 100
        /// The certificate that it shows; nil for the valid one.
        public var leaf: TestCertificates.Leaf?

        public init() {}
    }

    /// Where a server takes uploads.
    public enum Upload: Sendable {
        /// POST to `/echo` comes back.
        case echo
        /// PUT to `/up/NAME` makes a file that can be fetched there.
        case put
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
    let make: @Sendable (Site) throws -> [ServerProcess]

    public var testDescription: String { name }

    /// What a definition gets to write its configuration from.
    struct Site: Sendable {
        var folder: String
        var root: String
        var uploads: String
        var leaf: TestCertificates.Leaf
        var streamLimit: Int
        /// TLS with ALPN h2, cleartext by prior knowledge, TLS with HTTP/1.1 only, and a backend's.
        var tls: Int
        var cleartext: Int
        var http1: Int
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
        let folder = try TemporaryDirectory.shared.newFolder(name)
        let site = Site(
            folder: folder, root: try StaticSite.shared.folder,
            uploads: try TemporaryDirectory.shared.newFolder("uploads", mode: 0o777),
            leaf: try options.leaf ?? TestCertificates.shared.valid, streamLimit: options.streamLimit,
            tls: try LoopbackPort.unused(), cleartext: try LoopbackPort.unused(), http1: try LoopbackPort.unused(),
            backend: try LoopbackPort.unused(), isRoot: getuid() == 0)
        let processes = try make(site)
        let server = RunningServer(server: self, site: site, processes: processes)
        do {
            for process in processes { try await process.start() }
            let result = try await body(server)
            await server.stop()
            return result
        } catch {
            await server.stop()
            throw error
        }
    }

    /// Ends the test as skipped, or as failed where servers are required.
    static func skip(_ why: String) throws {
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
    /// https, ALPN h2.
    public var origin: Origin { get throws { try Origin(scheme: .https, host: "localhost", port: site.tls) } }
    /// http, HTTP/2 by prior knowledge.
    public var cleartextOrigin: Origin {
        get throws { try Origin(scheme: .http, host: "localhost", port: site.cleartext) }
    }
    /// https where ALPN knows HTTP/1.1 alone (nginx).
    public var http1Origin: Origin { get throws { try Origin(scheme: .https, host: "localhost", port: site.http1) } }

    /// A configuration that trusts the tests' authority.
    public var configuration: Configuration {
        get throws {
            var configuration = Configuration()
            configuration.tls.caFile = try TestCertificates.shared.caFile
            return configuration
        }
    }

    /// What the server and its backend wrote, for messages.
    public var log: String { processes.map(\.log).joined(separator: "\n") }

    func stop() async {
        for process in processes.reversed() { await process.stop() }
    }
}
