import H2Client
import H2Platform
import H2TestSupport
import Testing

/// Exit codes of curl.
enum Curl {
    static let notConnected = 7
    static let partialFile = 18
    static let timedOut = 28
    static let emptyReply = 52
    static let sendFailed = 55
    static let receiveFailed = 56
}

extension RealServers {
    /// The server of scripted HTTP/1.1, judged with curl.
    @Suite(.timeLimit(.minutes(5)))
    struct ScriptedServerTests {
        @Test(arguments: [false, true])
        func `The scripted server serves several requests on a connection, and records them`(_ isTLS: Bool) async throws
        {
            let leaf = isTLS ? try TestCertificates.shared.valid : nil
            try await ScriptedHTTP1Server.run(tls: leaf, script: { [.respond("200 OK", ["X-Number: \($0.number)"])] }) {
                server in
                let transfers = try await curlTransfers([
                    "--http1.1", "-d", "name=value", "\(server.origin)/path?[1-3]",
                ])
                #expect(transfers.map(\.connects) == [1, 0, 0])
                let connection = try #require(server.connections.first)
                #expect(server.connections.count == 1)
                #expect(connection.requests.map(\.target) == ["/path?1", "/path?2", "/path?3"])
                #expect(connection.requests.allSatisfy { $0.method == "POST" && $0.bodyText == "name=value" })
                #expect(connection.requests[0].values(of: "content-LENGTH") == ["10"])
                #expect(connection.requests.allSatisfy { $0.isComplete && $0.bodyBytes == 10 })
                try await eventually("curl closes it") { server.connections[0].end == .byClient }
            }
        }

        @Test
        func `The scripted server reads a chunked body, and writes one with trailers`() async throws {
            let site = try StaticSite.shared
            try await ScriptedHTTP1Server.run(script: { _ in [.respond(chunks: ["ab", "c"], trailers: ["X-T: yes"])] })
            {
                server in
                let upload = ["-H", "Transfer-Encoding: chunked", "--data-binary", "@\(site.folder)/1m.bin"]
                let outcome = try await curl(upload + ["-i", "\(server.origin)/"])
                #expect(outcome.output.contains("\r\n\r\nabc"))
                #expect(outcome.output.contains("X-T: yes"))
                let request = try #require(server.requests.first)
                #expect(request.bodyBytes == 1 << 20)
                #expect(try request.body == readBytes("\(site.folder)/1m.bin"))
            }
        }

        @Test
        func `The scripted server says 100 before it reads a body`() async throws {
            let script: @Sendable (ScriptedHTTP1Server.Request) -> [ScriptedHTTP1Server.Step] = { request in
                #expect(request.body.isEmpty)
                return [.send("HTTP/1.1 100 Continue\r\n\r\n"), .readBody, .respond()]
            }
            try await ScriptedHTTP1Server.run(script: script) { server in
                let expecting = ["-H", "Expect: 100-continue", "--expect100-timeout", "30", "-d", "body"]
                let outcome = try await curl(expecting + ["\(server.origin)/"])
                #expect(outcome.output == "abc")
                #expect(server.requests.map(\.bodyText) == ["body"])
            }
        }

        @Test
        func `The scripted server refuses without reading the body`() async throws {
            let script: @Sendable (ScriptedHTTP1Server.Request) -> [ScriptedHTTP1Server.Step] = { _ in
                [.leaveBody, .respond("413 Content Too Large", ["Connection: close"]), .close]
            }
            try await ScriptedHTTP1Server.run(script: script) { server in
                let expecting = ["-H", "Expect: 100-continue", "--expect100-timeout", "30", "-d", "body"]
                let transfers = try await curlTransfers(expecting + ["\(server.origin)/"])
                #expect(transfers.map(\.status) == [413])
                #expect(server.requests.map(\.isComplete) == [false])
                #expect(server.connections.map(\.end) == [.byServer])
            }
        }

        @Test
        func `The scripted server closes after so many requests, with or without saying so`() async throws {
            for fields in [[], ["Connection: close"]] {
                let script: @Sendable (ScriptedHTTP1Server.Request) -> [ScriptedHTTP1Server.Step] = {
                    $0.number == 1 ? [.respond("200 OK", fields), .close] : [.respond()]
                }
                try await ScriptedHTTP1Server.run(script: script) { server in
                    let transfers = try await curlTransfers(["\(server.origin)/?[1-6]"])
                    #expect(transfers.map(\.status) == Array(repeating: 200, count: 6))
                    #expect(server.connections.count == 3)
                }
            }
        }

        /// A fault, and what curl makes of it.
        struct Fault: Sendable, CustomTestStringConvertible {
            var testDescription: String
            var steps: [ScriptedHTTP1Server.Step]
            var exitCode: Int
            var isTLS = false

            static let all = [
                Fault(testDescription: "closes before it answers", steps: [.close], exitCode: Curl.emptyReply),
                Fault(testDescription: "resets before it answers", steps: [.reset], exitCode: Curl.receiveFailed),
                Fault(
                    testDescription: "closes within a body",
                    steps: [.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), .close],
                    exitCode: Curl.partialFile),
                Fault(
                    testDescription: "closes within a chunked body",
                    steps: [.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"), .close],
                    exitCode: Curl.partialFile),
                Fault(
                    testDescription: "resets within a body, later",
                    steps: [
                        .send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), .wait(.milliseconds(50)), .reset,
                    ], exitCode: Curl.receiveFailed),
                Fault(
                    testDescription: "ends a body by close",
                    steps: [.send("HTTP/1.1 200 OK\r\n\r\nabc"), .finishWriting], exitCode: 0),
                Fault(
                    testDescription: "ends a body by close over TLS",
                    steps: [.send("HTTP/1.1 200 OK\r\n\r\nabc"), .close], exitCode: 0, isTLS: true),
            ]
        }

        @Test(arguments: Fault.all)
        func `The scripted server ends as its script says`(_ fault: Fault) async throws {
            let leaf = fault.isTLS ? try TestCertificates.shared.valid : nil
            try await ScriptedHTTP1Server.run(tls: leaf, script: { _ in fault.steps }) { server in
                let outcome = try await curlOutcome(["--http1.1", "\(server.origin)/"])
                #expect(outcome.exitCode == fault.exitCode, "\(outcome.output)")
                #expect(server.requests.count == 1)
            }
        }

        @Test(arguments: [false, true])
        func `The scripted server ends TLS with a close_notify, or cuts it off`(_ isCut: Bool) async throws {
            let leaf = try TestCertificates.shared.valid
            let script: @Sendable (ScriptedHTTP1Server.Request) -> [ScriptedHTTP1Server.Step] = { _ in
                [.send("HTTP/1.1 200 OK\r\n\r\nabc"), isCut ? .cut : .close]
            }
            try await ScriptedHTTP1Server.run(tls: leaf, script: script) { server in
                // curl 7.88 takes either for the body's end.
                let client = """
                    printf 'GET / HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n' |
                        openssl s_client -quiet -connect 127.0.0.1:\(server.port)
                    """
                let outcome = try await Program.finish("sh", ["-c", client])
                #expect(outcome.output.contains("abc"))
                #expect(outcome.output.contains("unexpected eof") == isCut, "\(outcome.output)")
            }
        }

        @Test
        func `The scripted server closes what it has just accepted`() async throws {
            try await ScriptedHTTP1Server.run(
                greeting: { $0 == 0 ? [.close] : [] }, script: { _ in [.respond()] }
            ) { server in
                let closed = try await curlOutcome(["\(server.origin)/"])
                #expect(closed.exitCode != 0)
                #expect(server.requests.isEmpty)
                let served = try await curl(["\(server.origin)/"])
                #expect(served.output == "abc")
                #expect(server.connections.map(\.end).first == .byServer)
            }
        }

        @Test(arguments: [false, true])
        func `The scripted server holds an answer until it is released, and sees the client leave`(
            _ isTLS: Bool
        ) async throws {
            let leaf = isTLS ? try TestCertificates.shared.valid : nil
            try await ScriptedHTTP1Server.run(tls: leaf, script: { _ in [.hold, .respond()] }) { server in
                let held = Task { try await curl(["\(server.origin)/"]) }
                try await eventually("the request is there") { server.requests.count == 1 }
                server.release()
                #expect(try await held.value.output == "abc")
                #expect(try await curlOutcome(["--max-time", "0.3", "\(server.origin)/"]).exitCode == Curl.timedOut)
                try await eventually("the server sees that") { server.connections[1].end == .byClient }
            }
        }

        @Test
        func `Closes, resets or speaks unasked when the test says so`() async throws {
            try await ScriptedHTTP1Server.run(script: { _ in [.hold, .respond()] }) { server in
                for (number, end) in [Curl.emptyReply, Curl.receiveFailed, 0].enumerated() {
                    let held = Task { try await curlOutcome(["\(server.origin)/"]) }
                    try await eventually("the request is there") { server.requests.count == number + 1 }
                    switch end {
                    case Curl.emptyReply: server.closeAll()
                    case Curl.receiveFailed: server.resetAll()
                    default: server.sendToAll("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
                    }
                    #expect(try await held.value.exitCode == end)
                }
                #expect(server.connections.prefix(2).map(\.end) == [.byServer, .byServer])
            }
        }

        @Test
        func `The scripted server takes HTTP 2 for no request`() async throws {
            try await ScriptedHTTP1Server.run(script: { _ in [.respond()] }) { server in
                #expect(try await curlOutcome(["--http2-prior-knowledge", "\(server.origin)/"]).exitCode != 0)
                try await eventually("it has seen that") {
                    if case .malformed = server.connections.first?.end { true } else { false }
                }
                #expect(server.requests.isEmpty)
            }
        }

        @Test
        func `The scripted server turns away over TLS who offers another protocol only`() async throws {
            let leaf = try TestCertificates.shared.valid
            try await ScriptedHTTP1Server.run(tls: leaf, protocols: ["h2"], script: { _ in [.respond()] }) { server in
                #expect(try await curlOutcome(["--http1.1", "\(server.origin)/"]).exitCode != 0)
                try await eventually("it has seen that") { server.connections.first?.end == .noTLS }
            }
        }
    }
}
