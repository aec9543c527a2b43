import Foundation
import H2TestSupport
import Testing

@Suite(.inTurn, .timeLimit(.minutes(5))) struct OneTimeBodyTests {
    @Test(arguments: [["--http1.1"], ["--http1.1", "--retry", "2"]])
    func `A body that can be read once is repeated without Expect after 417, since nothing of it was sent`(
        _ options: [String]
    ) async throws {
        let folder = try TemporaryFolder()
        try folder.write("from a pipe", to: "in")
        try await ScriptedHTTP1Server.run(
            script: {
                $0.values(of: "expect").isEmpty
                    ? [.readBody, .respond(body: "taken")]
                    : [.leaveBody, .respond("417 Expectation Failed"), .close]
            }
        ) { server in
            let script = """
                cat in | "\(Program.path)" \(options.joined(separator: " ")) --expect-continue -T - \(server.origin)/up \
                    > out 2> errors
                """
            let status = try await Program.runShell(script, in: folder.root)
            #expect(status == 0, "\((try? folder.read("errors")) ?? "")")
            #expect(try folder.read("out") == "taken")
            #expect(server.requests.map { $0.values(of: "expect") } == [["100-continue"], []])
            #expect(server.requests.first?.bodyBytes == 0)
            #expect(server.requests.last?.bodyText == "from a pipe")
        }
    }

    @Test func `A body that can be read once is not read while the server may still refuse the expectation`()
        async throws
    {
        let folder = try TemporaryFolder()
        try folder.write("from a pipe", to: "in")
        try await ScriptedHTTP1Server.run(
            script: { _ in [.send("HTTP/1.1 100 Continue\r\n\r\n"), .readBody, .respond(body: "taken")] }
        ) { server in
            let script = """
                cat in | "\(Program.path)" --http1.1 --expect-continue -T - \(server.origin)/up > out
                """
            let status = try await Program.runShell(script, in: folder.root)
            #expect(status == 0)
            #expect(server.requests.map(\.bodyText) == ["from a pipe"])
        }
    }
}

@Suite(.inTurn, .timeLimit(.minutes(5))) struct RefusedRetryTests {
    private func run(
        _ arguments: [String], input: String? = nil,
        _ script: @escaping @Sendable (ScriptedHTTP1Server.Request) -> [ScriptedHTTP1Server.Step]
    ) async throws -> Program.Result {
        try await ScriptedHTTP1Server.run(script: script) { server in
            try await Program.run(
                ["--http1.1"] + arguments + ["\(server.origin)/"], input: input.map { Data($0.utf8) })
        }
    }

    @Test(arguments: [("--max-time", "-m"), ("--retry-max-time", "--retry-max-time")])
    func `h2get says why it did not retry where Retry-After asks for more than a limit of the command line`(
        _ option: String, _ named: String
    ) async throws {
        for fails in [[], ["-f"]] {
            let result = try await run(fails + ["--retry", "2", option, "100"]) { _ in
                [.respond("503 Busy", ["Retry-After: 300"], body: "busy")]
            }
            #expect(result.errors.contains("not tried again"), "\(result.errors)")
            #expect(result.errors.contains("300.00 s") && result.errors.contains(named), "\(result.errors)")
        }
    }

    @Test func `h2get says why it did not retry where Retry-After asks for more than can be counted`() async throws {
        let result = try await run(["--retry", "2"]) { _ in
            [.respond("503 Busy", ["Retry-After: 1" + String(repeating: "0", count: 30)], body: "busy")]
        }
        #expect(result.errors.contains("Retry-After asks for more than 68 years"), "\(result.errors)")
    }

    @Test func `h2get says why it did not retry where Retry-After asks for more than h2get ever waits`() async throws {
        let result = try await run(["--retry", "2"]) { _ in
            [.respond("503 Busy", ["Retry-After: 2000"], body: "busy")]
        }
        #expect(result.text == "busy")
        #expect(result.errors.contains("not tried again: Retry-After asks for 2000.00 s"), "\(result.errors)")
    }

    @Test func `h2get says why it did not retry where the body cannot be sent again`() async throws {
        let result = try await run(["--retry", "2", "-T", "-"], input: "once") { _ in
            [.readBody, .respond("503 Busy", body: "busy")]
        }
        #expect(result.text == "busy")
        #expect(result.errors.contains("not tried again: the body cannot be read a second time"), "\(result.errors)")
    }

    @Test func `h2get says why it did not retry where the method must not be repeated`() async throws {
        let result = try await run(["--retry", "2", "-d", "x"]) { _ in
            [.readBody, .respond("503 Busy", body: "busy")]
        }
        #expect(result.errors.contains("not tried again: the server may have processed it"), "\(result.errors)")
        let failed = try await run(["--retry", "2", "-d", "x"]) { _ in [.readBody, .close] }
        #expect(failed.status == 52, "\(failed.errors)")
        #expect(failed.errors.contains("not tried again: the server may have processed it"), "\(failed.errors)")
    }

    @Test func `h2get does not say that a GET must not be repeated`() async throws {
        let served = try Served()
        let result = try await served.get("--retry", "1", served.url("/reset/2"))
        #expect(result.status != 0)
        #expect(!result.errors.contains("must not be done twice"), "\(result.errors)")
    }

    @Test func `h2get says nothing of retries where --retry is not given, or with -s`() async throws {
        for options in [[], ["-s", "--retry", "2"]] {
            let result = try await run(options + ["-m", "100"]) { _ in
                [.respond("503 Busy", ["Retry-After: 300"], body: "busy")]
            }
            #expect(result.text == "busy")
            #expect(!result.errors.contains("again"), "\(result.errors)")
        }
    }
}
