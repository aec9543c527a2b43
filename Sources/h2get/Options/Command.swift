/// The version, for `--version`, reports and the user-agent field.
let version = "0.1.0"

/// A command of the program. Fetching has no name; the others are recognized only as the first words.
enum Command: UInt8, CaseIterable, Sendable {
    case fetch
    case bench
    case merge
    case compare
    case sweep
    case serve

    var set: CommandSet { CommandSet(rawValue: 1 << rawValue) }

    /// The words that call it, such as `h2get bench`.
    var name: String {
        switch self {
        case .fetch: "h2get"
        case .bench: "h2get bench"
        case .merge: "h2get bench merge"
        case .compare: "h2get compare"
        case .sweep: "h2get sweep"
        case .serve: "h2get serve"
        }
    }

    /// The command that the first words of a command line name, and how many words these are.
    static func named(by words: ArraySlice<[UInt8]>) -> (command: Command, words: Int) {
        func isWord(_ index: Int, _ text: String) -> Bool {
            index < words.endIndex && words[index].elementsEqual(text.utf8)
        }
        let first = words.startIndex
        if isWord(first, "bench") { return isWord(first + 1, "merge") ? (.merge, 2) : (.bench, 1) }
        if isWord(first, "compare") { return (.compare, 1) }
        if isWord(first, "sweep") { return (.sweep, 1) }
        if isWord(first, "serve") { return (.serve, 1) }
        return (.fetch, 0)
    }
}

/// Several commands.
struct CommandSet: OptionSet, Sendable {
    let rawValue: UInt8

    static let fetch = CommandSet(rawValue: 1 << 0)
    static let bench = CommandSet(rawValue: 1 << 1)
    static let merge = CommandSet(rawValue: 1 << 2)
    static let compare = CommandSet(rawValue: 1 << 3)
    static let sweep = CommandSet(rawValue: 1 << 4)
    static let serve = CommandSet(rawValue: 1 << 5)
    /// The commands that measure a server.
    static let measuring: CommandSet = [.bench, .compare, .sweep]
    static let all = CommandSet(rawValue: 63)
}

// MARK: - Descriptions

extension Command {
    /// One sentence for the head of the help and of the man page.
    var abstract: String {
        switch self {
        case .fetch: "Fetch URLs over HTTP/2 or HTTP/1.1, in parallel, over as few connections as possible."
        case .bench: "Measure how a server copes with many concurrent requests, with h2load's options."
        case .merge: "Add up the HdrHistogram logs of several measurements, and show the percentiles of all together."
        case .compare:
            "Send the same requests over new connections, kept ones, a pool and HTTP/2, and show what each costs."
        case .sweep: "Measure throughput and latency over streams and connections, and find where the server saturates."
        case .serve: "Serve a folder and some test routes over HTTP/2 and HTTP/1.1."
        }
    }

    var usage: [String] {
        switch self {
        case .fetch:
            [
                "h2get [options] URL...",
                "h2get bench|compare|sweep [options] URL...     (measure: h2get bench --help, and so on)",
                "h2get serve [options] [DIR]                    (a server to try things on: h2get serve --help)",
            ]
        case .bench:
            [
                "h2get bench [options] URL...",
                "h2get bench merge [options] FILE...     (add up HdrHistogram logs: h2get bench merge --help)",
            ]
        case .merge: ["h2get bench merge [options] FILE..."]
        case .compare: ["h2get compare [options] URL..."]
        case .sweep: ["h2get sweep [options] URL..."]
        case .serve: ["h2get serve [options] [DIR]"]
        }
    }

    /// Command lines to learn from, each with a remark or none.
    var examples: [(line: String, remark: String)] {
        switch self {
        case .fetch:
            [
                ("h2get https://example.org/", "the body to stdout"),
                ("h2get -O https://example.org/a.tar https://example.org/b.tar", ""),
                ("h2get -o /dev/null --summary --input-file urls.txt", "many requests, one connection"),
                ("h2get --polite --retry 3 -O --input-file urls.txt", "as many at once as the server takes"),
                ("h2get -d name=value https://example.org/form", ""),
                ("h2get -T - https://example.org/upload < file", ""),
                ("h2get -vv https://example.org/", "every frame, with the running windows"),
            ]
        case .bench:
            [
                ("h2get bench -n 100K -c 10 -m 100 https://localhost:8443/", "as fast as it goes"),
                ("h2get bench -D 30s --warm-up-time 2s -c 4 -m 32 https://localhost:8443/", ""),
                ("h2get bench -D 1m --request-rate 2K -c 8 https://localhost:8443/", "2,000 requests/s, come what may"),
                ("h2get bench -D 1m --request-rate 100..5K --ramp 45s --html ramp.html https://localhost:8443/", ""),
                ("h2get bench -n 1K -d form.bin 'https://localhost:8443/item/[1-100]'", ""),
                (
                    "h2get bench -D 30s --request-rate 500 --fail-if 'p99>50ms' --fail-if 'errors>0.1%' https://localhost:8443/",
                    ""
                ),
            ]
        case .merge:
            [
                ("h2get bench merge a.hlog b.hlog", ""), ("h2get bench merge -o all.hlog a.hlog b.hlog", ""),
                ("h2get bench merge --hgrm latency.hgrm a.hlog b.hlog", ""),
            ]
        case .compare:
            [
                ("h2get compare https://localhost:8443/bytes/1000", ""),
                (
                    "h2get compare -n 200 --rtt 0,10ms,50ms --html reuse.html 'https://localhost:8443/bytes/[1-20]'",
                    ""
                ),
                ("h2get compare --rtt 50ms --loss 1% --rounds 9 --json - https://localhost:8443/", ""),
            ]
        case .sweep:
            [
                ("h2get sweep https://localhost:8443/", ""),
                (
                    "h2get sweep --streams 1..256 --connections 1,2,4 -D 2s --html sweep.html https://localhost:8443/",
                    ""
                ),
                ("h2get sweep --slo p99=50ms https://localhost:8443/", "the best setting that meets it"),
            ]
        case .serve:
            [
                ("h2get serve --ca-file ca.pem public/", ""),
                ("h2get --cacert ca.pem https://localhost:8443/bytes/1000000 -o /dev/null", ""),
                ("h2get serve --workers 4 --worker-queue 8 --service-time 5ms --retry-after 1", ""),
            ]
        }
    }

    /// Paragraphs on what all options have in common.
    var notes: [String] {
        switch self {
        case .fetch:
            [
                "Letters and exit codes mean what they mean for curl: 22 status with -f, 23 writing, 28 time limit, "
                    + "60 certificate, 92 stream, 130 Ctrl-C. If several transfers fail, the first in the order of the "
                    + "URLs decides.",
                "Several bodies on stdout come one after another in the order of the URLs. Downloads are written to "
                    + "NAME.XXXXXX.part and renamed when complete.",
            ]
        case .bench:
            [
                "N takes K, M and G (powers of 1,000), SIZE too (powers of 1,024); TIME takes h, m, s, ms, us and ns. "
                    + "URLs are requested in turn; [1-100], [001-100:5], [a-z] and {a,b} stand for many, a backslash "
                    + "before the bracket for itself. As with h2load, http:// URLs are HTTP/2 without TLS (--h1 for "
                    + "HTTP/1.1).",
                "Exit codes: 0 all requests were answered, with whatever status (those cut off at the deadline of -D "
                    + "aside); 2 usage; 6, 7, 28, 35, 60 no connection, for curl's reasons; 58 the client certificate, "
                    + "59 a cipher suite or group, 77 the CA file cannot be used; 26 input cannot be read; 16 "
                    + "connections were lost for good; 92 requests failed (unless --fail-if 'errors>…' decides that); "
                    + "28 no request was answered in time; 99 a condition of --fail-if holds; 23 a result could not be "
                    + "written, while the others are; 130 Ctrl-C, after which what was measured is shown.",
            ]
        case .merge:
            [
                "The logs are those of 'h2get bench --hdr', taken on one machine or on many at once. Counts are added, "
                    + "so that percentiles are exactly those of all requests."
            ]
        case .compare:
            [
                "Rounds run in a random order (--seed repeats one); the table has medians. --rtt and --loss put a proxy "
                    + "of this process in between, so that the server seems to be that far away. A way that cannot be "
                    + "tried says why. Give an http:// URL besides the https:// one to compare without TLS as well. "
                    + "TIME needs its unit (s, ms, us), PERCENT its %.",
                "Exit codes are those of 'h2get bench'; 92 if no way could be measured.",
            ]
        case .sweep:
            [
                "LIST is 1,2,4 or A..B, which doubles from A to B. It stops climbing when errors or refusals begin.",
                "Exit codes are those of 'h2get bench'; 92 if not one request was answered.",
            ]
        case .serve:
            [
                "Runs until Ctrl-C. Without --cert it makes a certificate for localhost, 127.0.0.1 and ::1 that is "
                    + "valid for seven days; its authority is in --ca-file, and nothing else should ever trust it. "
                    + "TIME is 5ms, 0.5s, 2m or 1h; a number alone is milliseconds."
            ]
        }
    }
}
