extension OptionTable {
    /// The options of fetching about bodies, queries and URLs.
    static let requestsOptions: [Option] = bodyOptions + urlOptions

    private static let bodyOptions: [Option] = [
        Option(
            .dataAscii, nil, "data-ascii", "DATA", of: .fetch, in: .request, "Do the same as -d.", repeats: true),
        Option(
            .dataRaw, nil, "data-raw", "DATA", of: .fetch, in: .request,
            "POST this as -d does, but take an @ at its beginning for itself.", repeats: true),
        Option(
            .dataUrlencode, nil, "data-urlencode", "DATA", of: .fetch, in: .request,
            "POST this percent-encoded: CONTENT, =CONTENT, NAME=CONTENT, @FILE or NAME@FILE. Names stay as they are.",
            repeats: true),
        Option(
            .jsonBody, nil, "json", "DATA", of: .fetch, in: .request,
            "POST this as application/json, and accept that. Several are joined as they are; @FILE is sent as it is.",
            repeats: true, common: true),
        Option(
            .form, "F", "form", "NAME=CONTENT", of: .fetch, in: .request,
            "POST a multipart form. NAME=@FILE,... sends files, NAME=<FILE text from a file; ;type= and ;filename= follow.",
            repeats: true, common: true),
        Option(
            .formString, nil, "form-string", "NAME=TEXT", of: .fetch, in: .request,
            "Add a text to the form of -F, in which @, < and ; mean nothing.", repeats: true),
        Option(
            .formEscape, nil, "form-escape", of: .fetch, in: .request,
            "Put a backslash before quotes in names of -F. Default: write %22, as browsers do."),
        Option(
            .get, "G", "get", of: .fetch, in: .request,
            "Put what -d and its kin give into the URL's query, and send GET, or HEAD with -I."),
        Option(
            .urlQuery, nil, "url-query", "DATA", of: .fetch, in: .request,
            "Add this to the URL's query, encoded as by --data-urlencode; +TEXT is added as it is.", repeats: true),
        Option(
            .referer, "e", "referer", "URL", of: .fetch, in: .request, "Send this referer field. Default: none."),
    ]

    private static let urlOptions: [Option] = [
        Option(
            .url, nil, "url", "URL", of: .fetch, in: .request,
            "Fetch this URL, as without the option. @FILE is --input-file FILE, with files named as by -O.",
            repeats: true),
        Option(
            .globoff, "g", "globoff", of: .fetch, in: .request,
            "Take URLs as they are. Default: [1-100], [a-z:2] and {a,b} in them stand for many URLs, #1 in -o for each."
        ),
        Option(
            .protoDefault, nil, "proto-default", "SCHEME", of: .fetch, in: .request,
            "Use http or https for URLs without a scheme. Default: http."),
        Option(
            .proto, nil, "proto", "LIST", of: .fetch, in: .request,
            "Allow only these schemes of URLs, such as =https. Default: http,https."),
        Option(
            .protoRedir, nil, "proto-redir", "LIST", of: .fetch, in: .request,
            "Follow redirects to these protocols only, of those that --proto allows. Default: http,https."),
        Option(
            .requestTarget, nil, "request-target", "TARGET", of: .fetch, in: .request,
            "Send this path and query in place of the URL's, or * with -X OPTIONS."),
        Option(
            .parallel, "Z", "parallel", of: .fetch, in: .request,
            "Run transfers in parallel, which is the default; --no-parallel runs one after the other."),
        Option(
            .parallelImmediate, nil, "parallel-immediate", of: .fetch, in: .connection,
            "Open a connection for each transfer at once, rather than share one. --connections-per-origin N limits them."
        ),
        Option(
            .next, ":", "next", of: .fetch, in: .general,
            "End the options of the URLs before it: those behind it have options of their own, and are fetched after them. "
                + "Options about the whole run, such as -v, -s, -Z and --stderr, count for all.", repeats: true),
    ]

    /// The options of configuration files.
    static let configurationOptions: [Option] = [
        Option(
            .config, "K", "config", "FILE", of: .fetch, in: .general,
            "Read options from FILE, one a line: name = value, # for comments; - is stdin. Default: $XDG_CONFIG_HOME/h2get/"
                + "config or ~/.config/h2get/config, whose options come before all others.", repeats: true),
        Option(
            .config, "K", "config", "FILE", of: [.bench, .merge, .compare, .sweep, .serve], in: .general,
            "Read options from FILE, one a line: name = value, # for comments; - is stdin.", repeats: true),
        Option(
            .variable, nil, "variable", "NAME=TEXT", of: .fetch, in: .general,
            "Set a variable for --expand-OPTION 'TEXT with {{NAME}}', which is --OPTION with values in place. NAME@FILE takes a "
                + "file, %NAME the environment; {{NAME:trim:url}} applies trim, url, json or b64.", repeats: true),
        Option(
            .curl, nil, "curl", of: .fetch, in: .general,
            "Print the curl command that does the same, and fetch nothing."),
        Option(
            .disable, "q", "disable", of: .fetch, in: .general,
            "Leave the file out that is read without -K. Give this first."),
    ]
}
