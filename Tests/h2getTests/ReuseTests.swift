import Foundation
import H2ClientTesting
import H2TestSupport
import Testing

@Suite(.inTurn, .timeLimit(.minutes(5))) struct ReuseTests {
    /// The lines of `errors` that begin with `prefix`.
    private func lines(_ prefix: String, of result: Program.Result) -> [Substring] {
        result.errors.split(separator: "\n").filter { $0.hasPrefix(prefix) }
    }

    @Test func `h2get reuses connections of HTTP/1.1 where the server has nothing else`() async throws {
        let served = try Served { $0.versions = .http1 }
        let urls = (1...40).map { served.url("/bytes/\($0)") }
        let result = try await served.get(["--summary"] + urls)
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output == (1...40).reduce(into: Data()) { $0 += Served.pattern($1) })
        let statistics = served.origin.statistics
        #expect(statistics.http1Requests == 40)
        #expect(statistics.connectionsPeak <= 8)
        #expect(result.errors.contains("(HTTP/1.1)"), "\(result.errors)")
        let head = try await served.get("-I", served.url("/bytes/1"))
        #expect(head.text.hasPrefix("HTTP/1.1 200 OK\r\n"), "\(head.errors)")
    }

    @Test func `h2get reuses connections of HTTP/1.1 where --http1.1 says so`() async throws {
        let served = try Served()
        let result = try await served.get("--http1.1", "-v", served.url("/bytes/1"))
        #expect(result.output == Served.pattern(1), "\(result.errors)")
        #expect(served.origin.statistics.http1Requests == 1)
        for part in [
            "* connecting to https://localhost:\(served.origin.port): the origin had none\n",
            ", HTTP/1.1\n", "* request on connection #1 (new), HTTP/1.1\n", "< HTTP/1.1 200\n",
            "* connection #1 ended after 1 request: ",
        ] {
            #expect(result.errors.contains(part), "\(part) is not in:\n\(result.errors)")
        }
        let frames = try await served.get("--http1.1", "-vv", served.url("/bytes/1"))
        #expect(frames.errors.contains("with --http1.1 -vv says no more than -v"))
    }

    @Test func `h2get reuses connections of HTTP/2 with --http2 where there is it, in cleartext not`() async throws {
        let served = try Served()
        #expect(try await served.get("--http2", served.url("/bytes/1")).status == 0)
        #expect(served.origin.statistics.http2Requests == 1)
        let cleartext = try Served { $0.security = .cleartext }
        #expect(try await cleartext.get("--http2", cleartext.url("/bytes/1")).status == 0)
        #expect(cleartext.origin.statistics.http1Requests == 1)
    }

    @Test
    func
        `h2get opens no more connections of HTTP/1.1 than --connections-per-origin, with one request after the other on each`()
        async throws
    {
        let served = try Served { $0.security = .cleartext }
        let urls = (0..<12).map { _ in served.url("/delay/5") }
        let result = try await served.get(
            ["--http1.1", "--connections-per-origin", "2", "-v", "--summary", "-o", "/dev/null"] + urls)
        #expect(result.status == 0, "\(result.errors)")
        #expect(served.origin.statistics.connectionsAccepted == 2)
        #expect(lines("* connection #", of: result).filter { $0.contains("opened since") }.count == 2)
        #expect(result.errors.contains("opened since all others were taken"), "\(result.errors)")
        #expect(result.errors.contains("12 requests over 2 connections (HTTP/1.1)"), "\(result.errors)")
        #expect(result.errors.contains("reused a connection: 10 of 12 (83.3 %); 0 retries"), "\(result.errors)")
    }

    @Test
    func `h2get opens several connections of HTTP/2 with --connections-per-origin where the streams do not suffice`()
        async throws
    {
        let served = try Served { $0.settings.maxConcurrentStreams = 2 }
        let urls = (0..<30).map { _ in served.url("/delay/30") }
        let one = try await served.get(["-o", "/dev/null"] + urls)
        #expect(one.status == 0, "\(one.errors)")
        #expect(served.origin.statistics.connectionsAccepted == 1)
        let several = try await served.get(["-o", "/dev/null", "--connections-per-origin", "3"] + urls)
        #expect(several.status == 0, "\(several.errors)")
        let connections = served.origin.statistics.connectionsAccepted - 1
        #expect((2...3).contains(connections))
    }

    @Test func `h2get reuses connections for --max-requests-per-connection requests each`() async throws {
        let served = try Served()
        let urls = (1...20).map { served.url("/bytes/\($0)") }
        let result = try await served.get(
            ["--max-requests-per-connection", "5", "-v", "--parallel-max", "1", "-o", "/dev/null"] + urls)
        #expect(result.status == 0, "\(result.errors)")
        #expect(served.origin.statistics.connectionsAccepted == 4)
        #expect(result.errors.contains("takes no new requests: "), "\(result.errors)")
        #expect(result.errors.contains("ended after 5 requests: "), "\(result.errors)")
        #expect(result.errors.contains("opened since the last one takes no requests any more"), "\(result.errors)")
        let alone = try await served.get(
            ["--http1.1", "--max-requests-per-connection", "1", "--summary", "-o", "/dev/null"] + urls)
        #expect(alone.status == 0, "\(alone.errors)")
        #expect(alone.errors.contains("20 requests over 20 connections"), "\(alone.errors)")
        #expect(alone.errors.contains("0 retries"), "\(alone.errors)")
    }

    @Test func `h2get says in the summary what reused connections saved`() async throws {
        let served = try Served()
        let urls = (0..<50).map { _ in served.url("/bytes/10") }
        let result = try await served.get(["--summary", "-o", "/dev/null"] + urls)
        let line =
            "h2get: reused a connection: 49 of 50 (98.0 %); TLS handshakes: 1 made (0 resumed), 49 saved; 0 retries"
        #expect(result.errors.contains(line), "\(result.errors)")
        #expect(result.errors.contains("(TLSv1.3, HTTP/2)"))
    }

    @Test func `h2get connects to whichever --resolve and --connect-to name by an internationalised host`() async throws
    {
        let served = try Served { $0.security = .cleartext }
        let port = served.origin.port
        for url in ["http://b\u{fc}cher.test:\(port)/bytes/3", "http://xn--bcher-kva.test:\(port)/bytes/3"] {
            for option in [
                ["--resolve", "B\u{fc}cher.test:\(port):127.0.0.1"],
                ["--connect-to", "b\u{fc}cher.test:\(port):127.0.0.1:\(port)"],
            ] {
                let result = try await served.get(["--http1.1"] + option + [url])
                #expect(result.status == 0, "\(option) \(result.errors)")
            }
        }
        for (argument, part) in [("+a.test:80:127.0.0.1", "time out"), ("-a.test:80", "removal")] {
            let result = try await served.get("--resolve", argument, served.url("/"))
            #expect(result.status == 2 && result.errors.contains(part), "\(result.errors)")
        }
    }

    @Test func `h2get reuses connections a second time beside one that is slow, and says so`() async throws {
        let mute = try Served { $0.faults.isMute = true }
        let result = try await mute.get("-v", "-m", "5", mute.url("/"))
        #expect(result.status == 28, "\(result.errors)")
        let dials = lines("* connecting to", of: result)
        #expect(dials.first?.hasSuffix("the origin had none") == true, "\(result.errors)")
        #expect(dials.count > 1 && dials.dropFirst().allSatisfy { $0.hasSuffix("is slow") }, "\(result.errors)")
    }

    @Test func `h2get reuses connections whichever --resolve names, with another Host than the URL's`() async throws {
        let served = try Served { $0.security = .cleartext }
        let port = served.origin.port
        let result = try await served.get(
            "--http1.1", "-H", "Host: inner.test", "--resolve", "outer.test:\(port):127.0.0.1",
            "http://outer.test:\(port)/headers")
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.text.contains("inner.test\n"), "\(result.text)")
    }
}

@Suite(.inTurn, .timeLimit(.minutes(5))) struct OrderedFetchTests {
    @Test(arguments: [1, 2, 8])
    func `h2get keeps the order on stdout with fewer HTTP/1.1 connections than large bodies`(
        _ connections: Int
    ) async throws {
        let served = try Served { $0.versions = .http1 }
        let size = 1_500_000
        let urls =
            [served.url("/drip?bytes=1000&chunk=100&interval=20")] + (0..<12).map { _ in served.url("/bytes/\(size)") }
        let result = try await served.get(["--connections-per-origin", "\(connections)"] + urls)
        #expect(result.status == 0, "\(result.errors)")
        try #require(result.output.count == 1000 + 12 * size)
        let expected = Served.pattern(size)
        for index in 0..<12 {
            let start = 1000 + index * size
            #expect(result.output[start..<(start + size)] == expected, "body \(index)")
        }
        #expect(served.origin.statistics.connectionsPeak <= connections)
    }

    @Test(arguments: ["--http1.1", "--http2-prior-knowledge"])
    func
        `h2get keeps the order on stdout when those whose turn it is are refused and sent again, while others wait for their turn`(
            _ version: String
        ) async throws
    {
        let served = try Served {
            $0.security = .cleartext
            $0.settings.maxConcurrentStreams = 3
            $0.limits.workers = Served.workers(1, serviceTime: .milliseconds(5))
        }
        let size = 1_500_000
        let urls = (0..<12).map { _ in served.url("/bytes/\(size)") }
        let result = try await served.get(
            [version, "--connections-per-origin", "3", "--retry", "1000", "--retry-delay", "0.02"] + urls)
        #expect(result.status == 0, "\(result.errors)")
        let expected = Served.pattern(size)
        try #require(result.output.count == 12 * size)
        for index in 0..<12 {
            #expect(result.output[(index * size)..<((index + 1) * size)] == expected, "body \(index)")
        }
    }
}

@Suite(.inTurn, .timeLimit(.minutes(5))) struct RetryTests {
    /// Serves one request at a time and answers the others 503.
    private func busy(retryAfter: Int?) throws -> Served {
        try Served {
            $0.limits.workers = Served.workers(1, serviceTime: .milliseconds(200), retryAfter: retryAfter)
        }
    }

    @Test func `What --polite or --rate holds back is told with -v`() async throws {
        let served = try Served()
        let urls = (0..<2).map { served.url("/bytes/\($0)") }
        let slow = try await served.get(["-v", "--rate", "1/4s", "-o", "/dev/null"] + urls)
        #expect(slow.status == 0)
        let line = "* --rate holds 1 request to \(served.url("")) back"
        #expect(slow.errors.split(separator: "\n").count { $0 == line } == 1, "\(slow.errors)")
        let quick = try await served.get(["-v", "--rate", "1000/s", "-o", "/dev/null"] + urls)
        #expect(!quick.errors.contains("holds"), "\(quick.errors)")
    }

    @Test func `h2get sends again after 503 with --retry, when Retry-After says`() async throws {
        let served = try busy(retryAfter: 1)
        let urls = [served.url("/bytes/10"), served.url("/bytes/20")]
        let refused = try await served.get(["-f", "-o", "a", "-o", "b"] + urls)
        #expect(refused.status == 22, "\(refused.errors)")
        let start = ContinuousClock.now
        let result = try await served.get(
            ["-f", "--retry", "20", "--retry-delay", "0.01", "-v", "--summary", "-o", "c", "-o", "d"] + urls)
        #expect(result.status == 0, "\(result.errors)")
        #expect(ContinuousClock.now - start >= .seconds(1))
        #expect(result.errors.contains("* the server answered 503; trying again in 1.00 s"), "\(result.errors)")
        #expect(result.errors.contains("; before that on #1: status 503"), "\(result.errors)")
        #expect(result.errors.contains("1 retry"), "\(result.errors)")
        #expect(try served.folder.data("c") == Served.pattern(10))
        #expect(try served.folder.data("d") == Served.pattern(20))
    }

    @Test func `h2get sends again no later than --retry-max-time`() async throws {
        let served = try busy(retryAfter: 300)
        let urls = [served.url("/bytes/10"), served.url("/bytes/20")]
        let start = ContinuousClock.now
        let result = try await served.get(
            ["-f", "--retry", "20", "--retry-max-time", "5", "-o", "/dev/null"] + urls)
        #expect(result.status == 22, "\(result.errors)")
        #expect(ContinuousClock.now - start < .seconds(200))
    }

    @Test func `h2get sends again after --retry-delay, and fails after so many`() async throws {
        let served = try Served { $0.faults.refuseEvery = 1 }
        let start = ContinuousClock.now
        let result = try await served.get(
            "--retry", "2", "--retry-delay", "0.3", "--summary", "-o", "/dev/null", served.url("/bytes/1"))
        #expect(result.status == 92, "\(result.errors)")
        #expect(ContinuousClock.now - start >= .milliseconds(600))
        #expect(served.origin.statistics.requestsRefused == 3 || served.origin.statistics.requests == 3)
        #expect(result.errors.contains("(sent 3 times)"), "\(result.errors)")
        #expect(result.errors.contains("2 retries"), "\(result.errors)")
    }

    @Test func `h2get sends again what a server refused, also without --retry`() async throws {
        let served = try Served { $0.faults.refuseEvery = 2 }
        let urls = (1...20).map { served.url("/bytes/\($0)") }
        let result = try await served.get(["--parallel-max", "1"] + urls)
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output == (1...20).reduce(into: Data()) { $0 += Served.pattern($1) })
    }

    @Test func `h2get never sends again a body that can be read once only`() async throws {
        let served = try Served { $0.faults.refuseEvery = 1 }
        let result = try await served.get(
            ["--retry", "5", "--summary", "-T", "-", served.url("/echo")], input: Data("once".utf8))
        #expect(result.status == 92, "\(result.errors)")
        #expect(result.errors.contains("0 retries"), "\(result.errors)")
    }
}

@Suite(.inTurn, .timeLimit(.minutes(5))) struct PolitenessTests {
    @Test func `h2get spares servers with --rate`() async throws {
        let served = try Served()
        let urls = (0..<6).map { _ in served.url("/bytes/1") }
        let start = ContinuousClock.now
        let result = try await served.get(["--rate", "10/s", "-o", "/dev/null"] + urls)
        #expect(result.status == 0, "\(result.errors)")
        // The first at once, and five after it.
        #expect(ContinuousClock.now - start >= .milliseconds(480))
    }

    @Test func `h2get spares servers with --polite: fewer requests are refused than without`() async throws {
        func refusals(_ arguments: [String]) async throws -> Int {
            let served = try Served {
                $0.limits.workers = Served.workers(4, queue: 4, serviceTime: .milliseconds(2))
            }
            let urls = (0..<400).map { _ in served.url("/bytes/1") }
            let result = try await served.get(arguments + ["-o", "/dev/null"] + urls)
            #expect(result.status == 0, "\(result.errors)")
            return served.origin.statistics.requestsRefused
        }
        let (rude, polite) = (try await refusals([]), try await refusals(["--polite"]))
        #expect(polite < rude / 2, "\(polite) rather than \(rude)")
    }
}

@Suite(.inTurn, .timeLimit(.minutes(5))) struct TimeLimitTests {
    @Test func `h2get waits no longer for a connection or stream than --queue-timeout`() async throws {
        let served = try Served()
        let result = try await served.get(
            "--http1.1", "--connections-per-origin", "1", "--queue-timeout", "0.5", "-m", "3", "-o", "/dev/null",
            served.url("/stall"), served.url("/bytes/2"))
        #expect(result.status == 28, "\(result.errors)")
        #expect(result.errors.contains("allow more time with --queue-timeout"), "\(result.errors)")
    }

    @Test func `h2get waits no longer for a head than --first-byte-timeout, for more of a body than --stall-timeout`()
        async throws
    {
        let served = try Served()
        let head = try await served.get("--first-byte-timeout", "0.3", "-m", "20", served.url("/stall"))
        #expect(head.status == 28)
        #expect(head.errors.contains("allow more time with --first-byte-timeout"), "\(head.errors)")
        let body = try await served.get("--stall-timeout", "0.3", "-m", "20", "-o", "f", served.url("/stall?after=100"))
        #expect(body.status == 28)
        #expect(body.errors.contains("allow more time with --stall-timeout"), "\(body.errors)")
        #expect(served.parts == ["f"])
    }

    @Test(arguments: ["-", "fifo", "silent"])
    func `h2get waits no longer for input of our own than --stall-timeout`(_ file: String) async throws {
        let served = try Served()
        // A writer that sends a little and then nothing, and for one pipe nobody at all.
        let script = """
            mkfifo fifo silent
            (printf some; exec sleep 200) > fifo & writer=$!
            exec 9< <(printf some; exec sleep 200); input=$!
            "\(Program.path)" --cacert ca.pem --stall-timeout 1 -m 100 -T \(file) \(served.url("/upload")) \
                <&9 2> errors
            status=$?
            kill $writer $input
            [ $status = 28 ]
            """
        let status = try await Program.runShell(script, in: served.folder.root)
        let errors = (try? served.folder.read("errors")) ?? ""
        #expect(status == 0, "\(errors)")
        #expect(errors.contains("allow more time with --stall-timeout"), "\(errors)")
    }

    @Test func `h2get waits no longer for a dead origin than once for all its URLs`() async throws {
        let mute = try Served { $0.faults.isMute = true }
        for limit in ["--connect-timeout", "-m"] {
            let start = ContinuousClock.now
            let urls = (1...50).map { mute.url("/\($0)") }
            let result = try await mute.get([limit, "3", "--parallel-max", "1", "-o", "/dev/null"] + urls)
            #expect(result.status == 28)
            #expect(result.errors.contains("50 of 50 transfers failed"), "\(result.errors)")
            #expect(ContinuousClock.now - start < .seconds(100), "50 times 3 s")
        }
    }

    @Test func `h2get waits no longer for a server that is gone than --keepalive-time and the time for an answer`()
        async throws
    {
        let served = try Served { $0.faults.omitsPingAcknowledgement = true }
        let start = ContinuousClock.now
        let result = try await served.get("--keepalive-time", "0.2", "--retry", "0", "-m", "160", served.url("/stall"))
        #expect(result.status == 28, "\(result.errors)")
        #expect(result.errors.contains("PING"), "\(result.errors)")
        #expect(ContinuousClock.now - start < .seconds(150))
    }
}
