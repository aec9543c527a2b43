import H2Client
import H2Platform
import H2TestSupport
import Testing

extension RealServers {
    /// What the harness has for clients that also speak HTTP/1.1, judged with curl.
    @Suite(.timeLimit(.minutes(5)))
    struct HarnessHTTP1Tests {
        @Test(arguments: RealServer.http1)
        func `A server serves HTTP 1.1 on a kept connection, over TLS and in cleartext`(
            _ server: RealServer
        ) async throws {
            let kept = [1, 0].map { CurlTransfer(status: 200, version: "1.1", connects: $0) }
            try await server.run { running in
                for origin in [try running.origin, try running.http1CleartextOrigin] {
                    #expect(try await curl(["--http1.1", "\(origin)/small.txt"]).output == "abc")
                    #expect(try await curlTransfers(["--http1.1", "\(origin)/small.txt?[1-2]"]) == kept, "\(origin)")
                }
            }
        }

        @Test(arguments: RealServer.http1.filter { $0.endpoints.contains(.http1OnlyTLS) })
        func `A server serves HTTP 1.1 to a client that offers both, where there is nothing else`(
            _ server: RealServer
        ) async throws {
            try await server.run { running in
                let transfers = try await curlTransfers(["--http2", "\(running.http1Origin)/small.txt"])
                #expect(transfers == [CurlTransfer(status: 200, version: "1.1", connects: 1)])
            }
        }

        @Test(arguments: [RealServer.nghttpd, .haproxy])
        func `A server serves nothing but HTTP 2 where there is nothing else`(_ server: RealServer) async throws {
            try await server.run { running in
                let transfers = try await curlTransfers(["--http2", "\(running.http2OnlyOrigin)/small.txt"])
                #expect(transfers == [CurlTransfer(status: 200, version: "2", connects: 1)])
                let refused = try await curlOutcome(["--http1.1", "--fail", "\(running.http2OnlyOrigin)/small.txt"])
                #expect(refused.exitCode != 0)
            }
        }

        @Test(arguments: RealServer.http1.filter { $0.obeys.contains(.keepAliveSeconds) })
        func `A server closes a connection that is idle for so long`(_ server: RealServer) async throws {
            var options = RealServer.Options()
            options.keepAliveSeconds = 1
            try await server.run(options) { running in
                // Ends with the connection.
                let client = """
                    exec 3<>/dev/tcp/127.0.0.1/\(try running.http1CleartextOrigin.port)
                    printf 'GET /small.txt HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n' >&3
                    exec timeout 15 cat <&3
                    """
                let start = ContinuousClock.now
                let outcome = try await Program.finish("bash", ["-c", client])
                let time = ContinuousClock.now - start
                #expect(outcome.exitCode == 0)
                #expect(outcome.output.contains("HTTP/1.1 200"))
                #expect(outcome.output.contains("abc"))
                #expect(time > .milliseconds(500) && time < .seconds(14), "\(time)")
            }
        }

        // MARK: - Python

        @Test(arguments: [(RealServer.gunicorn, "1.1"), (.hypercorn, "1.1"), (.hypercorn, "2")])
        func `The application's routes answer`(_ server: RealServer, _ version: String) async throws {
            let protocolOption = version == "2" ? "--http2" : "--http1.1"
            try await server.run { running in
                let origin = try running.origin
                func get(_ path: String, _ more: [String] = []) async throws -> String {
                    try await curl([protocolOption] + more + ["\(origin)\(path)"]).output
                }
                let bytes = try await get("/bytes/100")
                #expect(Array(bytes.utf8) == PythonApplication.bytes(100))
                #expect(try await get("/chunks/3/4") == "aaaabbbbcccc")
                let json = try await get("/json", ["-H", "Content-Type: application/json", "-d", #"{"a":[1,null]}"#])
                #expect(
                    json.filter { !$0.isWhitespace }
                        == #"{"method":"POST","numbers":[1,2,3],"received":{"a":[1,null]}}"#)
                #expect(try await get("/delay/30") == "30")
                let ports = try await curl([protocolOption, "\(origin)/connection?[1-2]"]).output
                #expect(ports.count.isMultiple(of: 2) && ports.prefix(ports.count / 2) == ports.suffix(ports.count / 2))

                let copy = try TemporaryDirectory.shared.newPath("copy")
                defer { unlink(copy) }
                let file = try StaticSite.shared.hundredKiB
                _ = try await get(
                    "/echo", ["--data-binary", "@\(try StaticSite.shared.folder)/\(file.name)", "-o", copy])
                #expect(try sha256(ofFile: copy) == file.sha256)

                let refusal = try await curlOutcome([protocolOption, "-i", "\(origin)/status/429?retry-after=7"]).output
                #expect(refusal.contains(" 429"))
                #expect(refusal.lowercased().contains("retry-after: 7"))
                #expect(try await curlTransfers([protocolOption, "\(origin)/status/204"]).map(\.status) == [204])
            }
        }

        @Test
        func `gunicorn sends pieces as chunks, as many at a time as it has threads`() async throws {
            var options = RealServer.Options()
            options.threads = 2
            try await RealServer.gunicorn.run(options) { running in
                let origin = try running.http1CleartextOrigin
                #expect(
                    try await curl(["--raw", "\(origin)/chunks/2/3"]).output == "3\r\naaa\r\n3\r\nbbb\r\n0\r\n\r\n")
                let start = ContinuousClock.now
                let parallel = ["-Z", "--parallel-immediate", "--parallel-max", "4"]
                let transfers = try await curlTransfers(parallel + ["\(origin)/delay/400?[1-4]"])
                #expect(transfers.map(\.status) == [200, 200, 200, 200])
                #expect(ContinuousClock.now - start >= .milliseconds(800))
            }
        }

        @Test
        func `hypercorn serves HTTP 2 by prior knowledge, and announces the stream limit`() async throws {
            var options = RealServer.Options()
            options.streamLimit = 7
            try await RealServer.hypercorn.run(options) { running in
                let transfers = try await curlTransfers([
                    "--http2-prior-knowledge", "\(running.cleartextOrigin)/small.txt",
                ])
                #expect(transfers == [CurlTransfer(status: 200, version: "2", connects: 1)])
                try await running.withConnection { connection in
                    try await expectService(over: connection)
                    #expect(await connection.snapshot().remoteSettings.maxConcurrentStreams == 7)
                }
            }
        }

        // MARK: - Limits

        @Test(arguments: [(RealServer.nginx, "--http1.1"), (.nginx, "--http2"), (.apache2, "--http1.1")])
        func `A connection ends after so many requests`(_ server: RealServer, _ version: String) async throws {
            var options = RealServer.Options()
            options.requestsPerConnection = 50
            try await server.run(options) { running in
                let transfers = try await curlTransfers([version, "\(running.origin)/small.txt?[1-120]"])
                #expect(transfers.map(\.status) == Array(repeating: 200, count: 120))
                #expect(transfers.reduce(0) { $0 + $1.connects } == 3)
            }
        }

        @Test(arguments: ["--http1.1", "--http2"])
        func `nginx refuses what is above a rate, with Retry-After`(_ version: String) async throws {
            var options = RealServer.Options()
            options.refusal = .init(above: .requestsPerSecond(1, burst: 1), status: 429, retryAfterSeconds: 3)
            try await RealServer.nginx.run(options) { running in
                let transfers = try await curlTransfers([version, "\(running.origin)/small.txt?[1-10]"])
                #expect(transfers.first?.status == 200)
                #expect(Set(transfers.map(\.status)) == [200, 429])
                var refusal = ""
                try await eventually("one more is refused") {
                    refusal = try await curlOutcome([version, "-i", "\(running.origin)/small.txt?[1-3]"]).output
                    return refusal.contains(" 429")
                }
                #expect(refusal.lowercased().contains("retry-after: 3"))
            }
        }

        @Test(arguments: ["--http1.1", "--http2"])
        func `nginx refuses what is above a number at a time`(_ version: String) async throws {
            var options = RealServer.Options()
            options.refusal = .init(above: .requestsAtATime(2))
            try await RealServer.nginx.run(options) { running in
                let parallel = ["-Z", "--parallel-immediate", version]
                let transfers = try await curlTransfers(parallel + ["\(running.origin)/slow/100k.bin?[1-4]"])
                #expect(transfers.map(\.status).sorted() == [200, 200, 503, 503])
            }
        }

        @Test
        func `An option that a server does not know is an error`() async throws {
            var options = RealServer.Options()
            options.requestsPerConnection = 50
            await #expect(throws: ProcessFailure.self) { try await RealServer.nghttpd.run(options) { _ in } }
        }

        // MARK: - Reload and restart

        @Test(arguments: [RealServer.nginx, .apache2, .gunicorn])
        func `A reload has new workers and refuses nobody`(_ server: RealServer) async throws {
            try await server.run { running in
                try await SilentProxy.run(to: running.origin.port) { proxy in
                    let origin = try proxy.origin(insteadOf: running.origin)
                    // curl opens another connection where an idle one is closed.
                    let load = Task { try await curlTransfers(["--http1.1", "\(origin)/small.txt?[1-1000]"]) }
                    try await eventually("responses come") { proxy.counts.bytesToClient > 10_000 }
                    for _ in 0..<2 { try await running.reload() }
                    #expect(try await load.value.map(\.status) == Array(repeating: 200, count: 1000))
                    try await curl(["--http1.1", "\(origin)/small.txt"])
                }
            }
        }

        @Test
        func `A download goes on beside a reload of nginx`() async throws {
            let file = try StaticSite.shared.hundredKiB
            let copy = try TemporaryDirectory.shared.newPath("copy")
            defer { unlink(copy) }
            try await RealServer.nginx.run { running in
                try await SilentProxy.run(to: running.origin.port) { proxy in
                    let origin = try proxy.origin(insteadOf: running.origin)
                    let download = Task { try await curl(["--http2", "-o", copy, "\(origin)/slow/\(file.name)"]) }
                    // More than the handshake: the first second's part of the body.
                    try await eventually("the download is under way") { proxy.counts.bytesToClient > 30_000 }
                    try await running.reload()
                    #expect(proxy.counts.bytesToClient < file.size)
                    _ = try await download.value
                    #expect(try sha256(ofFile: copy) == file.sha256)
                    #expect(proxy.counts.accepted == 1)
                }
            }
        }

        @Test(arguments: [RealServer.nginx, .gunicorn, .hypercorn])
        func `A restart serves again on the same ports`(_ server: RealServer) async throws {
            try await server.run { running in
                let old = await running.process.processID
                let (tls, cleartext) = (try running.origin, try running.http1CleartextOrigin)
                for ending in [ServerProcess.Ending.stop, .crash] {
                    try await running.restart(after: ending)
                    #expect(try await curl(["--http1.1", "\(tls)/small.txt"]).output == "abc")
                    #expect(try await curl(["\(cleartext)/small.txt"]).output == "abc")
                }
                #expect(await running.process.processID != old)
            }
        }
    }
}
