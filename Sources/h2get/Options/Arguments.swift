import H2Measure
import H2Platform

/// A command line taken apart: which options were given, in order, and the operands (URLs or files).
struct Arguments: Sendable {
    /// An option as it was given.
    struct Occurrence: Sendable, Equatable {
        let key: OptionKey
        /// With its dashes, such as `-o` or `--output`.
        let spelling: String
        /// Its bytes, which are not necessarily UTF-8; empty for a flag.
        var value: [UInt8] = []
        var hasValue = false
        /// False for `--no-name`.
        var isOn = true
        /// Such as ` (config:3)`: the line of the configuration file that it comes from; empty on the command line.
        var place = ""

        /// - Throws: `Failure` (`usage`) if the value is not UTF-8.
        var text: String {
            get throws {
                guard let text = String(validating: value, as: UTF8.self) else {
                    // It may be a secret.
                    throw Arguments.notUTF8("the value of \(spelling)\(place)")
                }
                return text
            }
        }
    }

    let command: Command
    var occurrences: [Occurrence] = []
    /// As text: a URL or file name that is not UTF-8 is a usage error.
    var operands: [String] = []
    /// For each --next, the number of operands before it.
    var operandsBeforeNext: [Int] = []
    /// Those of --variable.
    var variables = Variables()
    /// The lines of configuration files that are being read, the innermost last.
    var files: [String] = []

    /// Adds an occurrence, with where it stands.
    mutating func add(_ occurrence: Occurrence) {
        occurrences.append(occurrence)
        if let file = files.last { occurrences[occurrences.count - 1].place = " (\(file))" }
    }

    // MARK: - Parts

    /// The options about the whole run, which count for all parts wherever they stand.
    private static let global: Set<OptionKey> = [
        .config, .disable, .silent, .showError, .verbose, .summary, .stderrFile, .failEarly, .parallel, .parallelMax,
        .connectionsPerOrigin, .rate, .polite, .sslSessions, .maxTotalTime, .jsonLines, .progressMeter, .progressBar,
        .color, .trace, .traceASCII, .traceTime, .traceIDs, .variable, .curl,
    ]

    /// The command lines between which --next stands.
    var parts: [Arguments] {
        let ends = occurrences.indices.filter { occurrences[$0].key == .next }
        guard !ends.isEmpty else { return [self] }
        return (0...ends.count).map { index in
            let own = (index == 0 ? 0 : ends[index - 1] + 1)..<(index == ends.count ? occurrences.count : ends[index])
            var part = Arguments(command: command)
            part.occurrences = occurrences.enumerated().filter { position, occurrence in
                own.contains(position) || Self.global.contains(occurrence.key)
            }.map(\.element)
            let first = index == 0 ? 0 : operandsBeforeNext[index - 1]
            part.operands = Array(operands[first..<(index == ends.count ? operands.count : operandsBeforeNext[index])])
            return part
        }
    }

    // MARK: - What was given

    /// Whether the option was given, as a flag or with a value.
    func isGiven(_ key: OptionKey) -> Bool { occurrences.contains { $0.key == key } }

    /// Whether the flag is on: its last occurrence counts.
    func isOn(_ key: OptionKey) -> Bool { occurrences.last { $0.key == key }?.isOn ?? false }

    /// How often the flag was given since its last `--no-`.
    func count(_ key: OptionKey) -> Int { occurrences.reduce(0) { $1.key == key ? ($1.isOn ? $0 + 1 : 0) : $0 } }

    /// The occurrences of these options, in the order given.
    func all(_ keys: OptionKey...) -> [Occurrence] { occurrences.filter { keys.contains($0.key) } }

    /// The last occurrence.
    func last(_ key: OptionKey) -> Occurrence? { occurrences.last { $0.key == key } }

    // MARK: - Values

    /// The option's value.
    /// - Throws: `Failure` (`usage`) if it is not UTF-8.
    func text(_ key: OptionKey) throws -> String? { try last(key)?.text }

    /// The values of all occurrences.
    func texts(_ key: OptionKey) throws -> [String] { try all(key).map { try $0.text } }

    /// The option's value, converted.
    /// - Parameter convert: its errors say what to write instead, and get the option's name added.
    /// - Throws: `Failure` (`usage`).
    func value<Value>(_ key: OptionKey, _ convert: (String) throws -> Value) throws -> Value? {
        try last(key).map { try converted($0, convert) }
    }

    /// The values of all occurrences, converted.
    func values<Value>(_ key: OptionKey, _ convert: (String) throws -> Value) throws -> [Value] {
        try all(key).map { try converted($0, convert) }
    }

    private func converted<Value>(_ occurrence: Occurrence, _ convert: (String) throws -> Value) throws -> Value {
        let text = try occurrence.text
        do { return try convert(text) } catch let failure as Failure {
            throw failure
        } catch {
            let quoted = Self.quotable(text)
            // The error may quote it as well.
            let reason = "\(error)".replacingAll("'\(text)'", by: "'\(quoted)'")
            throw Failure.usage(
                "'\(quoted)' is not a valid value for \(occurrence.spelling)\(occurrence.place): \(reason); \(seeHelp)")
        }
    }

    // MARK: - Errors

    /// Where to read on.
    var seeHelp: String { "'\(command.name) --help' lists the options" }

    static func notUTF8(_ what: String) -> Failure {
        Failure.usage("\(what) is not UTF-8; only -d, --data-binary and -H take other bytes, and URLs as %XX")
    }

    /// A value as errors may quote it: `***` if it may be a secret.
    static func quotable(_ value: String) -> String {
        isNumbers(value) ? value : isHarmless(value) ? shown(value) : "***"
    }

    /// Whether `value` is a short list of numbers or statuses, such as `204 ,2xx`. Spaces do not make a secret of it.
    private static func isNumbers(_ value: String) -> Bool {
        value.utf8.count <= 100 && value.utf8.allSatisfy { (0x30...0x39).contains($0) || " ,.xX".utf8.contains($0) }
    }

    /// Whether `value` is certainly not a secret: `me:password` may be meant for another option, `0..1K:30s` is not.
    private static func isHarmless(_ value: String) -> Bool {
        if value.firstRange(ofASCII: "://") != nil { return true }
        let parts = value.utf8.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        return parts.count == 1 || parts.allSatisfy { $0.first.map { (0x30...0x39).contains($0) } ?? false }
    }
}
