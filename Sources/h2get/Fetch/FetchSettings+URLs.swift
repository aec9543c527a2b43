import HTTPTypes

/// Which URLs are fetched, and by which rules.
extension FetchSettings {
    /// Takes the URLs of the command line, and the list.
    mutating func setURLs(_ arguments: Arguments) throws {
        urls = arguments.isOn(.globoff) ? GivenURLs(arguments.operands) : try GivenURLs(globs: arguments.operands)
        schemes = try URLSchemes(arguments)
        var lists = try arguments.texts(.inputFile)
        for url in arguments.all(.url) {
            guard let path = try url.file else { continue }
            guard !path.isEmpty else {
                throw Failure.usage("\(url.spelling) @ names no file; write @FILE, or @- for stdin")
            }
            lists.append(path)
            // As with curl.
            namesListedFiles = true
        }
        guard lists.count <= 1 else {
            throw Failure.usage(
                "one list of URLs can be read; keep one --url @FILE or --input-file, and join the files")
        }
        inputFile = lists.last
    }

    /// Sets how many transfers run at once.
    mutating func setParallel(_ arguments: Arguments) throws {
        let parallel = try arguments.value(.parallelMax, Quantity.wholeNumber(from: 1))
        parallelMaximum = min(parallel ?? parallelMaximum, 100_000)
        // Transfers are parallel without -Z.
        if let option = arguments.last(.parallel), !option.isOn {
            guard parallel == nil else {
                throw Failure.usage("\(option.spelling) is --parallel-max 1; leave one of both out")
            }
            parallelMaximum = 1
        }
    }

    /// The number of transfers that may run at once.
    var transfersAtOnce: Int { inputFile == nil ? min(parallelMaximum, urls.count) : parallelMaximum }

    /// Sets the target that takes the place of the URLs' own. Needs the method.
    mutating func setRequestTarget(_ arguments: Arguments) throws {
        guard let target = try arguments.text(.requestTarget) else { return }
        guard query.isEmpty else {
            throw Failure.usage("--request-target replaces the query too: write what -G or --url-query adds into it")
        }
        let isGood = target.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "#") }
        guard isGood, target.utf8.first == UInt8(ascii: "/") || (target == "*" && method == .options) else {
            throw Failure.usage(
                "'\(shown(target))' is not a target that h2get can send (--request-target): write a path such as "
                    + "/a?b, percent-encoded, or * with -X OPTIONS")
        }
        requestTarget = target
    }

    /// Whether a URL may be of https, as far as the command line shows.
    var mayUseTLS: Bool {
        inputFile != nil || urls.arguments.contains { !schemes.completed($0).lowercased().hasPrefix("http:") }
    }
}
