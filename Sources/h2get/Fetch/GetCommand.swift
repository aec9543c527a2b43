internal import ArgumentParser
import H2Measure
import Synchronization

/// The version, for `--version` and the user-agent field.
let version = "0.1.0"

/// `h2get [options] URL...`: the options as written; `FetchSettings` interprets them.
struct GetCommand: URLCommand {
    static let configuration = CommandConfiguration(
        commandName: "h2get",
        abstract: "Fetches URLs over HTTP/2 or HTTP/1.1, in parallel, over as few connections as it takes.",
        usage: """
            h2get [options] URL...
            h2get bench|compare|sweep [options] URL...     (measures: h2get bench --help, and so on)
            h2get serve [options] [DIR]                    (an origin to try things on: h2get serve --help)
            """,
        discussion: """
            EXAMPLES:
              h2get https://example.org/                           the body to stdout
              h2get -O https://example.org/a.tar https://example.org/b.tar
              h2get -o /dev/null --summary --input-file urls.txt   many requests, one connection
              h2get --polite --retry 3 -O --input-file urls.txt    as many at once as the server takes
              h2get -d name=value https://example.org/form
              h2get -T - https://example.org/upload < file
              h2get -vv https://example.org/                       every frame, with the running windows

            Letters and exit codes mean what they mean for curl: 22 status with -f, 23 writing, 28 time limit, 60 certificate,
            92 stream, 130 Ctrl-C. Of several failures the first in the order of the URLs decides. Several bodies on stdout
            come one after another in that order. Downloads are written to NAME.XXXXXX.part and renamed when complete.
            """,
        version: "h2get \(version)")

    static let lettersWithValue = Set("XHAdTmoE".utf8)

    @OptionGroup(title: "Request") var request: RequestArguments
    @OptionGroup(title: "Where bodies go") var output: OutputArguments
    @OptionGroup(title: "Connection") var tls: TLSArguments
    @OptionGroup(title: "Connection") var connection: ConnectionArguments
    @OptionGroup(title: "Time limits") var times: TimeArguments
    @OptionGroup(title: "Messages") var messages: MessageArguments

    @Argument(help: ArgumentHelp("What to fetch.", valueName: "URL"))
    var urls: [String] = []
}

struct RequestArguments: ParsableArguments {
    @Option(
        name: [.customShort("X", allowingJoined: true), .customLong("request")],
        help: ArgumentHelp("The method.", valueName: "METHOD"))
    var method: String?

    @Option(
        name: [.customShort("H", allowingJoined: true), .customLong("header")], parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "'Name: value'; 'Name:' leaves a default out, 'Name;' sends it empty, @FILE reads lines.",
            valueName: "FIELD"))
    var fields: [String] = []

    @Option(
        name: [.customShort("A", allowingJoined: true), .customLong("user-agent")], parsing: .unconditional,
        help: ArgumentHelp("The user-agent field (h2get/\(version)).", valueName: "NAME"))
    var userAgent: String?

    @Option(
        name: [.customShort("d", allowingJoined: true), .customLong("data")], parsing: .unconditionalSingleValue,
        help: ArgumentHelp("POST this; several are joined by &; @FILE without its line ends.", valueName: "DATA"),
        transform: { OrderedData(text: $0, isBinary: false) })
    var data: [OrderedData] = []

    @Option(
        name: .customLong("data-binary"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "POST this; @FILE as it is. Stdin and pipes are read into memory first, without a time limit.",
            valueName: "DATA"),
        transform: { OrderedData(text: $0, isBinary: true) })
    var binaryData: [OrderedData] = []

    @Option(
        name: [.customShort("T", allowingJoined: true), .customLong("upload-file")],
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("PUT this file; - is stdin. One for all URLs or one a URL.", valueName: "FILE"))
    var uploads: [String] = []

    @Flag(name: [.customShort("I"), .customLong("head")], help: "HEAD: the header fields only.")
    var head = false

    @Option(
        name: .customLong("trailer"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("'Name: value' to send after the body.", valueName: "FIELD"))
    var trailers: [String] = []

    @Flag(name: .customLong("path-as-is"), help: "Keep the dot segments of URLs (/a/../b).")
    var pathAsIs = false

    @Option(
        name: .customLong("priority"), help: ArgumentHelp("RFC 9218 priority, such as u=1,i.", valueName: "PRIORITY"))
    var priority: String?

    @Flag(name: .customLong("expect-continue"), help: "Hold the body back until the server asks for it (1 s at most).")
    var expectContinue = false

    @Option(
        name: .customLong("retry"),
        help: ArgumentHelp(
            "Retry up to N times after 408, 429, 500, 502, 503, 504 (if idempotent; Retry-After is obeyed), and requests "
                + "that the server did not process. 0: send nothing twice. Default: 3, for unprocessed requests only.",
            valueName: "N"))
    var retries: Int?

    @Option(
        name: .customLong("retry-delay"),
        help: ArgumentHelp("Wait this long before each retry, rather than 1 s and then doubling.", valueName: "SECONDS")
    )
    var retryDelay: Seconds?

    @Option(
        name: .customLong("retry-max-time"),
        help: ArgumentHelp("Stop retrying this long after the transfer started.", valueName: "SECONDS"))
    var retryMaxTime: Seconds?
}

/// Time limits. By default there are none, except for connecting.
struct TimeArguments: ParsableArguments {
    @Option(
        name: [.customShort("m", allowingJoined: true), .customLong("max-time")],
        help: ArgumentHelp(
            "Limit each transfer, from its start to its end, retries included. Input read beforehand (-d @-) does not count.",
            valueName: "SECONDS"))
    var maxTime: Seconds?

    @Option(
        name: .customLong("connect-timeout"),
        help: ArgumentHelp("Limit name lookup, TCP and TLS together.", valueName: "SECONDS"))
    var connectTimeout: Seconds?

    @Option(
        name: .customLong("queue-timeout"),
        help: ArgumentHelp("Limit the wait for a free connection or stream, connecting included.", valueName: "SECONDS")
    )
    var queueTimeout: Seconds?

    @Option(
        name: .customLong("first-byte-timeout"),
        help: ArgumentHelp("Limit the time from a request's sending to the response's head.", valueName: "SECONDS"))
    var firstByteTimeout: Seconds?

    @Option(
        name: .customLong("stall-timeout"),
        help: ArgumentHelp(
            "Limit the time between two pieces of a body, sent or received. Waiting for input of -T counts, too.",
            valueName: "SECONDS"))
    var stallTimeout: Seconds?

    @Option(
        name: .customLong("keepalive-time"),
        help: ArgumentHelp(
            "Ask a server that has been silent this long whether it is there: PING, TCP keepalive (60).",
            valueName: "SECONDS"))
    var keepAliveTime: Seconds?
}

struct OutputArguments: ParsableArguments {
    @Option(
        name: [.customShort("o", allowingJoined: true), .customLong("output")], parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "One a URL, in order; - is stdout. A single -o /dev/null discards every body.", valueName: "FILE"))
    var files: [String] = []

    @Flag(
        name: [.customShort("O"), .customLong("remote-name")], help: "Files named as the URLs' last part (all URLs).")
    var remoteName = false

    @Option(
        name: .customLong("output-dir"), parsing: .unconditional,
        help: ArgumentHelp("Put the files in this folder.", valueName: "DIR"))
    var directory: String?

    @Flag(name: .customLong("create-dirs"), help: "Create missing folders.")
    var createDirectories = false

    @Flag(
        name: [.customShort("i"), .customLong("include")], help: "Write the response's header fields before its body.")
    var include = false

    @Flag(name: [.customShort("f"), .customLong("fail")], help: "A status of 400 or more is a failure (22).")
    var fail = false

    @Option(
        name: .customLong("input-file"), parsing: .unconditional,
        help: ArgumentHelp("URLs, one a line, # comments; - is stdin. Read as it goes.", valueName: "FILE"))
    var inputFile: String?

    @Option(
        name: .customLong("parallel-max"),
        help: ArgumentHelp("Run at most N transfers at once, over all origins.", valueName: "N"))
    var parallelMaximum = 100
}

struct ConnectionArguments: ParsableArguments {
    @Option(
        name: .customLong("capath"),
        help: ArgumentHelp("Trust the authorities in a folder made by openssl rehash.", valueName: "DIR"))
    var authorityDirectory: String?

    @Flag(name: .customLong("http1.1"), help: "Speak HTTP/1.1 alone.")
    var http1 = false

    @Flag(
        name: .customLong("http2"),
        help: "Over TLS offer HTTP/2, and HTTP/1.1 for servers without it; http:// is HTTP/1.1. The default.")
    var http2 = false

    @Flag(name: .customLong("http2-prior-knowledge"), help: "Speak HTTP/2 alone, for http:// URLs too.")
    var priorKnowledge = false

    @Option(
        name: .customLong("connections-per-origin"),
        help: ArgumentHelp(
            "HTTP/1.1 connections to one origin (8); more than 1 HTTP/2 connection only if given.", valueName: "N"))
    var connectionsPerOrigin: Int?

    @Option(
        name: .customLong("max-requests-per-connection"),
        help: ArgumentHelp("Open a new connection after N requests.", valueName: "N"))
    var requestsPerConnection: Int?

    @Option(
        name: .customLong("rate"),
        help: ArgumentHelp(
            "Send no more requests to an origin than this: 5/s, 90/m, 1000/h, 1/10s.", valueName: "N/UNIT"))
    var rate: Rate?

    @Flag(
        name: .customLong("polite"),
        help: "Find out how many requests at once each origin takes; obey Retry-After and RateLimit fields."
    )
    var polite = false

    @Option(
        name: .customLong("informational-max"),
        help: ArgumentHelp("Accept this many informational responses (1xx) to a request at once (100).", valueName: "N")
    )
    var informationalMaximum: Int?

    @Option(
        name: .customLong("informational-per-second"),
        help: ArgumentHelp("Accept this many more each second (1).", valueName: "N"))
    var informationalPerSecond: Int?

    @Option(
        name: .customLong("connect-to"),
        help: ArgumentHelp("Connect to the second instead of the first.", valueName: "HOST:PORT:HOST:PORT"))
    var connectTo: [String] = []

    @Option(
        name: .customLong("resolve"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Use these addresses for the host and port.", valueName: "HOST:PORT:ADDRESS[,ADDRESS]"))
    var resolve: [String] = []
}

struct MessageArguments: ParsableArguments {
    @Flag(name: [.customShort("s"), .customLong("silent")], help: "No progress and no errors.")
    var silent = false

    @Flag(name: [.customShort("S"), .customLong("show-error")], help: "With -s: errors all the same.")
    var showError = false

    @Flag(
        name: [.customShort("v"), .customLong("verbose")],
        help: "Connections and why, header fields; -vv: each HTTP/2 frame too, with the windows.")
    var verbosity: Int

    @Flag(name: .customLong("summary"), help: "The closing numbers on stderr, terminal or not.")
    var summary = false
}

/// One `-d` or `--data-binary`, with its position among both, since they are joined in the order given.
struct OrderedData: Sendable, Equatable {
    let text: String
    let isBinary: Bool
    let position: Int

    private static let positions = Atomic<Int>(0)

    init(text: String, isBinary: Bool) {
        self.text = text
        self.isBinary = isBinary
        position = OrderedData.positions.add(1, ordering: .relaxed).newValue
    }
}

/// A time limit in seconds, with decimals, or with a unit like all other times. 0 means no limit, as in curl.
struct Seconds: ExpressibleByArgument, Sendable, Equatable {
    /// nil: no limit.
    let duration: Duration?

    init?(argument: String) {
        // Limits are capped at a year, which keeps sums of durations far from overflow.
        let year: UInt64 = 31_536_000_000_000_000
        let isLong = QuantityText.decimal(argument[...]).map { $0 > 31_536_000 } ?? false
        guard let time = isLong ? year : QuantityText.nanoseconds(argument) else { return nil }
        // A time that rounds to 0 is a short limit; only a literal 0 means no limit.
        let isZero = time == 0 && !argument.utf8.contains { (UInt8(ascii: "1")...UInt8(ascii: "9")).contains($0) }
        duration = isZero ? nil : .milliseconds(Int64(max(min(time, year) / 1_000_000, 1)))
    }

    static var allValueStrings: [String] { [] }
}

/// Requests per unit of time, in curl's syntax: `5/s`, `90/m`, `1000/h`, `14/d`, `1/10s`.
///
/// The unit is required: without one curl assumes an hour, which few expect.
struct Rate: ExpressibleByArgument, Sendable, Equatable {
    let perSecond: Double

    init?(argument: String) {
        let parts = argument.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let count = Rate.number(parts[0]), let unit = parts[1].last else { return nil }
        let several = parts[1].dropLast()
        guard let units = several.isEmpty ? 1 : Rate.number(several) else { return nil }
        let seconds: Double
        switch unit {
        case "s": seconds = 1
        case "m": seconds = 60
        case "h": seconds = 3600
        case "d": seconds = 86400
        default: return nil
        }
        perSecond = Double(count) / (Double(units) * seconds)
    }

    private static func number(_ text: Substring) -> Int? {
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = Int(text), value > 0 else { return nil }
        return value
    }

    static var allValueStrings: [String] { [] }
}
