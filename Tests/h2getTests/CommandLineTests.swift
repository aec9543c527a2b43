import H2Client
import HTTPTypes
import H2TestSupport
import Testing

@testable import h2get

/// What the words on the command line come to.
private func settings(_ arguments: String...) throws -> FetchSettings {
    try FetchSettings(try parsed(.fetch, arguments))
}

private func usageError(_ arguments: String...) -> String? {
    do {
        _ = try FetchSettings(try parsed(.fetch, arguments))
        return nil
    } catch let failure as Failure {
        return failure.status == .usage ? failure.message : "status \(failure.status)"
    } catch {
        return "other: \(error)"
    }
}

@Suite(.inTurn) struct CommandLineTests {
    @Test func `A URL alone is a GET with our user agent`() throws {
        let settings = try settings("https://localhost/")
        #expect(settings.method == .get)
        #expect(settings.urls.arguments == ["https://localhost/"])
        #expect(settings.fields[.userAgent] == "h2get/\(version)")
        #expect(settings.fields[.accept] == "*/*")
        #expect(settings.body == .none)
        #expect(settings.parallelMaximum == 100)
    }

    @Test func `Pieces of -d and --data-binary are joined in the order in which they stand`() throws {
        let settings = try settings("-d", "a=1", "--data-binary", "b=2", "-d", "c=3", "https://localhost/")
        #expect(settings.body == .bytes(Array("a=1&b=2&c=3".utf8)))
        #expect(settings.method == .post)
        #expect(settings.fields[.contentType] == "application/x-www-form-urlencoded")
    }

    @Test func `-d leaves the line ends of a file out and --data-binary keeps them`() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("one\r\ntwo\n", to: "data")
        #expect(try settings("-d", "@\(file)", "https://localhost/").body == .bytes(Array("onetwo".utf8)))
        #expect(
            try settings("--data-binary", "@\(file)", "-d", "x", "https://localhost/").body
                == .bytes(Array("one\r\ntwo\n&x".utf8)))
    }

    @Test func `--data-binary of one regular file is streamed rather than read`() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("content", to: "data")
        #expect(try settings("--data-binary", "@\(file)", "https://localhost/").body == .file(file))
    }

    @Test func `Values may begin with a dash`() throws {
        let settings = try settings("-d", "-5", "-o", "-", "-H", "--x: y", "https://localhost/")
        #expect(settings.body == .bytes(Array("-5".utf8)))
        #expect(settings.placement.destination(ofURLAt: 0) == .standardOutput)
        #expect(settings.fields[try #require(HTTPField.Name("--x"))] == "y")
    }

    @Test func `Letters can be joined as for curl`() throws {
        let settings = try settings("-sSvvXPURGE", "https://localhost/")
        #expect(settings.isSilent && settings.showsErrors)
        #expect(settings.verbosity == 2)
        #expect(settings.method.rawValue == "PURGE")
    }

    @Test(arguments: [
        (["-sXPUT", "u"], "-s -X=PUT u"), (["-sSo", "-fd", "u"], "-s -S -o=-fd u"),
        (["-H", "-sXa", "-d@f"], "-H=-sXa -d=@f"), (["--data", "-sXa", "-v"], "--data=-sXa -v"),
        (["-vv", "--", "-sXa"], "-v -v -sXa"), (["-", "-o", "-", "-i"], "-o=- -i -"),
        (["--data=a=b", "--output="], "--data=a=b --output="), (["-o", "--", "-f"], "-o=-- -f"),
        (["-f", "--no-fail", "u", "-f"], "-f !--no-fail -f u"), (["-d", "", ""], "-d= "),
    ])
    func `Letters, values and operands are told apart as curl does`(_ given: [String], _ expected: String) throws {
        let arguments = try parsed(.fetch, given)
        let options = arguments.occurrences.map { option in
            (option.isOn ? "" : "!") + option.spelling
                + (option.hasValue ? "=" + String(decoding: option.value, as: UTF8.self) : "")
        }
        #expect((options + arguments.operands).joined(separator: " ") == expected)
    }

    @Test(
        arguments: [
            (["--nope"], "--nope is not an option of h2get; 'h2get --help'"), (["-s9q"], "-9 (in '-s9…')"),
            (["--outptu", "f"], "did you mean --output?"),
            (["--create"], "did you mean --create-dirs or --create-file-mode?"),
            (["--http3"], "there is no HTTP/3"),
            (["--threads", "2"], "it is an option of h2get bench, -t, --threads N"),
            (["-o"], "-o needs a value: -o FILE"),
            (["--silent=yes"], "--silent takes no value"), (["--no-silent=yes"], "--no-silent takes no value"),
            (["--no-output"], "--no-output is not an option"),
            (["-m", "soon"], "'soon' is not a valid value for -m: write"),
            (["-m", "me:hush"], "'***' is not a valid value"),
            (["--max-time="], "'' is not a valid value for --max-time"),
            (["--retry", "-1"], "write a whole number"), (["--parallel-max", "0"], "use 1 at least"),
        ] as [([String], String)])
    func `A wrong option or value is refused with what to write instead`(_ arguments: [String], _ message: String) {
        var refusal = "no refusal"
        do {
            _ = try FetchSettings(
                parsed(.fetch, arguments + ["https://localhost/"].filter { _ in arguments != ["-o"] }))
        } catch {
            refusal = (error as? Failure)?.message ?? "\(error)"
        }
        #expect(refusal.contains(message), "\(refusal)")
    }

    @Test func `-H replaces, repeats, empties and removes`() throws {
        let settings = try settings(
            "-H", "Accept: text/html", "-H", "Accept: text/plain", "-H", "User-Agent:", "-H", "X-Empty;",
            "-H", "Host: other.example", "https://localhost/")
        #expect(settings.fields[values: .accept] == ["text/html", "text/plain"])
        #expect(settings.fields[.userAgent] == nil)
        #expect(settings.fields[try #require(HTTPField.Name("x-empty"))] == "")
        #expect(settings.authority == "other.example")
    }

    @Test func `-H reads lines from a file`() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("X-A: 1\r\nX-B: 2\n", to: "fields")
        let settings = try settings("-H", "@\(file)", "https://localhost/")
        #expect(settings.fields[try #require(HTTPField.Name("x-a"))] == "1")
        #expect(settings.fields[try #require(HTTPField.Name("x-b"))] == "2")
    }

    @Test func `-I is a HEAD whose fields are shown, -T a PUT`() throws {
        let head = try settings("-I", "https://localhost/")
        #expect(head.method == .head)
        #expect(head.includesHead)
        #expect(try settings("-T", "file", "https://localhost/").method == .put)
        #expect(try settings("-T", "file", "-X", "POST", "https://localhost/").method == .post)
    }

    @Test func `Time limits take decimals, and 0 is no limit`() throws {
        #expect(try settings("-m", "2.5", "https://localhost/").maxTime == .milliseconds(2500))
        #expect(try settings("-m", "0", "https://localhost/").maxTime == nil)
        #expect(try settings("-m", "0.00000000001", "https://localhost/").maxTime == .milliseconds(1))
        // The units of all other times, and no limit that is longer than a year.
        #expect(try settings("-m", "300ms", "https://localhost/").maxTime == .milliseconds(300))
        #expect(try settings("-m", "2m", "https://localhost/").maxTime == .seconds(120))
        #expect(try settings("-m", "1000000000000000000", "https://localhost/").maxTime == .seconds(31_536_000))
        #expect(try settings("--connect-timeout", "0.2", "https://localhost/").connectTimeout == .milliseconds(200))
        #expect(usageError("-m", "soon", "https://localhost/") != nil)
        #expect(usageError("-m", "-1", "https://localhost/") != nil)
    }

    @Test func `Priority is RFC 9218's`() throws {
        let priority = try #require(try settings("--priority", "u=1, i", "https://localhost/").options.priority)
        #expect(priority.urgency == 1)
        #expect(priority.isIncremental)
        #expect(usageError("--priority", "u=9", "https://localhost/") != nil)
        #expect(usageError("--priority", "high", "https://localhost/") != nil)
    }

    @Test func `What cannot work together is refused with a reason`() {
        #expect(usageError("-d", "a", "-T", "b", "https://localhost/")?.contains("cannot be combined") == true)
        #expect(usageError("-I", "-d", "a", "https://localhost/") != nil)
        #expect(usageError("-o", "a", "-o", "b", "https://localhost/")?.contains("at most one a URL") == true)
        #expect(usageError("-o", "a", "-o", "a", "https://localhost/1", "https://localhost/2") != nil)
        #expect(usageError("-T", "a", "-T", "b", "https://localhost/1") != nil)
        #expect(usageError("--input-file", "-", "-d", "@-") != nil)
        #expect(usageError("-T", "-", "https://localhost/1", "https://localhost/2") != nil)
        #expect(usageError("--parallel-max", "0", "https://localhost/") != nil)
        #expect(usageError("-X", "NO METHOD", "https://localhost/") != nil)
        #expect(usageError("-X", "CONNECT", "https://localhost/") != nil)
        #expect(usageError("-H", "no colon", "https://localhost/") != nil)
        #expect(usageError("-H", "Transfer-Encoding: gzip", "https://localhost/") != nil)
        #expect(usageError("-H", "X: a\u{1}b", "https://localhost/") != nil)
        #expect(usageError("--key", "k", "https://localhost/") != nil)
        #expect(usageError() != nil)
    }

    @Test func `Fields that browsers copy are left out if they say what is done anyway`() throws {
        let settings = try settings(
            "-H", "Connection: keep-alive", "-H", "proxy-connection: Keep-Alive", "-H", "Transfer-Encoding: chunked",
            "-H", "X-A: b", "http://h/")
        #expect(settings.fields.map(\.name.canonicalName) == ["user-agent", "accept", "x-a"])
        #expect(usageError("-H", "Connection: close", "http://h/")?.contains("the connection's own") == true)
    }

    @Test(arguments: ["tcp-nodelay", "ca-native", "retry-connrefused"])
    func `An option for what is done anyway cannot be turned off`(_ name: String) throws {
        _ = try settings("--\(name)", "http://h/")
        #expect(usageError("--no-\(name)", "http://h/")?.contains("cannot be turned off") == true)
    }

    @Test func `A wrong option points at --help`() {
        #expect(usageError("--nope", "https://localhost/")?.contains("'h2get --help'") == true)
    }

    @Test func `The last --resolve holds, a named host before any, also for the host of --connect-to`() throws {
        let settings = try settings(
            "--resolve", "a.example:443:127.0.0.1", "--resolve", "a.example:443:127.0.0.2", "--resolve",
            "*:443:127.0.0.3",
            "--connect-to", "b.example:80:a.example:443", "https://localhost/")
        let connectTo = try #require(settings.clientConfiguration().connectTo)
        for (url, host) in [
            ("https://a.example/", "127.0.0.2"), ("http://b.example/", "127.0.0.2"),
            ("https://c.example/", "127.0.0.3"),
        ] {
            let target = try #require(connectTo(try Origin(url)))
            #expect(target.host == host && target.port == 443)
        }
        #expect(connectTo(try Origin("http://c.example/")) == nil)
    }

    @Test func `--connect-to and --resolve change where to connect for the matching origin only`() throws {
        let settings = try settings(
            "--connect-to", "a.example:443:[::1]:8443", "--resolve", "B.example:444:127.0.0.1", "https://localhost/")
        let connectTo = try #require(settings.clientConfiguration().connectTo)
        let first = try #require(connectTo(try Origin("https://a.example/")))
        #expect(first.host == "::1" && first.port == 8443)
        let second = try #require(connectTo(try Origin("https://b.example:444/")))
        #expect(second.host == "127.0.0.1" && second.port == 444)
        #expect(connectTo(try Origin("https://a.example:444/")) == nil)
        #expect(usageError("--connect-to", "a:b", "https://localhost/") != nil)
        #expect(usageError("--resolve", "a:99999:b", "https://localhost/") != nil)
    }

    @Test func `Versions cannot be combined`() throws {
        #expect(try settings("https://localhost/").versions == .automatic)
        #expect(try settings("--http2", "https://localhost/").versions == .automatic)
        #expect(try settings("--http1.1", "https://localhost/").versions == .http1Only)
        #expect(try settings("--http2-prior-knowledge", "https://localhost/").versions == .http2Only)
        #expect(usageError("--http1.1", "--http2", "https://localhost/")?.contains("cannot be combined") == true)
    }

    @Test func `--retry is a policy`() throws {
        let plain = try settings("https://localhost/").clientConfiguration().retry
        #expect(plain.maximumAttempts == 4 && plain.statuses.isEmpty)
        let retry = try settings("--retry", "5", "https://localhost/").retry
        #expect(retry.maximumAttempts == 6)
        #expect(retry.statuses == [408, 429, 500, 502, 503, 504])
        #expect(retry.backoff == .seconds(1) && retry.maximumBackoff == .seconds(600))
        let timed = try settings("--retry", "5", "--retry-delay", "2", "--retry-max-time", "9", "https://localhost/")
            .retry
        #expect(timed.backoff == .seconds(2) && timed.maximumBackoff == .seconds(2) && timed.jitter == 0)
        #expect(timed.maximumRetryAfter == .seconds(600) && timed.maximumTime == .seconds(9))
        #expect(try settings("--retry", "0", "https://localhost/").retry.maximumAttempts == 1)
        #expect(usageError("--retry", "-1", "https://localhost/") != nil)
        #expect(usageError("--retry-delay", "1", "https://localhost/")?.contains("--retry N") == true)
        #expect(usageError("--retry-max-time", "1", "https://localhost/")?.contains("--retry N") == true)
        #expect(usageError("--retry", "0", "--retry-delay", "1", "https://localhost/") != nil)
    }

    @Test func `Limits of load are the client's`() throws {
        let plain = try settings("https://localhost/").clientConfiguration()
        #expect(plain.pool.http1ConnectionsPerOrigin == 8 && plain.pool.whenSaturated == .queue)
        #expect(plain.loadLimits.adaptive == nil && plain.loadLimits.requestsPerSecondPerOrigin == nil)
        let one = try settings("--connections-per-origin", "1", "https://localhost/").clientConfiguration().pool
        #expect(one.http1ConnectionsPerOrigin == 1 && one.whenSaturated == .queue)
        let four = try settings(
            "--connections-per-origin", "4", "--max-requests-per-connection", "9", "https://localhost/"
        ).clientConfiguration().pool
        #expect(four.http1ConnectionsPerOrigin == 4 && four.whenSaturated == .openConnection(upTo: 4))
        #expect(four.requestsPerConnection == 9)
        let polite = try settings("--polite", "--parallel-max", "3", "--rate", "30/m", "https://localhost/")
            .clientConfiguration().loadLimits
        #expect(polite.adaptive?.maximum == 3 && polite.adaptive?.initial == 3)
        #expect(polite.requestsPerSecondPerOrigin == 0.5)
        for option in ["--connections-per-origin", "--max-requests-per-connection"] {
            #expect(usageError(option, "0", "https://localhost/") != nil)
        }
    }

    @Test(
        arguments: [
            ("5/s", 5), ("90/m", 1.5), ("7200/h", 2), ("86400/d", 1), ("1/10s", 0.1), ("5", nil), ("5/", nil),
            ("0/s", nil),
            ("-1/s", nil), ("5/0s", nil), ("5/x", nil), ("1.5/s", nil), ("/s", nil),
        ] as [(String, Double?)])
    func `A rate is a number in a unit of time`(_ text: String, _ perSecond: Double?) {
        #expect((try? Rate(text: text))?.perSecond == perSecond)
    }

    @Test func `Each time limit is its own`() throws {
        let settings = try settings(
            "--queue-timeout", "1", "--first-byte-timeout", "2", "--stall-timeout", "3", "--keepalive-time", "4",
            "--connect-timeout", "5", "https://localhost/")
        #expect(settings.options.queueTimeout == .seconds(1))
        #expect(settings.options.firstByteTimeout == .seconds(2))
        #expect(settings.options.sendTimeout == .seconds(3) && settings.options.bodyProgressTimeout == .seconds(3))
        let connection = settings.clientConfiguration().connection
        #expect(connection.keepAlive.interval == .seconds(4))
        #expect(connection.tcpKeepAlive?.idle == .seconds(4) && connection.tcpKeepAlive?.interval == .seconds(4))
        #expect(connection.timeouts.establish == .seconds(5))
        #expect(usageError("--keepalive-time", "0", "https://localhost/") != nil)
    }

    @Test func `serve refuses what makes no sense`() {
        func fails(_ arguments: String...) -> Bool {
            do {
                _ = try ServeSettings(parsed(.serve, arguments))
                return false
            } catch { return (error as? Failure)?.status == .usage }
        }
        #expect(fails("--port", "70000"))
        #expect(fails("--cert", "a"))
        #expect(fails("--cleartext", "--ca-file", "a"))
        #expect(fails("--goaway-after", "0"))
        #expect(fails("--http1.1", "--http2"))
        #expect(fails("--http1.1", "--max-streams", "5"))
        #expect(fails("--service-time", "5ms"))
        #expect(fails("--workers", "0"))
        #expect(fails("--workers", "1", "--service-time", "five"))
        #expect(fails("--workers", "1", "--retry-after", "1", "--refused-stream"))
        #expect(fails("--idle-timeout", "0"))
        #expect(!fails("--workers", "4", "--worker-queue", "8", "--service-time", "5ms", "--retry-after", "1"))
        #expect(!fails("--http1.1", "--close-after", "3", "--idle-timeout", "5s"))
        #expect((try? ServeSettings.time("0.5s")) == .milliseconds(500))
        #expect((try? ServeSettings.time("7")) == .milliseconds(7))
        for text in ["", "s", "-1s", "1e3", "nan", "25h", "1.2.3"] { #expect((try? ServeSettings.time(text)) == nil) }
        #expect(!fails("--port", "0", "--latency", "5", "."))
    }
}
