import Foundation
import H2TestSupport
import Testing

@Suite(.inTurn, .timeLimit(.minutes(5))) struct RetryTimeTests {
    /// Runs it for `limit` seconds at most: the waits of these tests are much longer, so one that begins is a failure.
    private func run(
        _ arguments: [String], limit: Double = 200,
        _ script: @escaping @Sendable (ScriptedHTTP1Server.Request) -> [ScriptedHTTP1Server.Step]
    ) async throws -> (Program.Result, requests: Int) {
        try await ScriptedHTTP1Server.run(script: script) { server in
            let result = try await Program.run(arguments + ["\(server.origin)/"], limit: limit)
            return (result, server.requests.count)
        }
    }

    @Test(arguments: [["--max-time", "1000"], ["--retry-max-time", "1000"]])
    func `No wait begins that the time limit does not allow`(_ limit: [String]) async throws {
        let (result, requests) = try await run(["-i", "--retry", "2"] + limit) { _ in
            [.respond("503 Busy", ["Retry-After: 2000"], body: "busy")]
        }
        #expect(result.text.contains(" 503"), "\(result.errors)")
        #expect(result.text.hasSuffix("busy"))
        #expect(requests == 1)
    }

    @Test func `An answer that is thrown away holds up nothing, however slowly it comes`() async throws {
        let drip = (0..<1_000).flatMap { _ in [ScriptedHTTP1Server.Step.send("x"), .wait(.seconds(1))] }
        let (result, requests) = try await run(["--retry", "2", "--retry-delay", "0.1"]) {
            $0.connection == 0
                ? [.send("HTTP/1.1 503 Busy\r\nContent-Length: 1000\r\n\r\n")] + drip : [.respond(body: "done")]
        }
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.text == "done")
        #expect(requests == 2)
    }
}
