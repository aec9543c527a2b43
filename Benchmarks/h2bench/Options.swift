import H2Platform
import H2Client

/// The place where callers run.
enum Place: Sendable {
    /// Isolated to the connection, so on its loop's thread.
    case isolated
    /// Tasks that prefer the connection's loop as their executor.
    case taskExecutor
    /// Tasks on Swift's global pool.
    case global
}

/// The API that requests go through.
enum Through: Sendable {
    /// An `HTTP2Connection` that is made by hand.
    case connection
    /// An `HTTPClient` with as many streams on its connection as the server allows.
    case client
    /// An `HTTPClient` that speaks HTTP/1.1 alone, with a connection for each caller.
    case http1Client
    /// One of each way of reusing connections after the other.
    case allWays
    /// None: the fields of requests by a cookie jar.
    case cookieJar
}

/// How each response's body is handled.
enum BodyUse: Sendable {
    /// Read completely, into an array.
    case collect
    /// Read and thrown away by the library.
    case discard
    /// Pulled chunk by chunk, each dropped.
    case chunks
    /// Written to this descriptor, of /dev/null.
    case write(CInt)
}

struct Options: Sendable {
    var url = ""
    var requests = 1_000
    var callers = 1
    var rounds = 3
    var place = Place.isolated
    var through = Through.connection
    var body = BodyUse.collect
    var caFile: String?
    /// All requests go through it; its certificate is verified as the server's.
    var proxy: HTTPClient.Proxy?
    var latencies = false
    /// A 503 is counted and not retried, instead of being a failure.
    var countsRefusals = false
    /// Microseconds after which the process ends in the middle of everything, as by exit(3).
    var exitAfter: UInt32?
    /// `LoadLimits.Adaptive` as it comes.
    var isAdaptive = false
    /// In the jar of `Through.cookieJar`.
    var cookies = 0

    /// The configuration of connections.
    var configuration: ConnectionConfiguration {
        var configuration = ConnectionConfiguration()
        configuration.tls.caFile = caFile
        configuration.tls.verifiesPeer = caFile != nil
        if let proxy { configuration.proxies = .all(proxy) }
        return configuration
    }

    /// The configuration of a client.
    var clientConfiguration: HTTPClient.Configuration {
        var client = HTTPClient.Configuration()
        client.connection = configuration
        if case .http1Client = through {
            client.versions = .http1Only
            client.pool.http1ConnectionsPerOrigin = callers
        }
        if isAdaptive { client.loadLimits.adaptive = HTTPClient.LoadLimits.Adaptive() }
        if countsRefusals { client.retry = .never }
        return client
    }
}

/// To standard error. (Swift 6 takes C's `stderr` for shared mutable state.)
func complain(_ text: String) {
    let line = text + "\n"
    _ = line.utf8.withContiguousStorageIfAvailable { write(STDERR_FILENO, $0.baseAddress, $0.count) }
}

func usage() -> Never {
    complain(
        """
        usage: h2bench URL [-n REQUESTS] [-m CALLERS] [--task-executor | --global]
                       [--client | --http1] [--adaptive] [--count-refusals]
                       [--discard | --chunks | --write-null] [--latency] [--cacert FILE]
                       [--proxy URL] [--exit-after MICROSECONDS]
               h2bench URL --reuse [-n REQUESTS] [--rounds N] [--cacert FILE]
               h2bench --cookies N [-n REQUESTS] [--rounds N]
        Sends REQUESTS GETs over one HTTP/2 connection from CALLERS tasks, and prints name=value pairs. Callers run
        isolated to the connection unless told otherwise, and read each body whole. --latency adds percentiles. Without
        --cacert the server's certificate is not verified. Fails unless the server allows CALLERS streams at once and
        every answer is a 200.

        --client sends through an HTTPClient, --http1 through one that speaks HTTP/1.1 over as many connections; callers
        prefer the loop then, or run on the global pool, and the client's statistics are printed too. With --adaptive it
        looks for the load that the server takes. With --count-refusals a 503 is counted, and not sent again.

        --proxy sends everything through a proxy, whose certificate is verified like the server's.

        --exit-after ends the process after that time by exit(3), in the middle of everything.

        --reuse sends REQUESTS in each way of reusing connections there is, and prints a table (Markdown) of what each
        cost: the medians of N rounds. The server's certificate must be for localhost and 127.0.0.1.

        --cookies fills a cookie jar with N cookies, five for each host, and prints the CPU time that it takes to add
        them to the fields of a request, in nanoseconds: the median of the rounds. Nothing is sent.
        """)
    exit(2)
}

func parse() -> Options {
    var options = Options()
    var arguments = CommandLine.arguments.dropFirst()
    func number(_ text: String?) -> Int {
        guard let text, let value = Int(text), value > 0 else { usage() }
        return value
    }
    while let argument = arguments.popFirst() {
        switch argument {
        case "-n": options.requests = number(arguments.popFirst())
        case "-m": options.callers = number(arguments.popFirst())
        case "--rounds": options.rounds = number(arguments.popFirst())
        case "--global": options.place = .global
        case "--task-executor": options.place = .taskExecutor
        case "--client": options.through = .client
        case "--http1": options.through = .http1Client
        case "--reuse": options.through = .allWays
        case "--cookies":
            options.through = .cookieJar
            options.cookies = number(arguments.popFirst())
        case "--adaptive": options.isAdaptive = true
        case "--count-refusals": options.countsRefusals = true
        case "--discard": options.body = .discard
        case "--chunks": options.body = .chunks
        case "--write-null": options.body = .write(open("/dev/null", O_WRONLY | O_CLOEXEC))
        case "--latency": options.latencies = true
        case "--proxy":
            guard let url = arguments.popFirst(), let proxy = try? HTTPClient.Proxy(url) else { usage() }
            options.proxy = proxy
        case "--exit-after":
            guard let text = arguments.popFirst(), let time = UInt32(text) else { usage() }
            options.exitAfter = time
        case "--cacert":
            guard let file = arguments.popFirst() else { usage() }
            options.caFile = file
        case _ where argument.hasPrefix("-") || !options.url.isEmpty: usage()
        default: options.url = argument
        }
    }
    if case .cookieJar = options.through { return options }
    if options.url.isEmpty { usage() }
    // Both are a client's, and there is nothing to refuse or adapt to otherwise.
    if options.isAdaptive || options.countsRefusals, case .connection = options.through { usage() }
    return options
}
