internal import ArgumentParser
import H2Measure

/// `h2get sweep [options] URL`: finds how many streams and connections saturate a server.
struct SweepCommand: URLCommand {
    static let configuration = CommandConfiguration(
        commandName: "h2get sweep",
        abstract: "Measures throughput and latency over streams and connections, and finds where more gains nothing.",
        usage: "h2get sweep [options] URL",
        discussion: """
            EXAMPLES:
              h2get sweep https://localhost:8443/
              h2get sweep --streams 1..256 --connections 1,2,4 -D 2s --html sweep.html https://localhost:8443/
              h2get sweep --slo p99=50ms https://localhost:8443/     the best setting that keeps to it

            LIST is 1,2,4 or A..B, which doubles from A to B. It stops climbing when errors or refusals begin.
            Exit codes are those of 'h2get bench'; 92 where not one request was answered.
            """)

    static let lettersWithValue = Set("EDtpH".utf8)

    @OptionGroup(title: "Load") var load: SweepLoadArguments
    @OptionGroup(title: "Load") var field: MeasuredFieldArguments
    @OptionGroup(title: "Connections") var versions: MeasuredProtocolArguments
    @OptionGroup(title: "Connections") var connection: MeasuredConnectionArguments
    @OptionGroup(title: "Connections") var tls: TLSArguments
    @OptionGroup(title: "Results") var output: SweepOutputArguments
    @OptionGroup(title: "Results") var messages: MeasureMessageArguments

    @Argument(
        help: ArgumentHelp("What to ask for; several, [1-100] and {a,b} in turn, as for bench.", valueName: "URL"))
    var urls: [String] = []
}

struct SweepLoadArguments: ParsableArguments {
    @Option(
        name: .customLong("streams"),
        help: ArgumentHelp("Requests at once on a connection (1..1024; HTTP/1.1: 1).", valueName: "LIST"),
        transform: { try OptionValue.steps($0, upTo: 1_000_000) })
    var streams: [Int]?

    @Option(
        name: .customLong("connections"), help: ArgumentHelp("Connections (1; HTTP/1.1: 1..256).", valueName: "LIST"),
        transform: { try OptionValue.steps($0, upTo: 100_000) })
    var connections: [Int]?

    @Option(
        name: [.customShort("D", allowingJoined: true), .customLong("duration")],
        help: ArgumentHelp("Time of each point (1s).", valueName: "TIME"), transform: Quantity.positiveTime)
    var duration: Duration?

    @Option(
        name: .customLong("warm-up-time"),
        help: ArgumentHelp("Run that long before each point counts (200ms).", valueName: "TIME"),
        transform: Quantity.time)
    var warmUp: Duration?

    @Option(
        name: .customLong("slo"),
        help: ArgumentHelp("A latency to keep to, such as p99=50ms; several must all hold.", valueName: "LIMIT"),
        transform: { try OptionValue.latencyLimits($0) })
    var limits: [[LatencyLimit]] = []

    @Option(
        name: [.customShort("t", allowingJoined: true), .customLong("threads")],
        help: ArgumentHelp("Threads, at most one a connection (1).", valueName: "N"),
        transform: Quantity.count(in: 1...1_024))
    var threads = 1
}

struct SweepOutputArguments: ParsableArguments {
    @Option(
        name: .customLong("json"), parsing: .unconditional,
        help: ArgumentHelp("All figures; - is stdout, instead of the summary.", valueName: "FILE"))
    var json: String?

    @Option(
        name: .customLong("html"), parsing: .unconditional,
        help: ArgumentHelp("A page with pictures, all in one file; - is stdout.", valueName: "FILE"))
    var html: String?
}
