import H2Client
import H2Measure
import HTTPTypes
import H2TestSupport
import Testing

@testable import h2get

private let url = "https://localhost/"

private func settings(_ arguments: [String]) throws -> BenchSettings {
    try BenchSettings(try parsed(.bench, arguments))
}

private func planned(_ arguments: String...) throws -> BenchPlan { try settings(arguments).plan }

private func refusal(_ arguments: [String]) -> String? {
    do {
        _ = try settings(arguments)
        return nil
    } catch let failure as Failure {
        return "\(failure.status.rawValue) \(failure.message)"
    } catch {
        return "other: \(error)"
    }
}

@Suite(.inTurn) struct BenchCommandTests {
    @Test func `A URL alone is one GET over one connection`() throws {
        let plan = try planned(url)
        #expect(plan.origin.description == "https://localhost")
        #expect(plan.requests.count == 1)
        let request = try #require(plan.requests.first)
        #expect(request.request.method == .get && request.request.path == "/" && request.request.scheme == "https")
        #expect(request.request.authority == "localhost")
        #expect(request.request.headerFields == [.userAgent: "h2get/\(version)"])
        #expect(request.body.isEmpty)
        #expect(plan.extent == .requests(1) && plan.pace == .closed)
        #expect(plan.connections == 1 && plan.streams == 1 && plan.threads == 1)
        #expect(plan.warmUp == .zero && plan.drain == .seconds(1))
        #expect(plan.protocols == .tls(["h2", "http/1.1"]) && plan.api == .direct)
        #expect(plan.requestsPerConnection == nil && plan.connectionRamp == nil)
        #expect(plan.activeTimeout == nil && plan.inactivityTimeout == nil)
        #expect(!plan.keepsIntervalHistograms && plan.requestLog == nil)
        #expect(plan.configuration.tls.verifiesPeer && plan.configuration.connectTo == nil)
        #expect(plan.configuration.windows.stream == 1 << 30 - 1)
        #expect(plan.configuration.windows.connection == 1 << 30 - 1)
    }

    @Test func `h2load's letters can be joined to their values and to each other`() throws {
        let plan = try planned("-n10K", "-c10", "-m", "100", "-t2", url)
        #expect(plan.extent == .requests(10_000))
        #expect(plan.connections == 10 && plan.streams == 100 && plan.threads == 2)
        let long = try settings([
            "--requests=10K", "--clients=10", "--max-concurrent-streams=100", "--threads=2", url,
        ]).plan
        #expect(long.extent == plan.extent && long.connections == 10 && long.streams == 100 && long.threads == 2)
        let joined = try settings(["-ksn5", "-c5", url])
        #expect(joined.isSilent && !joined.plan.configuration.tls.verifiesPeer && joined.plan.extent == .requests(5))
    }

    @Test func `Without -n each connection and each URL has its request`() throws {
        #expect(try planned("-c", "7", url).extent == .requests(7))
        #expect(try planned("-c", "7", url + "[1-20]").extent == .requests(20))
        #expect(try planned("-n", "2", url + "[1-20]").extent == .requests(2))
    }

    @Test func `-D is a time, and has a warm-up and a drain`() throws {
        let plan = try planned("-D", "1.5m", "--warm-up-time", "500ms", "--drain", "2s", url)
        #expect(plan.extent == .time(.seconds(90)))
        #expect(plan.warmUp == .milliseconds(500) && plan.drain == .seconds(2))
        #expect(try planned("-D1", "--drain", "0", url).drain == .zero)
        #expect(try planned("-n5", "--warm-up-time", "1", url).warmUp == .seconds(1))
    }

    @Test func `Stages are a rate and a time, if none is given`() throws {
        let plan = try planned("--stages", "0..1K:30s,1K:2m,5K/s:10", "--arrivals", "poisson", url)
        #expect(
            plan.pace
                == .stages([
                    .init(from: 0, to: 1_000, length: .seconds(30)),
                    .init(from: 1_000, to: 1_000, length: .seconds(120)),
                    .init(from: 5_000, to: 5_000, length: .seconds(10)),
                ]))
        #expect(plan.extent == .time(.seconds(160)) && plan.arrivesAtRandom && plan.streams == 100)
        #expect(try planned("-n5", "--stages", "1:1s", url).extent == .requests(5))
        #expect(try planned("-D5", "--stages", "1:1s", url).extent == .time(.seconds(5)))
    }

    @Test func `A closed loop may think, keep trying, and come from several addresses`() throws {
        let plan = try planned(
            "-D1m", "--think-time", "250ms", "--keep-trying", "--breakdown", "--start-at", "4102444800", "--source",
            "127.0.0.254-127.0.1.1,::1", url)
        #expect(plan.thinkTime == .milliseconds(250) && plan.keepsTrying && plan.breaksDown)
        #expect(plan.startAt == 4_102_444_800)
        #expect(plan.sourceAddresses == ["127.0.0.254", "127.0.0.255", "127.0.1.0", "127.0.1.1", "::1"])
        #expect(try planned(url).sourceAddresses.isEmpty)
        let checked = try planned("--expect-status", "2xx,304", "--expect-size", "4K", url).expectation
        #expect(checked?.statuses == Set(200...299).union([304]) && checked?.bodyBytes == 4_096)
        #expect(try planned(url).expectation == nil)
        #expect(try planned("--expect-status", "5XX", url).expectation?.statuses == Set(500...599))
        // Any number of results may be thrown away.
        _ = try planned("--json", "/dev/null", "--html", "/dev/null", url)
        let random = ["--request-rate", "5", "--arrivals", "poisson", url]
        #expect(try settings(["--seed", "7"] + random).plan.arrivalSeed == 7)
        // Machines that measure together do not send in step.
        #expect(Set(try (0..<8).map { _ in try settings(random).plan.arrivalSeed }).count > 1)
        #expect(try settings(["--stages", "10..0:20s", "-n", "100", url]).plan.extent == .requests(100))
        #expect(try planned("--unix-socket", "/run/s", url).configuration.unixSocketPath == "/run/s")
    }

    @Test func `A rate is an open loop with room for many at once`() throws {
        let constant = try planned("-D", "10s", "--request-rate", "2K/s", url)
        #expect(constant.pace == .arrivals(from: 2_000, to: 2_000, ramp: .zero))
        #expect(constant.streams == 100)
        #expect(
            try planned("-D10", "--request-rate", "2K", "--ramp", "5s", url).pace
                == .arrivals(from: 0, to: 2_000, ramp: .seconds(5)))
        #expect(
            try planned("-D10", "--request-rate", "10..20", "--ramp", "5s", url).pace
                == .arrivals(from: 10, to: 20, ramp: .seconds(5)))
        #expect(
            try planned("-D10", "--request-rate", "10..20", url).pace == .arrivals(from: 10, to: 20, ramp: .seconds(10))
        )
        #expect(try planned("-n10", "--request-rate", "5", "-m", "3", url).streams == 3)
        let perConnection = try planned("-n10", "--rps", "2.5", url)
        #expect(perConnection.pace == .arrivalsPerConnection(2.5) && perConnection.streams == 100)
        #expect(try planned("-n10", "--request-rate", "5", "--h1", url).streams == 1)
    }

    @Test func `Connections open at -r, and live as long as they are told`() throws {
        let plan = try planned(
            "-c9", "-r3", "--rate-period", "200ms", "-T", "5s", "-N", "2", "--requests-per-connection", "1K", url)
        #expect(plan.connectionRamp == BenchPlan.ConnectionRamp(count: 3, period: .milliseconds(200)))
        #expect(plan.activeTimeout == .seconds(5) && plan.inactivityTimeout == .seconds(2))
        #expect(plan.requestsPerConnection == 1_000)
        #expect(
            try planned("-c9", "--rate", "9", url).connectionRamp
                == BenchPlan.ConnectionRamp(count: 9, period: .seconds(1)))
    }

    @Test func `Windows are given as bits`() throws {
        let windows = try planned("-w", "16", "-W20", url).configuration.windows
        #expect(windows.stream == 65_535 && windows.maximum == 65_535 && windows.connection == 1_048_575)
        #expect(windows.unreadLimit == 1_048_575)
        #expect(try planned("-f", "1M", url).configuration.limits.frameSize == 1 << 20)
        #expect(try planned(url).configuration.limits.frameSize == 16_384)
    }

    @Test func `What is spoken is chosen by ALPN, or in cleartext by -p`() throws {
        #expect(try planned("--h1", url).protocols == .tls(["http/1.1"]))
        #expect(try planned("http://h/").protocols == .cleartextHTTP2)
        #expect(try planned("-p", "h2c", "http://h/").protocols == .cleartextHTTP2)
        #expect(try planned("-phttp/1.1", "http://h/").protocols == .cleartextHTTP1)
        #expect(try planned("--h1", "http://h/").protocols == .cleartextHTTP1)
        #expect(try planned("--h1", "-p", "http/1.1", "http://h/").protocols == .cleartextHTTP1)
    }

    @Test func `TLS and where to connect are the configuration's`() throws {
        let configuration = try planned(
            "--cacert", "ca", "--cert", "c", "--key", "k", "--sni", "other", "--connect-to", "127.0.0.1:8443", url
        ).configuration
        #expect(configuration.tls.caFile == "ca" && configuration.tls.serverName == "other")
        #expect(configuration.tls.certificateFile == "c" && configuration.tls.privateKeyFile == "k")
        #expect(configuration.connectTo?.host == "127.0.0.1" && configuration.connectTo?.port == 8443)
        #expect(try planned("--cert", "c", url).configuration.tls.privateKeyFile == "c")
        #expect(try planned("-kEc", url).configuration.tls.certificateFile == "c")
        #expect(try !planned("-k", url).configuration.tls.verifiesPeer)
        for (text, host, port) in [
            ("h", "h", 9), ("h:7", "h", 7), ("[::1]", "::1", 9), ("[::1]:7", "::1", 7), ("h:443", "h", 443),
        ] {
            let target = try planned("--connect-to", text, "https://localhost:9/").configuration.connectTo
            #expect(target?.host == host && target?.port == port, "\(text)")
        }
    }

    @Test func `Requests are what they are told to be`() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("a=1\n", to: "body")
        let post = try #require(try planned("-d", file, "-H", "content-type: text/plain", url).requests.first)
        #expect(post.request.method == .post && post.body == Array("a=1\n".utf8))
        #expect(post.request.headerFields[.contentType] == "text/plain")
        #expect(try planned("-d", file, "-X", "PUT", url).requests.first?.request.method == .put)
        #expect(try planned("-I", url).requests.first?.request.method == .head)
        #expect(try planned("-XPURGE", url).requests.first?.request.method.rawValue == "PURGE")
        let fields = try #require(
            try planned("-H", "User-Agent: me", "-H", "X-A: 1", "-HX-A: 2", "-H", "Host: virtual", url).requests.first)
        #expect(fields.request.headerFields[.userAgent] == "me" && fields.request.authority == "virtual")
        #expect(fields.request.headerFields[values: try #require(HTTPField.Name("x-a"))] == ["1", "2"])
        #expect(try planned("-H", "User-Agent:", url).requests.first?.request.headerFields.isEmpty == true)
        let secret = try planned("https://user:pass@localhost/").requests.first?.request.headerFields[.authorization]
        #expect(secret == "Basic dXNlcjpwYXNz")
    }

    @Test func `URLs are asked for in turn`() throws {
        let folder = try TemporaryFolder()
        let list = try folder.write("https://localhost/x\nhttps://localhost/y\n", to: "list")
        let plan = try planned("-i", list, url + "[1-2]")
        #expect(plan.requests.map(\.request.path) == ["/1", "/2", "/x", "/y"])
        let based = try planned("-B", "http://127.0.0.1:81", "/a", "https://h/b")
        #expect(based.requests.map(\.request.path) == ["/a", "/b"])
        #expect(based.requests.allSatisfy { $0.request.authority == "127.0.0.1:81" && $0.request.scheme == "http" })
        #expect(based.protocols == .cleartextHTTP2)
    }

    @Test func `A body's hash is what sha256sum prints`() throws {
        let text = "9F86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
        let digest = try #require(try planned("--expect-sha256", text, url).expectation?.sha256)
        #expect(digest.count == 32 && digest.first == 0x9f && digest.last == 8)
    }

    // MARK: - Scripts

    @Test func `A script has times in milliseconds, and URLs`() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write(
            "# a script\r\n0\thttp://h/a\n0.001\thttp://h/b?c\r\n\n1500.5\thttp://h/d", to: "script")
        let plan = try planned("--timing-script-file", file, "-c", "3")
        #expect(plan.pace == .script([0, 1_000, 1_500_500_000]))
        #expect(plan.requests.map(\.request.path) == ["/a", "/b?c", "/d"])
        // As many for each connection.
        #expect(plan.extent == .requests(9) && plan.streams == 100)
        let some = try planned("--timing-script-file", file, "-c", "3", "-n", "2")
        #expect(some.pace == .script([0, 1_000]) && some.requests.count == 2 && some.extent == .requests(6))
        #expect(
            refusal(["--timing-script-file", file, "-n", "4"])?.contains("2 -n 4 is more than the 3 lines") == true)
        let paths = try folder.write("5\t/a\n6\thttps://other/b\n", to: "paths")
        let based = try planned("--timing-script-file", paths, "-B", "http://h:81")
        #expect(based.requests.allSatisfy { $0.request.authority == "h:81" })
    }

    @Test(
        arguments: [
            ("", "no line in"), ("0 http://h/", "line 1 of"), ("0 http://h/", "has 0 tabs: write milliseconds"),
            ("0\thttp://h/\n1\thttp://h/\tx", "line 2 of"), ("x\thttp://h/", "begins with 'x': write milliseconds"),
            ("-1\thttp://h/", "begins with '-1'"), ("\thttp://h/", "begins with ''"), ("1e3\thttp://h/", "begins with"),
            ("700000000\thttp://h/", "more than a week"), ("99999999999999999999\thttp://h/", "more than a week"),
            ("5\thttp://h/\n\n4.999\thttp://h/", "line 3 of"), ("5\thttp://h/\n4.9\thttp://h/", "sort the lines"),
            ("5\th/x", "3 line 1 of"), ("5\thttp://h/\n6\thttp://other/", "is another origin than"),
        ])
    func `A line of a script that cannot be sent is named`(_ text: String, _ message: String) throws {
        let folder = try TemporaryFolder()
        let file = try folder.write(text, to: "script")
        let said = refusal(["--timing-script-file", file])
        #expect(said?.contains(message) == true, "\(said ?? "no refusal")")
    }

    @Test func `The log of histograms keeps one for each interval, and nothing else does`() throws {
        #expect(try planned("--hdr", "f", url).keepsIntervalHistograms)
        #expect(try settings(["--json", "-", url]).files.onStandardOutput == .json)
        #expect(try settings(["--json", "f", "--csv", "g", url]).files.onStandardOutput == nil)
        #expect(try planned("--api", "async", url).api == .async)
        #expect(try settings(["-v", url]).isVerbose)
        let conditions = try settings(["--fail-if", "p99>50ms", "--fail-if=errors>0.1%", url]).conditions
        #expect(conditions.map(\.text) == ["p99>50ms", "errors>0.1%"])
    }

    @Test(
        arguments: [
            ([], "2 no URL given; 'h2get bench --help' lists the options"),
            (["-n", "5", "-D", "1s", url], "2 -n and -D cannot be combined"),
            (["-n", "5", "-c", "6", url], "2 -n 5 is less than one request for each of -c 6 connections"),
            (["-n", "101", "--stages", "10..0:20s", url], "2 the stages end at a rate of 0 after 100 requests"),
            (["-n", "9", "--stages", "10..0:20s", "--arrivals", "poisson", url], "2 stages that end at a rate of 0"),
            (["--seed", "1", "--request-rate", "5", url], "2 --seed is for what is random"),
            (["-t", "2", url], "2 -t 2 threads have only -c 1 connection"),
            (["--h1", "-m", "2", url], "2 HTTP/1.1 has one request at a time on a connection: use -c for more"),
            (["-p", "http/1.1", "-m", "2", "http://h/"], "2 HTTP/1.1 has one request at a time"),
            (["-p", "h2c", url], "ALPN decides: leave it out"), (["-p", "http/1.1", url], "use --h1 instead"),
            (["--h1", "-p", "h2c", "http://h/"], "--h1 and -p h2c cannot be combined"),
            (["-p", "h3", url], "not a valid value for -p"),
            (["-w", "15", url], "use 16 (65,535 bytes, where HTTP/2 begins) to 30"), (["-W", "31", url], "to 30"),
            (["-w", "16", "--h1", url], "-w and -W are windows of HTTP/2"),
            (["-W", "16", "-p", "http/1.1", "http://h/"], "-w and -W are windows of HTTP/2"),
            (["-f", "16K", "--h1", url], "-f is about frames of HTTP/2"),
            (["-f", "16M", url], "use 16384 to 16777215 bytes"),
            (["--request-rate", "5", "--rps", "5", url], "and --rps (on each) cannot be combined"),
            (["--ramp", "5", url], "--ramp goes with --request-rate"),
            (["--rps", "5", "--ramp", "5", url], "--ramp goes with"),
            (["--request-rate", "1..2", "-n5", url], "--request-rate A..B needs --ramp TIME"),
            (["--request-rate", "x", url], "write a number"),
            (["--stages", "5:1s", "--request-rate", "5", url], "--stages says all about the rate"),
            (["--stages", "5", url], "write RATE:TIME"), (["--stages", "0:1s", url], "all stages have a rate of 0"),
            (["--stages", "5:0", url], "use a time above 0"), (["--stages", "5:1s,", url], "write RATE:TIME"),
            (["--arrivals", "poisson", url], "--arrivals is for open loops"),
            (["--think-time", "1s", "--request-rate", "5", url], "--think-time is for closed loops"),
            (["--start-at", "5", url], "--start-at is over already"),
            (["--start-at", "noon", url], "write seconds since 1970"),
            (["--expect-status", "20", url], "use statuses from 200 to 599"),
            (["--expect-status", "600", url], "use statuses from 200 to 599"),
            (["--expect-status", "1xx", url], "use statuses from 200 to 599"),
            (["--expect-status", "2xx,", url], "use statuses from 200 to 599"),
            (["--expect-status", "204 ,2xx", url], "'204 ,2xx' is not a valid value"),
            (["--expect-size", "many", url], "write a size in bytes"),
            (["--expect-sha256", "12", url], "write the 64 hexadecimal digits"),
            (["--timing-script-file", "/absent/s", url], "leave out -i and those on the command line"),
            (["--timing-script-file", "/absent/s"], "26 cannot read /absent/s"),
            (
                ["--timing-script-file", "s", "--request-rate", "5"],
                "says when each request begins: leave out --request-rate"
            ),
            (["--timing-script-file", "s", "--stages", "5:1s"], "leave out --stages"),
            (["--timing-script-file", "s", "-D", "5"], "leave out -D"),
            (["--timing-script-file", "s", "--think-time", "5"], "leave out --think-time"),
            (["--timing-script-file", "s", "--arrivals", "poisson"], "leave out --arrivals"),
            (["--timing-script-file", "s", "--api", "async"], "--api async has no open loop"),
            (["--timing-script-file", "-", "-d", "-"], "--timing-script-file - and -d - both read stdin"),
            (["--unix-socket", "", url], "--unix-socket takes the path"),
            (["--unix-socket", "/s", "--connect-to", "h", url], "leave out --source and --connect-to"),
            (["--ciphers", "x", "http://h/"], "--ciphers is about TLS"),
            (["--groups", "x", "http://h/"], "--groups is about TLS"),
            (["--source", "localhost", url], "write addresses such as"),
            (["--source", "127.0.0.9-127.0.0.1", url], "write addresses such as"),
            (["--source", "127.0.0.1-127.9.0.1", url], "use 65536 addresses at most"),
            (["--api", "async", "--stages", "5:1s", url], "2 --api async has no open loop"),
            (["--request-rate", "1..x", url], "write --request-rate N, or --request-rate A..B"),
            (["--rps", "0", url], "use a rate above 0"),
            (["-r", "2", url], "-r 2 opens more connections at once than -c 1"),
            (["--rate", "2K", url], "(requests a second are --request-rate)"),
            (["--rate", "0.5", url], "requests a second are --request-rate"),
            (["--rate", "10..20", url], "requests a second are --request-rate"),
            (["-r", "many", url], "write a whole number such as 1000"),
            (["--rate-period", "2s", url], "--rate-period goes with -r N"),
            (["--drain", "2s", "-n", "5", url], "--drain is for the end of -D"),
            (["-n", "0", url], "use 1 to"), (["-n", "many", url], "write a whole number such as 1000, 10K or 2M"),
            (["-c", "2M", url], "use 1 to 1000000"), (["-D", "0", url], "use a time above 0"),
            (["-D", "soon", url], "write a time such as 10s"), (["-T", "0", url], "above 0"),
            (["--requests-per-connection", "0", url], "use 1 to"),
            (["--api", "callback", url], "write direct or async"),
            (["--api", "async", "--request-rate", "5", url], "2 --api async has no open loop"),
            (["--api", "async", "--rps", "5", url], "leave out --request-rate, --rps and --stages"),
            (["-k", "http://h/"], "-k is about TLS, which http:// URLs do without"),
            (["--cacert", "f", "http://h/"], "--cacert is about TLS"),
            (["--cert", "f", "http://h/"], "--cert is about"),
            (["--key", "f", "http://h/"], "--key is about"), (["--sni", "f", "http://h/"], "--sni is about"),
            (["-k", "--cacert", "f", url], "so --cacert does nothing"),
            (["--key", "f", url], "--key goes with --cert"),
            (["--connect-to", "a:1:b:2", url], "HOST or HOST:PORT"),
            (["--connect-to", "h/x", url], "HOST or HOST:PORT"),
            (["--connect-to", "h:99999", url], "HOST or HOST:PORT"),
            (["--connect-to", "u@h", url], "HOST or HOST:PORT"),
            (["-B", "unix:/run/s", "/"], "with bench --unix-socket"),
            (["-I", "-d", "f", url], "-I asks without a body"), (["-I", "-X", "GET", url], "-I is -X HEAD"),
            (["-X", "NO METHOD", url], "is not a valid method (-X)"),
            (["-X", "CONNECT", url], "CONNECT opens a tunnel"),
            (["-d", "/absent/file", url], "26 cannot read /absent/file"), (["-d", "/", url], "26 / is a folder"),
            (["-i", "-", "-d", "-"], "-i - and -d - both read stdin"),
            (["-i", "-", "-H", "@-"], "-i - and -H @- both read stdin"),
            (["-H", "no colon", url], "-H: there is no ':' behind a name"),
            (
                ["-I", "--expect-size", "5", url],
                "2 responses to HEAD have no body, so --expect-size has nothing to check"
            ),
            (["-X", "HEAD", "--expect-size", "0", url], "leave out --expect-size"),
            (["-I", "--expect-sha256", String(repeating: "0", count: 64), url], "leave out --expect-sha256"),
            (["-H", "Connection: close", url], "the connection's own"),
            ([url, "https://other/"], "https://other is another origin than https://localhost"),
            (["h/path"], "3 bad URL 'h/path': no scheme"), (["ftp://h/"], "3 bad URL"),
            (["https://h/{a"], "'{' without '}'"),
            (["--json", "f", "--html", "f", url], "--json and --html both write to f"),
            (["--json", "-", "--hdr", "-", url], "--json and --hdr both write to stdout"),
            (["--json", "-", "--html", "/dev/stdout", url], "--json and --html both write to stdout"),
            (["--csv", "-", url], "--csv is written while the measurement runs"),
            (["--json", "", url], "needs the name"),
            (["-s", "-v", url], "-s and -v cannot be combined"),
            (["--fail-if", "p99", url], "there is no > or <"),
            (["--fail-if", "speed>5", url], "'speed' is not a figure"),
            (["--fail-if", "p99>50", url], "is not a time with its unit"),
            (["--nope", url], "'h2get bench --help' lists the options"), (["-n"], "'h2get bench --help'"),
        ] as [([String], String)])
    func `What cannot be measured is refused with a reason`(_ arguments: [String], _ message: String) {
        #expect(refusal(arguments)?.contains(message) == true, "\(refusal(arguments) ?? "no refusal")")
    }

    @Test func `Help has its sections once each, and fits a terminal`() throws {
        let help = try Help(.bench, width: 120).text(topic: "all")
        for title in ["LOAD:", "REQUEST:", "CONNECTION:", "RESULTS:"] {
            #expect(help.split(separator: "\n").count { $0.uppercased() == title } == 1, "\(title) in\n\(help)")
        }
        #expect(help.split(separator: "\n").allSatisfy { $0.count <= 120 })
    }
}
