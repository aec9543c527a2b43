internal import ArgumentParser
import H2ClientTesting

/// `h2get serve [DIR]`: runs a local origin for testing, with faults on demand.
struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "h2get serve",
        abstract: "Serves a folder and some routes over HTTP/2 and HTTP/1.1, for trying and testing.",
        usage: "h2get serve [options] [DIR]",
        discussion: """
            EXAMPLES:
              h2get serve --ca-file ca.pem public/
              h2get --cacert ca.pem https://localhost:8443/bytes/1000000 -o /dev/null
              h2get serve --workers 4 --worker-queue 8 --service-time 5ms --retry-after 1

            Runs until Ctrl-C. Without --cert it makes a certificate for localhost, 127.0.0.1 and ::1 that is valid for
            seven days; its authority is in --ca-file, and nothing else should ever trust it.
            """)

    @Option(help: ArgumentHelp("0 for any free one.", valueName: "PORT"))
    var port = 8443

    @Option(
        help: ArgumentHelp(
            "Where to listen. With 0.0.0.0 other machines can reach it, and there is no access control.",
            valueName: "ADDRESS"))
    var address = "127.0.0.1"

    @Flag(help: "Without TLS: HTTP/2 by prior knowledge, else HTTP/1.1.")
    var cleartext = false

    @Flag(name: .customLong("http1.1"), help: "Offer HTTP/1.1 alone.")
    var http1 = false

    @Flag(help: "Offer HTTP/2 alone.")
    var http2 = false

    @Option(help: ArgumentHelp("Write the authority to trust there (PEM).", valueName: "FILE"))
    var caFile: String?

    @Option(help: ArgumentHelp("Write the port there once it listens; removed at the end.", valueName: "FILE"))
    var portFile: String?

    @Flag(help: "Let --ca-file and --port-file replace files that exist.")
    var force = false

    @Flag(help: "Serve files and folders whose names begin with a dot, too.")
    var dotFiles = false

    @Option(help: ArgumentHelp("A certificate chain of your own (PEM).", valueName: "FILE"))
    var cert: String?

    @Option(help: ArgumentHelp("Its key (PEM).", valueName: "FILE"))
    var key: String?

    @Option(help: ArgumentHelp("Wait this long before every response.", valueName: "MS"))
    var latency = 0

    @Option(
        help: ArgumentHelp(
            "Say GOAWAY after N requests of a connection; HTTP/1.1: Connection: close with the Nth.", valueName: "N"))
    var goawayAfter: Int?

    @Option(help: ArgumentHelp("Close a connection after N responses, without announcing it.", valueName: "N"))
    var closeAfter: Int?

    @Option(
        help: ArgumentHelp(
            "Close connections idle this long, such as 5s. Default 5m.", valueName: "TIME"))
    var idleTimeout: ServeDuration?

    @Option(
        help: ArgumentHelp("Close a connection whose request head takes longer. Default 30s.", valueName: "TIME"))
    var headTimeout: ServeDuration?

    @Option(
        help: ArgumentHelp(
            "End a request whose body makes no progress for this long. Default 60s.", valueName: "TIME"))
    var bodyTimeout: ServeDuration?

    @Option(help: ArgumentHelp("Take N connections at once; more are closed. Default 10000.", valueName: "N"))
    var maxConnections: Int?

    @Option(help: ArgumentHelp("Reset every Nth stream with REFUSED_STREAM; HTTP/1.1: 503.", valueName: "N"))
    var refuseEvery: Int?

    @Option(help: ArgumentHelp("Allow N streams at once.", valueName: "N"))
    var maxStreams: Int?

    @Option(
        help: ArgumentHelp("Reset each response after N bytes of its body; HTTP/1.1: close.", valueName: "N"))
    var resetAfterBytes: Int?

    @Option(help: ArgumentHelp("Work on N requests at once, over all connections.", valueName: "N"))
    var workers: Int?

    @Option(help: ArgumentHelp("Let N more requests wait for a worker. Default 0; others get 503.", valueName: "N"))
    var workerQueue: Int?

    @Option(help: ArgumentHelp("How long a request keeps its worker busy, such as 5ms.", valueName: "TIME"))
    var serviceTime: ServeDuration?

    @Option(help: ArgumentHelp("Say Retry-After with those 503.", valueName: "SECONDS"))
    var retryAfter: Int?

    @Flag(help: "REFUSED_STREAM instead of 503, where it is HTTP/2.")
    var refusedStream = false

    @Argument(help: ArgumentHelp("The folder to serve; none: the routes alone.", valueName: "DIR"))
    var directory: String?

    /// The default of `OriginServer`.
    static let defaultConnections = OriginServer.Limits().connections

    mutating func validate() throws {
        guard (0...65535).contains(port) else { throw ValidationError("--port \(port) is out of range: 0 to 65535") }
        guard (cert == nil) == (key == nil) else { throw ValidationError("--cert and --key go together") }
        guard !cleartext || (cert == nil && caFile == nil) else {
            throw ValidationError("--cleartext has no certificate: leave out --cert, --key and --ca-file")
        }
        guard cert == nil || caFile == nil else {
            throw ValidationError("--ca-file is for the certificate made here; with --cert you have your own authority")
        }
        guard !force || caFile != nil || portFile != nil else {
            throw ValidationError("--force is for --ca-file and --port-file")
        }
        guard !dotFiles || directory != nil else { throw ValidationError("--dot-files needs a folder to serve") }
        guard (0...86_400_000).contains(latency) else { throw ValidationError("--latency: 0 ms to a day") }
        for (name, count) in [
            ("--goaway-after", goawayAfter), ("--refuse-every", refuseEvery), ("--reset-after-bytes", resetAfterBytes),
            ("--close-after", closeAfter), ("--workers", workers),
        ] {
            if let count, count < 1 { throw ValidationError("\(name) must be at least 1") }
        }
        if let maxConnections, !(1...1_000_000).contains(maxConnections) {
            throw ValidationError("--max-connections: 1 to 1000000")
        }
        if let maxStreams, !(0...Int(Int32.max)).contains(maxStreams) {
            throw ValidationError("--max-streams: 0 to \(Int32.max)")
        }
        guard !(http1 && http2) else {
            throw ValidationError("--http1.1 and --http2 cannot be combined; without them both are offered")
        }
        if http1, maxStreams != nil {
            throw ValidationError("--max-streams is of HTTP/2, and --http1.1 leaves that out")
        }
        try validateWorkers()
    }

    private func validateWorkers() throws {
        if workers == nil {
            for (name, isGiven) in [
                ("--worker-queue", workerQueue != nil), ("--service-time", serviceTime != nil),
                ("--retry-after", retryAfter != nil), ("--refused-stream", refusedStream),
            ] where isGiven { throw ValidationError("\(name) needs --workers N") }
        }
        if let workerQueue, workerQueue < 0 { throw ValidationError("--worker-queue: 0 or more") }
        if let retryAfter, !(0...86_400).contains(retryAfter) { throw ValidationError("--retry-after: 0 s to a day") }
        guard retryAfter == nil || !refusedStream else {
            throw ValidationError("--retry-after is a field of the 503 that --refused-stream replaces")
        }
        guard !refusedStream || !http1 else { throw ValidationError("--refused-stream needs HTTP/2") }
        for (name, time) in [
            ("--idle-timeout", idleTimeout), ("--head-timeout", headTimeout), ("--body-timeout", bodyTimeout),
        ] {
            if let time, time.duration == .zero { throw ValidationError("\(name) must be above 0") }
        }
    }
}
