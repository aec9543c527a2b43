internal import ArgumentParser

/// Options that `bench`, `compare` and `sweep` share.

/// Header fields to send with each request.
struct MeasuredFieldArguments: ParsableArguments {
    @Option(
        name: [.customShort("H", allowingJoined: true), .customLong("header")], parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "'Name: value'; 'Name:' leaves a default out, 'Name;' sends it empty, @FILE reads lines.",
            valueName: "FIELD"))
    var fields: [String] = []
}

/// Where to connect, and whose certificate to expect.
struct MeasuredConnectionArguments: ParsableArguments {
    @Option(
        name: .customLong("connect-to"),
        help: ArgumentHelp("Connect there; the name asked for stays the URL's.", valueName: "HOST[:PORT]"))
    var connectTo: String?

    @Option(
        name: .customLong("sni"),
        help: ArgumentHelp("The name for SNI and the certificate, instead of the URL's.", valueName: "NAME"))
    var serverName: String?
}

/// Which HTTP version to use.
struct MeasuredProtocolArguments: ParsableArguments {
    @Flag(name: .customLong("h1"), help: "HTTP/1.1 alone, over TLS or not.")
    var http1 = false

    @Option(
        name: [.customShort("p", allowingJoined: true), .customLong("no-tls-proto")],
        help: ArgumentHelp("What http:// URLs speak: h2c (the default) or http/1.1.", valueName: "PROTOCOL"))
    var cleartext: CleartextProtocol?
}

enum CleartextProtocol: String, ExpressibleByArgument, Sendable {
    case h2c
    case http1 = "http/1.1"
}

/// Message options of all measuring commands.
struct MeasureMessageArguments: ParsableArguments {
    @Flag(
        name: [.customShort("s"), .customLong("silent")],
        help: "No progress and no summary: the files and the exit code tell. Errors are said.")
    var silent = false

    @Flag(
        name: [.customShort("v"), .customLong("verbose")],
        help: "Say what will be measured, and how it goes once a second, terminal or not.")
    var verbose = false
}
