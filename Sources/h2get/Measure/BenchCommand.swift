internal import ArgumentParser
import H2Measure

/// `h2get bench [options] URL...`: the options as written; `BenchSettings` interprets them.
struct BenchCommand: URLCommand {
    static let configuration = CommandConfiguration(
        commandName: "h2get bench",
        abstract: "Measures how a server takes many requests at once, with h2load's options.",
        usage: """
            h2get bench [options] URL...
            h2get bench merge [options] FILE...     (adds up HdrHistogram logs: h2get bench merge --help)
            """,
        discussion: """
            EXAMPLES:
              h2get bench -n 100K -c 10 -m 100 https://localhost:8443/       as fast as it goes
              h2get bench -D 30s --warm-up-time 2s -c 4 -m 32 https://localhost:8443/
              h2get bench -D 1m --request-rate 2K -c 8 https://localhost:8443/   2,000 requests/s, come what may
              h2get bench -D 1m --request-rate 100..5K --ramp 45s --html ramp.html https://localhost:8443/
              h2get bench -n 1K -d form.bin 'https://localhost:8443/item/[1-100]'
              h2get bench -D 30s --request-rate 500 --fail-if 'p99>50ms' --fail-if 'errors>0.1%' https://localhost:8443/

            N takes K, M and G (powers of 1,000), SIZE too (powers of 1,024); TIME takes h, m, s, ms, us and ns. URLs are
            asked for in turn; [1-100], [001-100:5], [a-z] and {a,b} stand for many, a backslash before the bracket for
            itself. As with h2load, http:// URLs are HTTP/2 without TLS (--h1 for HTTP/1.1).

            Exit codes: 0 all requests were answered, with whatever status (those cut off at the deadline of -D aside);
            2 usage; 6, 7, 28, 35, 60 no connection, for curl's reasons; 58 the client certificate, 59 a cipher suite or
            group, 77 the CA file cannot be used; 26 input cannot be read; 16 connections were lost for good; 92 requests
            failed (which --fail-if 'errors>…' decides instead, where it is given); 28 not one was answered in time; 99 a
            condition of --fail-if holds; 23 a result could not be written, while the others are; 130 Ctrl-C, after which
            what was measured is shown.
            """)

    static let lettersWithValue = Set("EncmtDrifBHdTNwWpX".utf8)

    @OptionGroup(title: "Load") var load: BenchLoadArguments
    @OptionGroup(title: "Requests") var request: BenchRequestArguments
    @OptionGroup(title: "Requests") var field: MeasuredFieldArguments
    @OptionGroup(title: "Connections") var connections: BenchConnectionArguments
    @OptionGroup(title: "Connections") var versions: MeasuredProtocolArguments
    @OptionGroup(title: "Connections") var connection: MeasuredConnectionArguments
    @OptionGroup(title: "Connections") var tls: TLSArguments
    @OptionGroup(title: "Results") var output: BenchOutputArguments
    @OptionGroup(title: "Results") var messages: MeasureMessageArguments

    @Argument(help: ArgumentHelp("What to ask for, in turn.", valueName: "URL"))
    var urls: [String] = []
}

/// The load: how many requests, how many at once, and how fast.
struct BenchLoadArguments: ParsableArguments {
    @Option(
        name: [.customShort("n", allowingJoined: true), .customLong("requests")],
        help: ArgumentHelp("Send N requests in all (one a connection, and each URL once).", valueName: "N"),
        transform: Quantity.count(in: 1...1_000_000_000_000))
    var requests: Int?

    @Option(
        name: [.customShort("D", allowingJoined: true), .customLong("duration")],
        help: ArgumentHelp("Send as many as fit into this time, instead of -n.", valueName: "TIME"),
        transform: Quantity.positiveTime)
    var duration: Duration?

    @Option(
        name: [.customShort("c", allowingJoined: true), .customLong("clients")],
        help: ArgumentHelp("Connections (1).", valueName: "N"), transform: Quantity.count(in: 1...1_000_000))
    var connections: Int = 1

    @Option(
        name: [.customShort("m", allowingJoined: true), .customLong("max-concurrent-streams")],
        help: ArgumentHelp(
            "Requests at once on each connection (1; with --request-rate, --rps or --stages at most 100).",
            valueName: "N"),
        transform: Quantity.count(in: 1...1_000_000))
    var streams: Int?

    @Option(
        name: [.customShort("t", allowingJoined: true), .customLong("threads")],
        help: ArgumentHelp("Threads, each an event loop with its share of the connections (1).", valueName: "N"),
        transform: Quantity.count(in: 1...1_024))
    var threads: Int = 1

    @Option(
        name: .customLong("warm-up-time"),
        help: ArgumentHelp("Run that long before anything counts.", valueName: "TIME"), transform: Quantity.time)
    var warmUp: Duration?

    @Option(
        name: .customLong("request-rate"),
        help: ArgumentHelp(
            "Open loop: send N requests a second over all connections, answered or not; latency counts from "
                + "when each was due. A..B with --ramp.", valueName: "N"),
        transform: ArrivalRate.init(text:))
    var requestRate: ArrivalRate?

    @Option(
        name: .customLong("ramp"),
        help: ArgumentHelp("The rate goes from A, or 0, to B in this time (A..B: that of -D).", valueName: "TIME"),
        transform: Quantity.positiveTime)
    var ramp: Duration?

    @Option(
        name: .customLong("rps"),
        help: ArgumentHelp("Open loop: send N requests a second on each connection.", valueName: "N"),
        transform: Quantity.rate)
    var ratePerConnection: Double?

    @Option(
        name: .customLong("stages"),
        help: ArgumentHelp(
            "Open loop in stages: RATE:TIME or A..B:TIME, with commas between, such as 0..1K:30s,1K:2m,5K:10s.",
            valueName: "LIST"),
        transform: RateStages.init(text:))
    var stages: RateStages?

    @Option(
        name: .customLong("timing-script-file"), parsing: .unconditional,
        help: ArgumentHelp(
            "Open loop by a script, as h2load has it: milliseconds, a tab and a URL on each line, which each connection "
                + "sends in order; -n says how many of them (all). - is stdin.", valueName: "FILE"))
    var timingScript: String?

    @Option(
        name: .customLong("arrivals"),
        help: ArgumentHelp(
            "Requests of an open loop arrive evenly, or at random as from many users (poisson).",
            valueName: "even|poisson"))
    var arrivals: ArrivalKind?

    @Option(
        name: .customLong("seed"),
        help: ArgumentHelp(
            "With --arrivals poisson: the same seed has the same arrivals (another one each time).", valueName: "N"),
        transform: Quantity.count(in: 0...4_294_967_295))
    var seed: Int?

    @Option(
        name: .customLong("think-time"),
        help: ArgumentHelp(
            "Closed loop: let each stream rest between a response and its next request.", valueName: "TIME"),
        transform: Quantity.positiveTime)
    var thinkTime: Duration?

    @Option(
        name: .customLong("start-at"),
        help: ArgumentHelp(
            "Begin the measured part then, so that several machines measure one period: seconds since 1970, as of date +%s.",
            valueName: "SECONDS"),
        transform: Quantity.unixTime)
    var startAt: Double?

    @Option(
        name: .customLong("drain"),
        help: ArgumentHelp("Wait this long for requests in flight when -D is over (1s).", valueName: "TIME"),
        transform: Quantity.time)
    var drain: Duration?
}

/// The requests to send.
struct BenchRequestArguments: ParsableArguments {
    @Option(
        name: [.customShort("X", allowingJoined: true), .customLong("request")],
        help: ArgumentHelp("The method.", valueName: "METHOD"))
    var method: String?

    @Flag(name: [.customShort("I"), .customLong("head")], help: "HEAD: no bodies.")
    var head = false

    @Option(
        name: [.customShort("d", allowingJoined: true), .customLong("data")], parsing: .unconditional,
        help: ArgumentHelp("POST this file's content; - is stdin.", valueName: "FILE"))
    var data: String?

    @Option(
        name: .customLong("expect-status"),
        help: ArgumentHelp("Count responses of any other status as failed: 200, 200,304 or 2xx.", valueName: "LIST"),
        transform: StatusList.init(text:))
    var expectedStatuses: StatusList?

    @Option(
        name: .customLong("expect-size"),
        help: ArgumentHelp("Count responses with a body of any other size as failed.", valueName: "BYTES"),
        transform: Quantity.size(in: 0...Int.max))
    var expectedSize: Int?

    @Option(
        name: .customLong("expect-sha256"),
        help: ArgumentHelp("Count responses with a body of any other SHA-256 as failed.", valueName: "HEX"),
        transform: sha256)
    var expectedDigest: [UInt8]?

    @Option(
        name: [.customShort("i", allowingJoined: true), .customLong("input-file")], parsing: .unconditional,
        help: ArgumentHelp("URLs, one a line, # comments; - is stdin.", valueName: "FILE"))
    var inputFile: String?

    @Option(
        name: [.customShort("B", allowingJoined: true), .customLong("base-uri")],
        help: ArgumentHelp(
            "Take scheme, host and port from here, whatever the URLs say; they may be paths then.", valueName: "URL"))
    var base: String?

    /// Parses a SHA-256 digest as sha256sum prints it.
    @Sendable private static func sha256(_ text: String) throws -> [UInt8] {
        let digits = text.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
        guard digits.count == 64, text.utf8.count == 64 else {
            throw BadValue("write the 64 hexadecimal digits that sha256sum prints")
        }
        return stride(from: 0, to: 64, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}

/// How connections are opened, and how long they are used.
struct BenchConnectionArguments: ParsableArguments {
    @Option(
        name: [.customShort("r", allowingJoined: true), .customLong("rate")],
        help: ArgumentHelp(
            "Open N connections in each period (all at once). For requests a second see --request-rate.",
            valueName: "N"),
        transform: connectionRate)
    var connectionRate: Int?

    @Option(
        name: .customLong("rate-period"), help: ArgumentHelp("That period (1s).", valueName: "TIME"),
        transform: Quantity.positiveTime)
    var ratePeriod: Duration?

    @Option(
        name: .customLong("requests-per-connection"),
        help: ArgumentHelp("Close a connection after N requests and open another.", valueName: "N"),
        transform: Quantity.count(in: 1...1_000_000_000))
    var requestsPerConnection: Int?

    @Option(
        name: [.customShort("T", allowingJoined: true), .customLong("connection-active-timeout")],
        help: ArgumentHelp("Close a connection for good after this time.", valueName: "TIME"),
        transform: Quantity.positiveTime)
    var activeTimeout: Duration?

    @Option(
        name: [.customShort("N", allowingJoined: true), .customLong("connection-inactivity-timeout")],
        help: ArgumentHelp("Close a connection for good after this time without any byte.", valueName: "TIME"),
        transform: Quantity.positiveTime)
    var inactivityTimeout: Duration?

    @Option(
        name: .customLong("ciphers"),
        help: ArgumentHelp("Offer these TLS 1.2 suites, in OpenSSL's words.", valueName: "LIST"))
    var ciphers: String?

    @Option(
        name: .customLong("tls13-ciphers"),
        help: ArgumentHelp("Offer these TLS 1.3 suites, such as TLS_AES_128_GCM_SHA256.", valueName: "LIST"))
    var ciphers13: String?

    @Option(
        name: .customLong("groups"),
        help: ArgumentHelp("Offer these groups for the keys, such as X25519:P-256.", valueName: "LIST"))
    var groups: String?

    @Option(
        name: .customLong("unix-socket"),
        help: ArgumentHelp("Connect to this Unix domain socket, whatever host the URLs name.", valueName: "PATH"))
    var socketPath: String?

    @Option(
        name: .customLong("source"),
        help: ArgumentHelp(
            "Connect from these addresses in turn, such as 127.0.0.2-127.0.0.9: each has 28,000 ports.",
            valueName: "ADDR[-ADDR],..."),
        transform: SourceAddresses.init(text:))
    var source: SourceAddresses?

    @Flag(
        name: .customLong("keep-trying"),
        help: "Never give up on a server that has been there: a soak outlives its restart, and tells the downtime.")
    var keepTrying = false

    @Option(
        name: [.customShort("w", allowingJoined: true), .customLong("window-bits")],
        help: ArgumentHelp("Stream window of 2^N - 1 bytes, 16 to 30 (30).", valueName: "N"), transform: windowBits)
    var windowBits: Int?

    @Option(
        name: [.customShort("W", allowingJoined: true), .customLong("connection-window-bits")],
        help: ArgumentHelp("Connection window of 2^N - 1 bytes (30).", valueName: "N"), transform: windowBits)
    var connectionWindowBits: Int?

    @Option(
        name: [.customShort("f", allowingJoined: true), .customLong("max-frame-size")],
        help: ArgumentHelp("The largest frame that the server may send (16K).", valueName: "SIZE"),
        transform: Quantity.size(in: 16_384...16_777_215))
    var frameSize: Int?

    @Option(
        name: .customLong("api"),
        help: ArgumentHelp("Measure the direct API, which costs least, or async/await.", valueName: "direct|async"))
    var api: BenchPlan.API = .direct

    @Sendable private static func connectionRate(_ text: String) throws -> Int {
        do {
            return try Quantity.count(in: 1...1_000_000)(text)
        } catch {
            // A rate of requests, such as 0.5, 100/s or 100..2K.
            guard (try? ArrivalRate(text: text)) != nil else { throw error }
            throw BadValue("write how many connections to open in each period; requests a second are --request-rate")
        }
    }

    @Sendable private static func windowBits(_ text: String) throws -> Int {
        guard let bits = Int(text), (16...30).contains(bits) else {
            throw BadValue("use 16 (65,535 bytes, where HTTP/2 begins) to 30")
        }
        return bits
    }
}

extension BenchPlan.API: ExpressibleByArgument {}

/// The value of `--arrivals`.
enum ArrivalKind: String, ExpressibleByArgument, Sendable {
    case even
    case poisson
}

/// Where results go, besides the summary on stdout.
struct BenchOutputArguments: ParsableArguments {
    @Option(
        name: .customLong("json"), parsing: .unconditional,
        help: ArgumentHelp("All figures; - is stdout, instead of the summary.", valueName: "FILE"))
    var json: String?

    @Option(
        name: .customLong("csv"), parsing: .unconditional,
        help: ArgumentHelp("A line for each request.", valueName: "FILE"))
    var csv: String?

    @Option(
        name: .customLong("hdr"), parsing: .unconditional,
        help: ArgumentHelp("An HdrHistogram log, second by second; - is stdout.", valueName: "FILE"))
    var hdr: String?

    @Flag(name: .customLong("breakdown"), help: "Latency by status and by URL (of the first 100), too.")
    var breakdown = false

    @Option(
        name: .customLong("html"), parsing: .unconditional,
        help: ArgumentHelp("A page with pictures, all in one file; - is stdout.", valueName: "FILE"))
    var html: String?

    @Option(
        name: .customLong("fail-if"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "Exit with 99 if this holds, such as 'p99>50ms', 'errors>0.1%' or 'rate<1K'; can be repeated. "
                + "Figures: \(FailCondition.metrics) (latencies are corrected, % is of the requests sent).",
            valueName: "CONDITION"),
        transform: { try FailCondition($0) })
    var conditions: [FailCondition] = []
}
