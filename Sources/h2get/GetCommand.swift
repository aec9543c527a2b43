internal import ArgumentParser
import Synchronization

/// The version that `--version` and the user-agent field tell.
let version = "0.1.0"

/// `h2get [options] URL...`: the options as they stand on the command line; `FetchSettings` gives them their meaning.
struct GetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "h2get",
        abstract: "Fetches URLs over HTTP/2: all of an origin in parallel over one connection.",
        usage: """
            h2get [options] URL...
            h2get serve [options] [DIR]     (an origin to try things on: h2get serve --help)
            """,
        discussion: """
            EXAMPLES:
              h2get https://example.org/                           the body to stdout
              h2get -O https://example.org/a.tar https://example.org/b.tar
              h2get -o /dev/null --summary --input-file urls.txt   many requests, one connection
              h2get -d name=value https://example.org/form
              h2get -T - https://example.org/upload < file
              h2get -vv https://example.org/                       every frame, with the running windows

            Letters and exit codes mean what they mean for curl: 22 status with -f, 23 writing, 28 time limit, 60 certificate,
            92 stream, 130 Ctrl-C. Of several failures the first in the order of the URLs decides. Several bodies on stdout
            come one after another in that order. A file has its name only when it is whole; till then it is NAME.part.
            """,
        version: "h2get \(version)")

    @OptionGroup(title: "Request") var request: RequestArguments
    @OptionGroup(title: "Where bodies go") var output: OutputArguments
    @OptionGroup(title: "Connection") var connection: ConnectionArguments
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
        help: ArgumentHelp("POST this; @FILE as it is.", valueName: "DATA"),
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

    @Option(
        name: .customLong("priority"), help: ArgumentHelp("RFC 9218 priority, such as u=1,i.", valueName: "PRIORITY"))
    var priority: String?

    @Flag(name: .customLong("expect-continue"), help: "Hold the body back until the server asks for it (1 s at most).")
    var expectContinue = false

    @Option(
        name: [.customShort("m", allowingJoined: true), .customLong("max-time")],
        help: ArgumentHelp("For each transfer, from its start to its end.", valueName: "SECONDS"))
    var maxTime: Seconds?
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
        help: ArgumentHelp("Put the files there.", valueName: "DIR"))
    var directory: String?

    @Flag(name: .customLong("create-dirs"), help: "Make missing folders.")
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

    @Option(name: .customLong("parallel-max"), help: ArgumentHelp("Transfers at once.", valueName: "N"))
    var parallelMaximum = 100
}

struct ConnectionArguments: ParsableArguments {
    @Flag(name: [.customShort("k"), .customLong("insecure")], help: "Do not verify the server's certificate.")
    var insecure = false

    @Option(
        name: .customLong("cacert"), help: ArgumentHelp("Trust these authorities only (PEM).", valueName: "FILE"))
    var authorityFile: String?

    @Option(
        name: .customLong("capath"), help: ArgumentHelp("The same, a folder made by openssl rehash.", valueName: "DIR"))
    var authorityDirectory: String?

    @Option(
        name: [.customShort("E", allowingJoined: true), .customLong("cert")],
        help: ArgumentHelp("Our certificate, if the server asks (PEM).", valueName: "FILE"))
    var certificate: String?

    @Option(name: .customLong("key"), help: ArgumentHelp("Its key, if in another file.", valueName: "FILE"))
    var key: String?

    @Option(
        name: .customLong("connect-timeout"),
        help: ArgumentHelp("For name lookup, TCP and TLS together.", valueName: "SECONDS"))
    var connectTimeout: Seconds?

    @Flag(name: .customLong("http2-prior-knowledge"), help: "Allow http:// URLs: HTTP/2 in cleartext.")
    var priorKnowledge = false

    @Option(
        name: .customLong("connect-to"),
        help: ArgumentHelp("Connect to the second instead of the first.", valueName: "HOST:PORT:HOST:PORT"))
    var connectTo: [String] = []

    @Option(
        name: .customLong("resolve"),
        help: ArgumentHelp("Use this address for the host and port.", valueName: "HOST:PORT:ADDRESS"))
    var resolve: [String] = []
}

struct MessageArguments: ParsableArguments {
    @Flag(name: [.customShort("s"), .customLong("silent")], help: "No progress and no errors.")
    var silent = false

    @Flag(name: [.customShort("S"), .customLong("show-error")], help: "With -s: errors all the same.")
    var showError = false

    @Flag(
        name: [.customShort("v"), .customLong("verbose")],
        help: "Connection and header fields; -vv: each frame too, with the windows.")
    var verbosity: Int

    @Flag(name: .customLong("summary"), help: "The closing numbers on stderr, terminal or not.")
    var summary = false
}

/// One `-d` or `--data-binary`, with its place among both: they are joined in the order in which they stand.
struct OrderedData: Sendable, Equatable {
    let text: String
    let isBinary: Bool
    let place: Int

    private static let places = Atomic<Int>(0)

    init(text: String, isBinary: Bool) {
        self.text = text
        self.isBinary = isBinary
        place = OrderedData.places.add(1, ordering: .relaxed).newValue
    }
}

/// A time limit in seconds, decimals allowed; 0 means none, as for curl.
struct Seconds: ExpressibleByArgument, Sendable, Equatable {
    /// nil: no limit.
    let duration: Duration?

    init?(argument: String) {
        // A year is as good as no limit, and keeps sums of durations far from overflow.
        guard let value = Double(argument), value.isFinite, value >= 0, argument.utf8.first != UInt8(ascii: "+") else {
            return nil
        }
        duration = value == 0 ? nil : .milliseconds(Int64(min(max(value * 1000, 1), 31_536_000_000)))
    }

    static var allValueStrings: [String] { [] }
}
