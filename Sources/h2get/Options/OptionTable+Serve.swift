extension OptionTable {
    /// The options of `serve`.
    static let serveOptions: [Option] = [
        Option(
            .port, nil, "port", "PORT", of: .serve, in: .serving,
            "Listen on this port; 0 for any free one. Default: 8443.",
            common: true),
        Option(
            .address, nil, "address", "ADDRESS", of: .serve, in: .serving,
            "Listen at this address. With 0.0.0.0 other machines can reach it, and there is no access control. "
                + "Default: 127.0.0.1.", common: true),
        Option(
            .cleartext, nil, "cleartext", of: .serve, in: .serving,
            "Serve without TLS: HTTP/2 by prior knowledge, or HTTP/1.1.", common: true),
        Option(.http11, nil, "http1.1", of: .serve, in: .serving, "Offer HTTP/1.1 only.", common: true),
        Option(.http2, nil, "http2", of: .serve, in: .serving, "Offer HTTP/2 only.", common: true),
        Option(
            .caFile, nil, "ca-file", "FILE", of: .serve, in: .serving, "Write the authority to trust there (PEM).",
            common: true),
        Option(
            .portFile, nil, "port-file", "FILE", of: .serve, in: .serving,
            "Write the port there once it listens; the file is removed at the end.", common: true),
        Option(
            .force, nil, "force", of: .serve, in: .serving, "Let --ca-file and --port-file replace files that exist."),
        Option(
            .dotFiles, nil, "dot-files", of: .serve, in: .serving,
            "Serve files and folders whose names begin with a dot, too."),
        Option(
            .cert, nil, "cert", "FILE", of: .serve, in: .serving, "Use a certificate chain of your own (PEM).",
            common: true),
        Option(.key, nil, "key", "FILE", of: .serve, in: .serving, "Read its key from FILE (PEM).", common: true),
        Option(
            .latency, nil, "latency", "MS", of: .serve, in: .faults, "Wait this long before every response.",
            common: true),
        Option(
            .goawayAfter, nil, "goaway-after", "N", of: .serve, in: .faults,
            "Send GOAWAY after N requests of a connection; HTTP/1.1: Connection: close with the Nth."),
        Option(
            .closeAfter, nil, "close-after", "N", of: .serve, in: .faults,
            "Close a connection after N responses, without announcing it."),
        Option(
            .refuseEvery, nil, "refuse-every", "N", of: .serve, in: .faults,
            "Reset every Nth stream with REFUSED_STREAM; HTTP/1.1: 503."),
        Option(
            .resetAfterBytes, nil, "reset-after-bytes", "N", of: .serve, in: .faults,
            "Reset each response after N bytes of its body; HTTP/1.1: close."),
        Option(
            .idleTimeout, nil, "idle-timeout", "TIME", of: .serve, in: .limits,
            "Close connections that have been idle this long, such as 5s. Default: 5m."),
        Option(
            .headTimeout, nil, "head-timeout", "TIME", of: .serve, in: .limits,
            "Close a connection whose request head takes longer. Default: 30s."),
        Option(
            .bodyTimeout, nil, "body-timeout", "TIME", of: .serve, in: .limits,
            "End a request whose body makes no progress for this long. Default: 60s."),
        Option(
            .maxConnections, nil, "max-connections", "N", of: .serve, in: .limits,
            "Take N connections at once, and close more. Default: 10000."),
        Option(.maxStreams, nil, "max-streams", "N", of: .serve, in: .limits, "Allow N streams at once."),
        Option(
            .workers, nil, "workers", "N", of: .serve, in: .limits,
            "Work on N requests at once, over all connections.", common: true),
        Option(
            .workerQueue, nil, "worker-queue", "N", of: .serve, in: .limits,
            "Let N more requests wait for a worker; others get 503. Default: 0."),
        Option(
            .serviceTime, nil, "service-time", "TIME", of: .serve, in: .limits,
            "Keep a worker busy this long with each request, such as 5ms."),
        Option(
            .retryAfter, nil, "retry-after", "SECONDS", of: .serve, in: .limits, "Send Retry-After with those 503."),
        Option(
            .refusedStream, nil, "refused-stream", of: .serve, in: .limits,
            "Refuse with REFUSED_STREAM instead of 503 over HTTP/2."),
    ]
}
