import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

/// The completion API: what its streams and figures begin with.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct DirectConnectionTests {
    /// Sends requests in turn on one stream, and notes what became of each.
    ///
    /// Invariant behind `@unchecked Sendable`: all of it happens on the loop.
    private final class InTurn: DirectConnectionUser, @unchecked Sendable {
        private var rest: [PreparedRequest]
        private let stream = DirectStream()
        private var dial: Connector?
        private var outcomes: [String] = []
        private var completion: (([String]) -> Void)?

        init(_ requests: [PreparedRequest]) { rest = requests }

        func run(_ origin: Origin, on loop: H2EventLoop, completion: @escaping ([String]) -> Void) {
            self.completion = completion
            dial = DirectConnection.connect(
                to: origin, offering: .priorKnowledge, configuration: ConnectionConfiguration(), tls: nil, on: loop,
                user: self
            ) { result in
                switch result {
                case .success(let connection): self.next(on: connection)
                case .failure(let error): self.finish("\(error)")
                }
            }
        }

        private func next(on connection: DirectConnection) {
            guard !rest.isEmpty else {
                finish(nil)
                return connection.closeNow(because: "the test is over")
            }
            do {
                try connection.send(rest.removeFirst(), on: stream)
                if let failure = stream.failure { finish("failed before it was answered: \(failure)") }
            } catch {
                finish("\(error)")
            }
        }

        private func finish(_ outcome: String?) {
            outcomes += outcome.map { [$0] } ?? []
            completion?(outcomes)
            completion = nil
        }

        func ended(_ stream: DirectStream, on connection: DirectConnection) {
            outcomes.append(
                stream.failure.map { "\($0.code)" } ?? "\(stream.responseStatus), \(stream.bodyBytes) bytes")
            next(on: connection)
        }
        func draining(_ connection: DirectConnection, why: H2Error) {}
        func streamLimitChanged(_ connection: DirectConnection) {}
        func closed(_ connection: DirectConnection, why: H2Error) { finish("closed: \(why)") }
    }

    @Test func `A stream whose request failed is as good as new for the next one`() async throws {
        try await withOriginAndClient(.http2) { _, server in
            let origin = try Origin(server.url)
            let requests = try ["/reset/8", "/bytes/10", "/reset/8?after=3", "/bytes/20"].map { path in
                try PreparedRequest(
                    HTTPRequest(method: .get, scheme: "http", authority: origin.authority, path: path), body: [],
                    to: origin)
            }
            let loop = H2EventLoop()
            defer { loop.shutdown() }
            let outcomes = await withCheckedContinuation { continuation in
                loop.execute { InTurn(requests).run(origin, on: loop) { continuation.resume(returning: $0) } }
            }
            #expect(outcomes == ["streamReset", "200, 10 bytes", "streamReset", "200, 20 bytes"])
        }
    }

    @Test func `Figures begin at nothing`() {
        let figures = DirectFigures()
        #expect((figures.received, figures.sent) == (0, 0))
        #expect((figures.receivedHTTP, figures.sentHTTP) == (0, 0))
        #expect((figures.headers, figures.headersDecoded) == (0, 0))
        #expect(figures.sendBlocked == 0)
    }
}
