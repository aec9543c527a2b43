import H2Measure

extension OptionTable {
    /// The options of `bench`, `bench merge`, `compare` and `sweep`.
    static let measureOptions: [Option] =
        loadOptions + compareOptions + sweepOptions + measuredRequestOptions + measuredConnectionOptions + windowOptions
        + resultOptions

    private static let loadOptions: [Option] = [
        Option(
            .requests, "n", "requests", "N", of: .bench, in: .load,
            "Send N requests in all. Default: one for each connection, and each URL once.", common: true),
        Option(
            .duration, "D", "duration", "TIME", of: .bench, in: .load,
            "Send as many requests as fit into this time, instead of -n.", common: true),
        Option(
            .clients, "c", "clients", "N", of: .bench, in: .load, "Open N connections. Default: 1.", common: true),
        Option(
            .streams, "m", "max-concurrent-streams", "N", of: .bench, in: .load,
            "Send up to N requests at once on each connection. Default: 1; with --request-rate, --rps or --stages 100.",
            common: true),
        Option(
            .threads, "t", "threads", "N", of: .bench, in: .load,
            "Use N threads, each an event loop with its share of the connections. Default: 1.", common: true),
        Option(
            .warmUpTime, nil, "warm-up-time", "TIME", of: .bench, in: .load, "Run this long before anything counts.",
            common: true),
        Option(
            .requestRate, nil, "request-rate", "N", of: .bench, in: .load,
            "Open loop: send N requests a second over all connections, answered or not; latency counts from "
                + "when each was due. A..B with --ramp.", common: true),
        Option(
            .ramp, nil, "ramp", "TIME", of: .bench, in: .load,
            "Go from rate A, or 0, to rate B in this time. Default for A..B: the time of -D."),
        Option(
            .rps, nil, "rps", "N", of: .bench, in: .load,
            "Open loop: send N requests a second on each connection."),
        Option(
            .stages, nil, "stages", "LIST", of: .bench, in: .load,
            "Open loop in stages: RATE:TIME or A..B:TIME, with commas between, such as 0..1K:30s,1K:2m,5K:10s."),
        Option(
            .timingScriptFile, nil, "timing-script-file", "FILE", of: .bench, in: .load,
            "Open loop by a script, as h2load has it: milliseconds, a tab and a URL on each line, which each connection "
                + "sends in order; -n says how many of them (default: all). - is stdin."),
        Option(
            .arrivals, nil, "arrivals", "even|poisson", of: .bench, in: .load,
            "Let the requests of an open loop arrive evenly, or at random as from many users (poisson). Default: even."),
        Option(
            .seed, nil, "seed", "N", of: .bench, in: .load,
            "Repeat the random arrivals, or the users of --scenario, of a run. Default: others each time."),
        Option(
            .thinkTime, nil, "think-time", "TIME", of: .bench, in: .load,
            "Closed loop: let each stream rest between a response and its next request."),
        Option(
            .scenario, nil, "scenario", "FILE", of: .bench, in: .load,
            "Let each stream be a user of this scenario, a YAML file with requests, values, checks and waits; the URL says "
                + "where the server is."),
        Option(
            .firstUser, nil, "first-user", "N", of: .bench, in: .load,
            "Count the users of --scenario from N, so that machines have users of their own. Default: 0."),
        Option(
            .startAt, nil, "start-at", "SECONDS", of: .bench, in: .load,
            "Begin the measured part then, so that several machines measure one period: seconds since 1970, as of date "
                + "+%s."),
        Option(
            .alignClock, nil, "align-clock", of: .bench, in: .load,
            "Ask the server for the time first, for up to 4 s, and write the --hdr log by its clock, so that logs of several "
                + "machines agree."),
        Option(
            .drain, nil, "drain", "TIME", of: .bench, in: .load,
            "Wait this long for requests in flight when -D is over. Default: 1s."),
        Option(
            .locustMaster, nil, "locust-master", "HOST[:PORT]", of: .bench, in: .load,
            "Be a worker of this Locust master, which says how many users there are, until it quits. Default port: 5557."
        ),
        Option(
            .userKind, nil, "user", "KIND", of: .bench, in: .load,
            "Let a Locust user be a stream (one request at a time), a connection (a stream with one of its own), or rate=N "
                + "(a stream with N requests a second). Default: stream."),
        Option(
            .usersPerConnection, nil, "users-per-connection", "N", of: .bench, in: .load,
            "Let up to N Locust users share a connection. Default: 100; HTTP/1.1: 1."),
    ]

    private static let compareOptions: [Option] = [
        Option(
            .requests, "n", "requests", "N", of: .compare, in: .load,
            "Send N requests by each way in a round. Default: 100.", common: true),
        Option(
            .clients, "c", "clients", "N", of: .compare, in: .load,
            "Open N connections where a way has several. Default: 6.", common: true),
        Option(
            .streams, "m", "max-concurrent-streams", "N", of: .compare, in: .load,
            "Send up to N requests at once over HTTP/2. Default: 100.", common: true),
        Option(
            .rounds, nil, "rounds", "N", of: .compare, in: .load, "Measure each way N times. Default: 5.", common: true),
        Option(
            .seed, nil, "seed", "N", of: .compare, in: .load, "Repeat the random order and losses of a run."),
        Option(
            .roundTrip, nil, "rtt", "TIME,...", of: .compare, in: .distance,
            "Simulate this round trip to the server; several make a table each. Default: 0.", common: true),
        Option(
            .loss, nil, "loss", "PERCENT", of: .compare, in: .distance,
            "Simulate the loss of this share of segments.", common: true),
    ]

    private static let sweepOptions: [Option] = [
        Option(
            .sweepStreams, nil, "streams", "LIST", of: .sweep, in: .load,
            "Measure with these numbers of requests at once on a connection. Default: 1..1024; HTTP/1.1: 1.",
            common: true),
        Option(
            .sweepConnections, nil, "connections", "LIST", of: .sweep, in: .load,
            "Measure with these numbers of connections. Default: 1; HTTP/1.1: 1..256.", common: true),
        Option(
            .duration, "D", "duration", "TIME", of: .sweep, in: .load, "Measure each point this long. Default: 1s.",
            common: true),
        Option(
            .warmUpTime, nil, "warm-up-time", "TIME", of: .sweep, in: .load,
            "Run this long before each point counts. Default: 200ms."),
        Option(
            .slo, nil, "slo", "LIMIT", of: .sweep, in: .load,
            "Find the best setting that meets a latency such as p99=50ms; several must all hold.", repeats: true,
            common: true),
        Option(
            .threads, "t", "threads", "N", of: .sweep, in: .load,
            "Use N threads, at most one for each connection. Default: 1.", common: true),
    ]

    private static let measuredRequestOptions: [Option] = [
        Option(
            .data, "d", "data", "FILE", of: .bench, in: .request, "POST the content of FILE; - is stdin.", common: true),
        Option(
            .expectStatus, nil, "expect-status", "LIST", of: .bench, in: .request,
            "Count responses with any other status as failed: 200, 200,304 or 2xx."),
        Option(
            .expectSize, nil, "expect-size", "BYTES", of: .bench, in: .request,
            "Count responses with a body of any other size as failed."),
        Option(
            .expectSHA256, nil, "expect-sha256", "HEX", of: .bench, in: .request,
            "Count responses with a body of any other SHA-256 as failed."),
        Option(
            .inputFile, "i", "input-file", "FILE", of: .bench, in: .request,
            "Read URLs from FILE, one a line, # for comments; - is stdin.", common: true),
        Option(
            .baseURI, "B", "base-uri", "URL", of: .bench, in: .request,
            "Take scheme, host and port from here, whatever the URLs say; they may be paths then."),
    ]

    private static let measuredConnectionOptions: [Option] = [
        Option(
            .connectionRate, "r", "rate", "N", of: .bench, in: .connection,
            "Open N connections in each period. Default: all at once. For requests a second see --request-rate."),
        Option(
            .ratePeriod, nil, "rate-period", "TIME", of: .bench, in: .connection, "Set the period of -r. Default: 1s."),
        Option(
            .requestsPerConnection, nil, "requests-per-connection", "N", of: .bench, in: .connection,
            "Close a connection after N requests and open another."),
        Option(
            .connectionActiveTimeout, "T", "connection-active-timeout", "TIME", of: .bench, in: .connection,
            "Close a connection for good after this time."),
        Option(
            .connectionInactivityTimeout, "N", "connection-inactivity-timeout", "TIME", of: .bench, in: .connection,
            "Close a connection for good after this time without any byte."),
        Option(
            .h1, nil, "h1", of: [.bench, .sweep], in: .connection, "Use HTTP/1.1 only, over TLS or not.", common: true,
            curl: "http1.1"),
        Option(
            .noTLSProto, "p", "no-tls-proto", "PROTOCOL", of: [.bench, .sweep], in: .connection,
            "Use this protocol for http:// URLs: h2c or http/1.1. Default: h2c."),
        Option(
            .connectTo, nil, "connect-to", "HOST[:PORT]", of: .measuring, in: .connection,
            "Connect there; the name requested stays the URL's."),
        Option(
            .unixSocket, nil, "unix-socket", "PATH", of: .bench, in: .connection,
            "Connect to this Unix domain socket, whatever host the URLs name."),
        Option(
            .source, nil, "source", "ADDR[-ADDR],...", of: .bench, in: .connection,
            "Connect from these addresses in turn, such as 127.0.0.2-127.0.0.9: each has 28,000 ports.",
            curl: "interface"),
        Option(
            .keepTrying, nil, "keep-trying", of: .bench, in: .connection,
            "Never give up on a server that has been there: a soak test outlives a restart, and reports the downtime."),
        Option(
            .sni, nil, "sni", "NAME", of: .measuring, in: .tls,
            "Use this name for SNI and the certificate instead of the URL's."),
        Option(
            .ciphers, nil, "ciphers", "LIST", of: .bench, in: .tls,
            "Offer these TLS 1.2 cipher suites, by OpenSSL's names."),
        Option(
            .tls13Ciphers, nil, "tls13-ciphers", "LIST", of: .bench, in: .tls,
            "Offer these TLS 1.3 cipher suites, such as TLS_AES_128_GCM_SHA256."),
        Option(
            .groups, nil, "groups", "LIST", of: .bench, in: .tls,
            "Offer these groups for the key exchange, such as X25519:P-256.", curl: "curves"),
    ]

    private static let windowOptions: [Option] = [
        Option(
            .windowBits, "w", "window-bits", "N", of: .bench, in: .connection,
            "Use a stream window of 2^N - 1 bytes, 16 to 30. Default: 30."),
        Option(
            .connectionWindowBits, "W", "connection-window-bits", "N", of: .bench, in: .connection,
            "Use a connection window of 2^N - 1 bytes, 16 to 30. Default: 30."),
        Option(
            .maxFrameSize, "f", "max-frame-size", "SIZE", of: .bench, in: .connection,
            "Let the server send frames of up to SIZE bytes. Default: 16K."),
        Option(
            .api, nil, "api", "direct|async", of: .bench, in: .connection,
            "Measure the direct API, which costs least, or async/await. Default: direct."),
    ]

    private static let resultOptions: [Option] = [
        Option(
            .json, nil, "json", "FILE", of: .measuring, in: .results,
            "Write all figures as JSON; - is stdout, instead of the summary.", common: true),
        Option(.csv, nil, "csv", "FILE", of: .bench, in: .results, "Write a line for each request."),
        Option(
            .hdr, nil, "hdr", "FILE", of: .bench, in: .results,
            "Write an HdrHistogram log, second by second; - is stdout."),
        Option(
            .breakdown, nil, "breakdown", of: .bench, in: .results,
            "Show latency by status and by URL (of the first 100), too."),
        Option(
            .html, nil, "html", "FILE", of: .measuring, in: .results,
            "Write a page with pictures, all in one file; - is stdout.", common: true),
        Option(
            .markdown, nil, "markdown", "FILE", of: .compare, in: .results,
            "Write the tables as Markdown; - is stdout."),
        Option(.svg, nil, "svg", "FILE", of: .compare, in: .results, "Write the picture alone; - is stdout."),
        Option(
            .failIf, nil, "fail-if", "CONDITION", of: .bench, in: .results,
            "Exit with 99 if this holds, such as 'p99>50ms', 'errors>0.1%' or 'rate<1K'. Figures: "
                + "\(FailCondition.metrics) (latencies are corrected, % is of the requests sent).", repeats: true,
            common: true),
        Option(
            .metricsListen, nil, "metrics-listen", "[ADDR:]PORT", of: .bench, in: .results,
            "Serve live figures for Prometheus at /metrics on this port of 127.0.0.1, or of ADDR, such as 0.0.0.0."),
        Option(
            .metricsPrefix, nil, "metrics-prefix", "TEXT", of: .bench, in: .results,
            "Begin the names of these figures with TEXT, such as k6_ for dashboards of k6. Default: h2get_."),
        Option(
            .output, "o", "output", "FILE", of: .merge, in: .results,
            "Write one log with all of it; - is stdout, instead of the percentiles.", common: true),
        Option(
            .clockOffset, nil, "clock-offset", "SECONDS,...", of: .merge, in: .results,
            "Allow for clocks that were so far ahead, one for each log in order, such as 0,1.5,-0.2."),
        Option(
            .hgrm, nil, "hgrm", "FILE", of: .merge, in: .results,
            "Write the latency's distribution as HdrHistogram's plotters read it; - is stdout.", common: true),
        Option(
            .silent, "s", "silent", of: .measuring, in: .messages,
            "Show neither progress nor summary, only errors: the files and the exit code tell.", common: true),
        Option(
            .verbose, "v", "verbose", of: .measuring, in: .messages,
            "Show what will be measured, and once a second how it goes, even if stderr is not a terminal.",
            common: true),
    ]
}
