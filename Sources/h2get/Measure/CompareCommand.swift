internal import ArgumentParser
import H2Measure

/// `h2get compare [options] URL...`: what connection reuse gains.
struct CompareCommand: URLCommand {
    static let configuration = CommandConfiguration(
        commandName: "h2get compare",
        abstract:
            "Sends the same requests over new connections, kept ones, a pool and HTTP/2, and tells what each costs.",
        usage: "h2get compare [options] URL...",
        discussion: """
            EXAMPLES:
              h2get compare https://localhost:8443/bytes/1000
              h2get compare -n 200 --rtt 0,10ms,50ms --html reuse.html 'https://localhost:8443/bytes/[1-20]'
              h2get compare --rtt 50ms --loss 1% --rounds 9 --json - https://localhost:8443/

            Rounds run in a random order (--seed repeats one); the table has medians. --rtt and --loss put a proxy of this
            process in between, so that the server seems to be that far away. A way that cannot be tried says why.
            Give an http:// URL besides the https:// one to compare without TLS as well. TIME needs its unit
            (s, ms, us), PERCENT its %.
            Exit codes are those of 'h2get bench'; 92 where no way could be measured.
            """)

    static let lettersWithValue = Set("EncmH".utf8)

    @OptionGroup(title: "Work") var work: CompareWorkArguments
    @OptionGroup(title: "Work") var field: MeasuredFieldArguments
    @OptionGroup(title: "Distance") var distance: CompareDistanceArguments
    @OptionGroup(title: "Connections") var connection: MeasuredConnectionArguments
    @OptionGroup(title: "Connections") var tls: TLSArguments
    @OptionGroup(title: "Results") var output: CompareOutputArguments
    @OptionGroup(title: "Results") var messages: MeasureMessageArguments

    @Argument(help: ArgumentHelp("What to ask for, in turn; [1-100] and {a,b} as for bench.", valueName: "URL"))
    var urls: [String] = []
}

struct CompareWorkArguments: ParsableArguments {
    @Option(
        name: [.customShort("n", allowingJoined: true), .customLong("requests")],
        help: ArgumentHelp("Requests of each way in a round (100).", valueName: "N"),
        transform: Quantity.count(in: 1...1_000_000))
    var requests = 100

    @Option(
        name: [.customShort("c", allowingJoined: true), .customLong("clients")],
        help: ArgumentHelp("Connections of those ways that have several (6).", valueName: "N"),
        transform: Quantity.count(in: 2...10_000))
    var connections = 6

    @Option(
        name: [.customShort("m", allowingJoined: true), .customLong("max-concurrent-streams")],
        help: ArgumentHelp("Requests at once over HTTP/2 (100).", valueName: "N"),
        transform: Quantity.count(in: 1...100_000))
    var streams = 100

    @Option(
        name: .customLong("rounds"), help: ArgumentHelp("How often each way is measured (5).", valueName: "N"),
        transform: Quantity.count(in: 1...1_000))
    var rounds = 5

    @Option(
        name: .customLong("seed"),
        help: ArgumentHelp("Of the random order, and of the losses.", valueName: "N"))
    var seed: UInt64?
}

struct CompareDistanceArguments: ParsableArguments {
    @Option(
        name: .customLong("rtt"),
        help: ArgumentHelp("Round trip to the server; a table for each of several (0).", valueName: "TIME,..."),
        transform: roundTrips)
    var roundTrips: [UInt64]?

    @Option(
        name: .customLong("loss"), help: ArgumentHelp("Segments that get lost on the way.", valueName: "PERCENT"),
        transform: { try OptionValue.loss($0) })
    var loss: Double?

    /// Parses round-trip times into nanoseconds.
    @Sendable private static func roundTrips(_ text: String) throws -> [UInt64] {
        let times = try text.split(separator: ",", omittingEmptySubsequences: false).map {
            try OptionValue.roundTrip(String($0))
        }
        guard Set(times).count == times.count else { throw BadValue("one of them stands there twice") }
        return times
    }
}

struct CompareOutputArguments: ParsableArguments {
    @Option(
        name: .customLong("json"), parsing: .unconditional,
        help: ArgumentHelp("All figures; - is stdout, instead of the tables.", valueName: "FILE"))
    var json: String?

    @Option(
        name: .customLong("html"), parsing: .unconditional,
        help: ArgumentHelp("A page with pictures, all in one file; - is stdout.", valueName: "FILE"))
    var html: String?

    @Option(
        name: .customLong("markdown"), parsing: .unconditional,
        help: ArgumentHelp("The tables as Markdown; - is stdout.", valueName: "FILE"))
    var markdown: String?

    @Option(
        name: .customLong("svg"), parsing: .unconditional,
        help: ArgumentHelp("The picture alone; - is stdout.", valueName: "FILE"))
    var svg: String?
}
