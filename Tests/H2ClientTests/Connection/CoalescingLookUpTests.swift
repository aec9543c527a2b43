import H2ClientTesting
import H2Platform
import HTTPTypes
import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn, .timeLimit(.minutes(5))) struct CoalescingLookUpTests {
    /// Knows localhost, and never answers for anybody else.
    private final class HalfDead: NameResolver {
        struct Query: NameQuery { func cancel() {} }
        func resolve(
            host: String, port: Int, on loop: H2EventLoop, began: (@Sendable () -> Void)?,
            completion: @escaping @Sendable (Result<[SocketAddress], H2Error>) -> Void
        ) -> (any NameQuery)? {
            loop.execute {
                began?()
                if host == "localhost" {
                    completion(Resolver.addresses(host: "127.0.0.1", port: port, flags: AI_NUMERICHOST))
                }
            }
            return Query()
        }
    }

    @Test func `The look-up that decides whether a connection is shared has the limit of any look-up`() async throws {
        var serving = OriginServer.Configuration()
        serving.security = .selfSigned(names: ["localhost", "other.test"])
        let origin = try OriginServer.start(serving)
        var configuration = HTTPClient.Configuration()
        configuration.connection.tls.verifiesPeer = true
        configuration.connection.tls.caFile = try TestFile(origin.caPEM ?? "").path
        configuration.connection.timeouts.resolve = .milliseconds(200)
        configuration.connection.resolver = HostResolver(HalfDead())
        configuration.pool.coalesces = true
        try await withHTTPClient(configuration: configuration) { client in
            let first = try await client.send(HTTPRequest(url: "https://localhost:\(origin.port)/"))
            _ = try await first.body.discard()
            let error = await #expect(throws: H2Error.self) {
                _ = try await client.send(HTTPRequest(url: "https://other.test:\(origin.port)/"))
            }
            #expect(error?.cause == .timeout(.resolve, after: .milliseconds(200)))
        }
        await origin.stop()
    }

    /// A file of the process's life.
    private struct TestFile {
        let path: String
        init(_ text: String) throws {
            var template = Array("/tmp/h2client-XXXXXX".utf8CString)
            let descriptor = mkstemp(&template)
            try #require(descriptor >= 0)
            path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
            let bytes = Array(text.utf8)
            #expect(write(descriptor, bytes, bytes.count) == bytes.count)
            close(descriptor)
        }
    }
}
