import H2Client
import H2Platform
import H2TestSupport
import Testing

extension RealServers {
    /// The relay that loses connections, judged with curl.
    @Suite(.timeLimit(.minutes(5)))
    struct SilentProxyTests {
        @Test(arguments: [Duration.zero, .milliseconds(5)])
        func `The silent proxy forwards both ways, whatever the latency, and counts`(_ latency: Duration) async throws {
            let site = try StaticSite.shared
            let copy = try TemporaryDirectory.shared.newPath("copy")
            defer { unlink(copy) }
            try await RealServer.nghttpd.run { running in
                try await SilentProxy.run(to: running.origin.port) { proxy in
                    proxy.latency = latency
                    let origin = try proxy.origin(insteadOf: running.origin)
                    try await curl(["--data-binary", "@\(site.uploadPath)", "-o", copy, "\(origin)/echo"])
                    #expect(try sha256(ofFile: copy) == site.upload.sha256)
                    let transfers = try await curlTransfers(["\(origin)/small.txt?[1-3]"])
                    #expect(transfers.map(\.connects) == [1, 0, 0])
                    #expect(proxy.counts.accepted == 2)
                    #expect(proxy.counts.bytesToServer > site.upload.size)
                    #expect(proxy.counts.bytesToClient > site.upload.size)
                    #expect(proxy.counts.bytesDropped == 0)
                    try await eventually("it closes what both sides closed") { proxy.counts.open == 0 }
                }
            }
        }

        @Test
        func `The silent proxy adds the latency each way`() async throws {
            try await ScriptedHTTP1Server.run(script: { _ in [.respond()] }) { server in
                try await SilentProxy.run(to: server.port) { proxy in
                    proxy.latency = .milliseconds(150)
                    let start = ContinuousClock.now
                    try await curl(["\(proxy.origin(insteadOf: server.origin))/"])
                    #expect(ContinuousClock.now - start >= .milliseconds(300))
                }
            }
        }

        @Test
        func `Gone silent, it takes connections and loses what they say, until it forwards again`() async throws {
            try await ScriptedHTTP1Server.run(script: { _ in [.respond()] }) { server in
                try await SilentProxy.run(to: server.port) { proxy in
                    let url = "\(try proxy.origin(insteadOf: server.origin))/"
                    proxy.goSilent()
                    #expect(try await curlOutcome(["--max-time", "0.5", url]).exitCode == Curl.timedOut)
                    #expect(proxy.counts.accepted == 1)
                    #expect(proxy.counts.bytesDropped > 0)
                    #expect(server.requests.isEmpty)
                    // The server is not told that the client is gone.
                    #expect(server.connections.allSatisfy { $0.end == .open })
                    proxy.forward()
                    #expect(try await curl([url]).output == "abc")
                }
            }
        }

        @Test
        func `Gone silent on what is open, it serves new connections`() async throws {
            try await ScriptedHTTP1Server.run(script: { $0.target == "/held" ? [.hold, .respond()] : [.respond()] }) {
                server in
                try await SilentProxy.run(to: server.port) { proxy in
                    let origin = try proxy.origin(insteadOf: server.origin)
                    let held = Task { try await curlOutcome(["--max-time", "2", "\(origin)/held"]) }
                    try await eventually("the request is there") { server.requests.count == 1 }
                    proxy.goSilent(alsoNew: false)
                    server.release()
                    #expect(try await curl(["\(origin)/"]).output == "abc")
                    #expect(try await held.value.exitCode == Curl.timedOut)
                    #expect(proxy.counts.bytesDropped > 0)
                }
            }
        }

        @Test
        func `What it holds arrives later`() async throws {
            try await ScriptedHTTP1Server.run(script: { _ in [.hold, .respond()] }) { server in
                try await SilentProxy.run(to: server.port) { proxy in
                    let origin = try proxy.origin(insteadOf: server.origin)
                    let held = Task { try await curl(["\(origin)/"]) }
                    try await eventually("the request is there") { server.requests.count == 1 }
                    proxy.goSilent(.holds)
                    server.release()
                    // Another request that gets nowhere gives the response its time.
                    #expect(try await curlOutcome(["--max-time", "0.3", "\(origin)/"]).exitCode == Curl.timedOut)
                    #expect(proxy.counts.bytesToClient == 0)
                    proxy.forward()
                    #expect(try await held.value.output == "abc")
                    #expect(proxy.counts.bytesDropped == 0)
                }
            }
        }

        @Test
        func `The silent proxy closes or resets all connections, and takes new ones`() async throws {
            try await ScriptedHTTP1Server.run(script: { _ in [.hold, .respond()] }) { server in
                try await SilentProxy.run(to: server.port) { proxy in
                    let url = "\(try proxy.origin(insteadOf: server.origin))/"
                    for (number, end) in [Curl.emptyReply, Curl.receiveFailed].enumerated() {
                        let held = Task { try await curlOutcome([url]) }
                        try await eventually("the request is there") { server.requests.count == number + 1 }
                        end == Curl.emptyReply ? proxy.closeAll() : proxy.resetAll()
                        #expect(proxy.counts.open == 0)
                        #expect(try await held.value.exitCode == end)
                        try await eventually("the server learns of it") { server.connections[number].end == .byClient }
                    }
                    server.release()
                    #expect(try await curl([url]).output == "abc")
                }
            }
        }

        @Test
        func `The silent proxy resets a client whose server is not there`() async throws {
            try await SilentProxy.run(to: LoopbackPort.unused()) { proxy in
                let outcome = try await curlOutcome(["http://localhost:\(proxy.port)/"])
                // The RST may arrive before curl sees that it is connected, before it sends, or after.
                let failures = [Curl.notConnected, Curl.sendFailed, Curl.receiveFailed]
                #expect(failures.contains(outcome.exitCode), "\(outcome.output)")
                #expect(proxy.counts.accepted == 1)
                #expect(proxy.counts.open == 0)
            }
        }
    }
}
