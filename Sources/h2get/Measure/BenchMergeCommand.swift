internal import ArgumentParser

/// `h2get bench merge FILE...`: merges HdrHistogram logs.
struct BenchMergeCommand: URLCommand {
    static let configuration = CommandConfiguration(
        commandName: "h2get bench merge",
        abstract: "Adds up the HdrHistogram logs of several measurements, and shows the percentiles of all together.",
        usage: "h2get bench merge [options] FILE...",
        discussion: """
            EXAMPLES:
              h2get bench merge a.hlog b.hlog
              h2get bench merge -o all.hlog a.hlog b.hlog
              h2get bench merge --hgrm latency.hgrm a.hlog b.hlog

            The logs are those of 'h2get bench --hdr', taken on one machine or on many at once. Counts are added, so that
            percentiles are exactly those of all requests.
            """)

    static let lettersWithValue = Set("o".utf8)

    @Option(
        name: [.customShort("o", allowingJoined: true), .customLong("output")], parsing: .unconditional,
        help: ArgumentHelp("Write one log with all of it; - is stdout, instead of the percentiles.", valueName: "FILE"))
    var output: String?

    @Option(
        name: .customLong("hgrm"), parsing: .unconditional,
        help: ArgumentHelp(
            "Write the latency's distribution as HdrHistogram's plotters read it; - is stdout.", valueName: "FILE"))
    var distribution: String?

    @Argument(help: ArgumentHelp("HdrHistogram logs.", valueName: "FILE"))
    var urls: [String] = []
}
