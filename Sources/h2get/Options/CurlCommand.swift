import H2Measure

/// --curl: the command of curl that does what a command line asks for.
struct CurlCommand {
    /// As a shell reads it.
    private(set) var line: [UInt8] = []
    /// Options that curl lacks, in sentences.
    private(set) var remarks: [String] = []

    /// Options that are spent before curl would see them.
    private static let spent: Set<OptionKey> = [.config, .disable, .curl, .variable, .parallel]
    /// Options with a time, which may have a unit here.
    private static let times: Set<OptionKey> = [.maxTime, .connectTimeout, .retryDelay, .retryMaxTime, .keepaliveTime]

    /// - Throws: `Failure` (`usage`) if there is no URL, or if a time is invalid.
    init(_ arguments: Arguments) throws {
        guard !arguments.operands.isEmpty else {
            throw Failure.usage("--curl needs a URL on the command line; \(arguments.seeHelp)")
        }
        var words = [Array("curl".utf8)]
        let isLimited = try arguments.text(.parallelMax) == "1"
        let isSequential = isLimited || (arguments.isGiven(.parallel) && !arguments.isOn(.parallel))
        let hasParts = arguments.isGiven(.next)
        let starts = [0] + arguments.operandsBeforeNext
        let ends = arguments.operandsBeforeNext + [arguments.operands.count]
        let mayBeParallel =
            zip(starts, ends).contains { $1 - $0 > 1 } || arguments.operands.contains(where: Self.isGlob)
        if mayBeParallel, !isSequential {
            if hasParts {
                remarks.append("the URLs of a part are fetched in parallel, and curl fetches them one after the other")
            } else {
                words.append(Array("--parallel".utf8))
            }
        }
        let groups = arguments.occurrences.split(omittingEmptySubsequences: false) { $0.key == .next }
        for (index, group) in groups.enumerated() {
            if index > 0 { words.append(Array("--next".utf8)) }
            let urls = arguments.operands[starts[index]..<ends[index]]
            for occurrence in group { words += try self.words(of: occurrence, urls: urls.count) }
            words += urls.map { Array($0.utf8) }
        }
        line = Array(words.map(Self.quoted).joined(separator: " ".utf8)) + "\n".utf8
    }

    private static func isGlob(_ url: String) -> Bool { url.utf8.contains { "[{".utf8.contains($0) } }

    /// The words of one option.
    private mutating func words(of occurrence: Arguments.Occurrence, urls: Int) throws -> [[UInt8]] {
        func words(_ option: String, _ value: [UInt8]) -> [[UInt8]] { [Array(option.utf8), value] }
        switch occurrence.key {
        case let key where Self.spent.contains(key): return []
        // It is among the operands.
        case .url where occurrence.value.first != UInt8(ascii: "@"): return []
        case .priority: return words("--header", "priority: ".utf8 + occurrence.value)
        case .expectContinue:
            return occurrence.isOn ? words("--header", Array("Expect: 100-continue".utf8)) : []
        case .output where occurrence.value.elementsEqual("/dev/null".utf8):
            // One discards the bodies of all URLs.
            return Array(repeating: words("--output", occurrence.value), count: max(urls, 1)).flatMap { $0 }
        case .inputFile:
            remarks.append(
                "\(occurrence.spelling) is left out: curl 8.13 has --url @FILE, which names files as -O does")
            return []
        case .stallTimeout:
            let seconds = try Self.seconds(occurrence)
            return words("--speed-limit", [UInt8(ascii: "1")]) + words("--speed-time", Array(seconds.utf8))
        case .rangeSplit, .checksum, .checksumFile, .verifyDigest, .maxTotalTime, .color, .jsonLines, .skipExisting,
            .summary, .polite, .queueTimeout, .firstByteTimeout, .maxRequestsPerConnection, .informationalMax,
            .informationalPerSecond, .trailer, .generate:
            remarks.append("curl has nothing like \(occurrence.spelling), which is left out")
            return []
        default: break
        }
        guard let option = OptionTable.options(of: .fetch).first(where: { $0.key == occurrence.key }) else { return [] }
        // The name that all versions of curl have.
        let name = occurrence.key == .include ? option.name : option.curlName ?? option.name
        guard occurrence.hasValue else { return [Array("--\(occurrence.isOn ? "" : "no-")\(name)".utf8)] }
        let isTime = Self.times.contains(occurrence.key)
        return words("--\(name)", isTime ? Array(try Self.seconds(occurrence).utf8) : occurrence.value)
    }

    /// A time as curl writes it: seconds with decimals.
    private static func seconds(_ occurrence: Arguments.Occurrence) throws -> String {
        let text = try occurrence.text
        if QuantityText.decimal(text[...]) != nil { return text }
        do {
            let parts = (try Seconds(text: text).duration ?? .zero).components
            let thousandths = "\(parts.attoseconds / 1_000_000_000_000_000)"
            let padding = String(repeating: "0", count: max(0, 3 - thousandths.utf8.count))
            return parts.attoseconds == 0 ? "\(parts.seconds)" : "\(parts.seconds).\(padding)\(thousandths)"
        } catch {
            throw Failure.usage(
                "'\(Arguments.quotable(text))' is not a valid value for \(occurrence.spelling): \(error)")
        }
    }

    /// Quotes a word so that a shell reads it as one.
    static func quoted(_ word: [UInt8]) -> [UInt8] {
        let isPlain =
            !word.isEmpty
            && word.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
                default: "-_./:=,@%+".utf8.contains(byte)
                }
            }
        guard !isPlain else { return word }
        let pieces = word.split(separator: UInt8(ascii: "'"), omittingEmptySubsequences: false)
        return Array("'".utf8) + Array(pieces.joined(separator: "'\\''".utf8)) + Array("'".utf8)
    }
}
