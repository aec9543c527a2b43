import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Synchronization

/// The servers that an example of docs/client.md runs against. The names in the examples lead to servers on loopback.
struct Guide: Sendable {
    /// The names in the servers' certificate.
    private static let names =
        ["localhost", "example.com"] + ["www", "api", "files", "login", "names"].map { "\($0).example.com" }

    /// Leads to the servers, whatever the URL's host is, and trusts their certificate.
    let configuration: HTTPClient.Configuration
    let client: HTTPClient
    /// A folder for this example.
    let folder: String
    let secure: OriginServer
    private let log: Log

    /// The requests and the printed lines.
    private final class Log: Sendable {
        let requests = Mutex<[OriginServer.Request]>([])
        let lines = Mutex<[String]>([])
    }

    @TaskLocal private static var current: Log?

    /// The requests that the routes received.
    var requests: [OriginServer.Request] { log.requests.withLock { $0 } }
    /// The lines that the example printed in its own task.
    var printed: [String] { log.lines.withLock { $0 } }

    static func run(
        _ routes: [String: OriginServer.Handler] = [:], faults: OriginServer.Faults = OriginServer.Faults(),
        _ body: nonisolated(nonsending) (Guide) async throws -> Void
    ) async throws {
        let log = Log()
        var origin = OriginServer.Configuration(security: .selfSigned(names: names), faults: faults)
        for (path, handler) in routes {
            origin.routes[path] = { request in
                log.requests.withLock { $0.append(request) }
                return handler(request)
            }
        }
        let secure = try OriginServer.start(origin)
        defer { secure.stopNow() }
        origin.security = .cleartext
        let plain = try OriginServer.start(origin)
        defer { plain.stopNow() }

        var configuration = secure.clientConfiguration()
        configuration.connectTo = { [secure = secure.port, plain = plain.port] origin in
            ConnectionConfiguration.Endpoint(host: "127.0.0.1", port: origin.scheme == .https ? secure : plain)
        }
        let folder = try TemporaryDirectory.shared.newFolder("guide")
        try await withHTTPClient(configuration: configuration) { client in
            let guide = Guide(
                configuration: configuration, client: client, folder: folder, secure: secure, log: log)
            try await $current.withValue(log) { try await body(guide) }
        }
    }

    fileprivate static func take(_ line: String) { current?.lines.withLock { $0.append(line) } }
}

/// Keeps the examples' output out of the tests' output, and makes it available to the tests. It hides the standard
/// library's function, which is why it has the same parameters.
func print(_ items: Any..., separator: String = " ", terminator: String = "\n") {
    Guide.take(items.map { "\($0)" }.joined(separator: separator))
}

/// The value of the `sha-256` key of `content-digest` and `repr-digest`.
func digestField(of bytes: [UInt8], in folder: String) throws -> String {
    let file = "\(folder)/digest"
    try writeText(String(decoding: bytes, as: UTF8.self), to: file)
    let text = try Program.run("openssl", ["dgst", "-sha256", "-binary", "-out", "\(file).bin", file])
    precondition(text.isEmpty)
    let base64 = try Program.run("openssl", ["base64", "-A", "-in", "\(file).bin"])
    return "sha-256=:\(base64.filter { $0 != "\n" }):"
}
