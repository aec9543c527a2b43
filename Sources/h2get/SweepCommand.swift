internal import ArgumentParser

/// `h2get sweep [options] URL`: how many streams and connections a server takes.
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
            Exit codes are those of 'h2get bench'.
            """)

    static let lettersWithValue = Set("DtpH".utf8)

    @OptionGroup(title: "Load") var load: SweepLoadArguments
    @OptionGroup(title: "Load") var field: MeasuredFieldArguments
    @OptionGroup(title: "Connections") var versions: MeasuredProtocolArguments
    @OptionGroup(title: "Connections") var connection: MeasuredConnectionArguments
    @OptionGroup(title: "Results") var output: SweepOutputArguments
    @OptionGroup(title: "Results") var messages: MeasureMessageArguments

    @Argument(
        help: ArgumentHelp("What to ask for; several, [1-100] and {a,b} in turn, as for bench.", valueName: "URL"))
    var urls: [String] = []
}

struct SweepLoadArguments: ParsableArguments {
    @Option(
        name: .customLong("streams"),
        help: ArgumentHelp("Requests at once on a connection (1..1024; HTTP/1.1: 1).", valueName: "LIST"))
    var streams: String?

    @Option(
        name: .customLong("connections"), help: ArgumentHelp("Connections (1; HTTP/1.1: 1..256).", valueName: "LIST"))
    var connections: String?

    @Option(
        name: [.customShort("D", allowingJoined: true), .customLong("duration")],
        help: ArgumentHelp("Time of each point (1s).", valueName: "TIME"), transform: Quantity.positiveTime)
    var duration: Duration = .seconds(1)

    @Option(
        name: .customLong("warm-up-time"),
        help: ArgumentHelp("Run that long before each point counts (100ms).", valueName: "TIME"),
        transform: Quantity.time)
    var warmUp: Duration = .milliseconds(100)

    @Option(
        name: .customLong("slo"),
        help: ArgumentHelp("A latency to keep to, such as p99=50ms; several must all hold.", valueName: "LIMIT"))
    var limits: [String] = []

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
