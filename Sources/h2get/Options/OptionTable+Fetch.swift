extension OptionTable {
    /// The options of fetching.
    static let fetchOptions: [Option] =
        requestOptions + outputOptions + connectionOptions + timeOptions + messageOptions

    private static let requestOptions: [Option] = [
        Option(
            .request, "X", "request", "METHOD", of: [.fetch, .bench], in: .request,
            "Use this method. Default: GET, or POST with -d; fetching uses PUT with -T.", common: true),
        Option(
            .header, "H", "header", "FIELD", of: [.fetch, .bench, .compare, .sweep], in: .request,
            "Send 'Name: value'. 'Name:' leaves a default out, 'Name;' sends it empty, @FILE reads lines.",
            repeats: true, common: true),
        Option(
            .userAgent, "A", "user-agent", "NAME", of: .fetch, in: .request,
            "Send this user-agent field. Default: h2get/\(version)."),
        Option(
            .data, "d", "data", "DATA", of: .fetch, in: .request,
            "POST this. Several are joined by &; @FILE is read without its line ends.", repeats: true, common: true),
        Option(
            .dataBinary, nil, "data-binary", "DATA", of: .fetch, in: .request,
            "POST this, and @FILE as it is. Stdin and pipes are read into memory first, without a time limit.",
            repeats: true),
        Option(
            .uploadFile, "T", "upload-file", "FILE", of: .fetch, in: .request,
            "PUT this file; - is stdin. Give one for all URLs, or one for each.", repeats: true, common: true),
        Option(
            .head, "I", "head", of: [.fetch, .bench], in: .request,
            "Send HEAD, which asks for header fields without a body.",
            common: true),
        Option(
            .trailer, nil, "trailer", "FIELD", of: .fetch, in: .request, "Send 'Name: value' after the body.",
            repeats: true),
        Option(.pathAsIs, nil, "path-as-is", of: .fetch, in: .request, "Keep the dot segments of URLs (/a/../b)."),
        Option(
            .priority, nil, "priority", "PRIORITY", of: .fetch, in: .request,
            "Send this priority (RFC 9218), such as u=1,i."),
        Option(
            .expectContinue, nil, "expect-continue", of: .fetch, in: .request,
            "Hold the body back until the server asks for it, for at most 1 s."),
        Option(
            .retry, nil, "retry", "N", of: .fetch, in: .request,
            "Retry up to N times after 408, 429, 500, 502, 503, 504 (if idempotent; Retry-After is obeyed), and requests "
                + "that the server did not process. 0: send nothing twice. Default: 3, for unprocessed requests only.",
            common: true),
        Option(
            .retryDelay, nil, "retry-delay", "SECONDS", of: .fetch, in: .request,
            "Wait this long before each retry. Default: 1 s, then doubling."),
        Option(
            .retryMaxTime, nil, "retry-max-time", "SECONDS", of: .fetch, in: .request,
            "Stop retrying this long after the transfer started."),
        Option(
            .retryConnrefused, nil, "retry-connrefused", of: .fetch, in: .request,
            "Retry after a refused connection. --retry N does so anyway: the option is accepted for curl's sake."),
        Option(
            .retryAllErrors, nil, "retry-all-errors", of: .fetch, in: .request,
            "With --retry N: retry after every failure of a connection or a response, and with -f after every status of 400 "
                + "or more, whatever the method. The server may then act twice."),
    ]

    private static let outputOptions: [Option] = [
        Option(
            .output, "o", "output", "FILE", of: .fetch, in: .output,
            "Write the body to FILE; - is stdout. Give one for each URL, in order. A single -o /dev/null discards every "
                + "body.", repeats: true, common: true),
        Option(
            .remoteName, "O", "remote-name", of: .fetch, in: .output,
            "Name files as the last part of their URLs, for all URLs.", common: true, curl: "remote-name-all"),
        Option(
            .outputDir, nil, "output-dir", "DIR", of: .fetch, in: .output, "Put the files into this folder.",
            common: true),
        Option(.createDirs, nil, "create-dirs", of: .fetch, in: .output, "Create missing folders."),
        Option(
            .include, "i", "include", of: .fetch, in: .output,
            "Write the response's header fields before its body.", common: true, curl: "show-headers"),
        Option(
            .fail, "f", "fail", of: .fetch, in: .output, "Fail with 22 if the status is 400 or more.", common: true),
        Option(
            .inputFile, nil, "input-file", "FILE", of: .fetch, in: .output,
            "Read URLs from FILE, one a line, # for comments; - is stdin. It is read as it goes.", common: true),
        Option(
            .parallelMax, nil, "parallel-max", "N", of: .fetch, in: .output,
            "Run at most N transfers at once, over all origins. Default: 100.", common: true),
    ]

    private static let connectionOptions: [Option] = [
        Option(
            .http10, "0", "http1.0", of: .fetch, in: .connection,
            "Use HTTP/1.0 only, for servers that understand nothing newer. Bodies need a known length."),
        Option(
            .http11, nil, "http1.1", of: .fetch, in: .connection, "Use HTTP/1.1 only.", common: true),
        Option(
            .http2, nil, "http2", of: .fetch, in: .connection,
            "Over TLS offer HTTP/2, and HTTP/1.1 for servers without it; http:// is HTTP/1.1. This is the default."),
        Option(
            .http2PriorKnowledge, nil, "http2-prior-knowledge", of: .fetch, in: .connection,
            "Use HTTP/2 only, for http:// URLs too.", common: true),
        Option(
            .connectionsPerOrigin, nil, "connections-per-origin", "N", of: .fetch, in: .connection,
            "Open up to N HTTP/1.1 connections to one origin, and, if given, HTTP/2 connections too. Default: 8, and 1 "
                + "for HTTP/2.", curl: "parallel-max-host"),
        Option(
            .maxRequestsPerConnection, nil, "max-requests-per-connection", "N", of: .fetch, in: .connection,
            "Open a new connection after N requests."),
        Option(
            .rate, nil, "rate", "N/UNIT", of: .fetch, in: .connection,
            "Send at most this many requests to an origin: 5/s, 90/m, 1000/h, 1/10s.", common: true),
        Option(
            .polite, nil, "polite", of: .fetch, in: .connection,
            "Find out how many requests at once each origin takes; obey Retry-After and RateLimit fields.",
            common: true),
        Option(
            .informationalMax, nil, "informational-max", "N", of: .fetch, in: .connection,
            "Accept this many informational responses (1xx) to a request at once. Default: 100."),
        Option(
            .informationalPerSecond, nil, "informational-per-second", "N", of: .fetch, in: .connection,
            "Accept this many more informational responses each second. Default: 1."),
        Option(
            .connectTo, nil, "connect-to", "HOST:PORT:HOST:PORT", of: .fetch, in: .connection,
            "Connect to the second host and port instead of the first.", repeats: true),
        Option(
            .resolve, nil, "resolve", "HOST:PORT:ADDRESS[,ADDRESS]", of: .fetch, in: .connection,
            "Use these addresses for the host and port.", repeats: true),
        Option(
            .insecure, "k", "insecure", of: [.fetch, .bench, .compare, .sweep], in: .tls,
            "Do not verify the server's certificate.", common: true),
        Option(
            .cacert, nil, "cacert", "FILE", of: [.fetch, .bench, .compare, .sweep], in: .tls,
            "Trust only the authorities in FILE (PEM).", common: true, environment: "CURL_CA_BUNDLE"),
        Option(
            .caNative, nil, "ca-native", of: .fetch, in: .tls,
            "Trust the system's authorities. This is the default: the option is accepted for curl's sake."),
        Option(
            .capath, nil, "capath", "DIR", of: .fetch, in: .tls,
            "Trust the authorities in a folder made by openssl rehash.", environment: "SSL_CERT_DIR"),
        Option(
            .cert, "E", "cert", "FILE", of: [.fetch, .bench, .compare, .sweep], in: .tls,
            "Present this certificate if the server asks for one (PEM)."),
        Option(
            .key, nil, "key", "FILE", of: [.fetch, .bench, .compare, .sweep], in: .tls,
            "Read the certificate's key from FILE. Default: the file of --cert."),
    ]

    private static let timeOptions: [Option] = [
        Option(
            .maxTime, "m", "max-time", "SECONDS", of: .fetch, in: .time,
            "Limit each transfer, from its start to its end, retries included. Reading -d @- beforehand does not count.",
            common: true),
        Option(
            .maxTotalTime, nil, "max-total-time", "SECONDS", of: .fetch, in: .time,
            "Limit the whole run. Then running transfers end as with -m, and no further ones begin."),
        Option(
            .connectTimeout, nil, "connect-timeout", "SECONDS", of: .fetch, in: .time,
            "Limit name lookup, TCP and TLS together.", common: true),
        Option(
            .queueTimeout, nil, "queue-timeout", "SECONDS", of: .fetch, in: .time,
            "Limit the wait for a free connection or stream, connecting included."),
        Option(
            .firstByteTimeout, nil, "first-byte-timeout", "SECONDS", of: .fetch, in: .time,
            "Limit the time from sending a request to the response's head."),
        Option(
            .stallTimeout, nil, "stall-timeout", "SECONDS", of: .fetch, in: .time,
            "Limit the time between two pieces of a body, sent or received. Waiting for input of -T counts, too."),
        Option(
            .keepaliveTime, nil, "keepalive-time", "SECONDS", of: .fetch, in: .time,
            "Check a server that has been silent this long, with PING and TCP keepalive. Default: 60."),
        Option(
            .limitRate, nil, "limit-rate", "SPEED", of: .fetch, in: .time,
            "Transfer at most this many bytes a second, for each transfer and direction. K, M and G are powers of 1,024; 0 is "
                + "no limit."),
        Option(
            .speedLimit, "Y", "speed-limit", "SPEED", of: .fetch, in: .time,
            "Fail with 28 if a transfer is slower than this, in bytes a second, for the time of -y. 0 is no limit. Default: 1 "
                + "with -y."),
        Option(
            .speedTime, "y", "speed-time", "SECONDS", of: .fetch, in: .time,
            "Allow a transfer to be slower than -Y for this long. Default: 30 with -Y."),
    ]

    private static let messageOptions: [Option] = [
        Option(
            .silent, "s", "silent", of: .fetch, in: .messages, "Show neither progress nor errors.", common: true),
        Option(.showError, "S", "show-error", of: .fetch, in: .messages, "Show errors even with -s.", common: true),
        Option(
            .verbose, "v", "verbose", of: .fetch, in: .messages,
            "Show connections and why they are used, and header fields; -vv: each HTTP/2 frame too, with the windows.",
            repeats: true, common: true),
        Option(
            .progressMeter, nil, "progress-meter", of: .fetch, in: .messages,
            "Show progress on a terminal even with -v; --no-progress-meter turns it off. Nothing is shown elsewhere. "
                + "Default: show it unless bodies go to the terminal."),
        Option(
            .progressBar, "#", "progress-bar", of: .fetch, in: .messages,
            "Show one bar for all transfers instead of a line for each."),
        Option(
            .color, nil, "color", "auto|always|never", of: .fetch, in: .messages,
            "Color header fields, errors and progress. auto: on a terminal, unless NO_COLOR is set. Default: auto."),
        Option(
            .summary, nil, "summary", of: .fetch, in: .messages,
            "Show the closing figures on stderr even if that is not a terminal, and why the slowest transfers took so "
                + "long."),
    ]
}
