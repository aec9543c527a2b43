import H2Platform

/// What a response must be like. Otherwise its request counts as failed.
struct ScenarioCheck: Sendable {
    enum Body: Sendable {
        case contains(ScenarioTemplate)
        case matches(ScenarioRegex)
        /// The value exists, and is equal to the text if there is one.
        case json(JSONPointer, equals: ScenarioTemplate?)

        /// The reason to give if it is not so: the same for all responses, so that failures can be counted by it.
        var failure: String {
            switch self {
            case .contains(let text): "no \(quoted(text.source)) in the body"
            case .matches(let regex): "no match of \(quoted(regex.pattern)) in the body"
            case .json(let pointer, nil): "nothing at \(quoted(pointer.text))"
            case .json(let pointer, let text?): "\(quoted(pointer.text)) is not \(quoted(text.source))"
            }
        }
    }

    /// Unless a scenario says otherwise, what is not an error (RFC 9110 section 15).
    var statuses = [100...399]
    var body: [(check: Body, failure: String)] = []
    /// At most, with the reason to give.
    var latency: (nanoseconds: UInt64, failure: String)?

    func accepts(status: Int) -> Bool { statuses.contains { $0.contains(status) } }

    /// `200`, `2xx`, `200-299,304`.
    static func statuses(_ text: String) throws(TextProblem) -> [ClosedRange<Int>] {
        var ranges: [ClosedRange<Int>] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let range = range(part.split(separator: " ").joined(separator: " ")) else {
                throw TextProblem("\(quoted(text)) is not a list of statuses; write one as 200-299,304 or 2xx")
            }
            ranges.append(range)
        }
        return ranges
    }

    private static func range(_ text: String) -> ClosedRange<Int>? {
        if text.utf8.count == 3, text.hasSuffix("xx") || text.hasSuffix("XX"), let first = Int(text.prefix(1)),
            (1...9).contains(first)
        {
            return first * 100...first * 100 + 99
        }
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
        guard (1...2).contains(ends.count), let first = status(ends[0]), let last = status(ends[ends.count - 1]),
            first <= last
        else { return nil }
        return first...last
    }

    private static func status(_ text: Substring) -> Int? {
        guard text.utf8.count == 3, QuantityText.isDigits(text), let status = Int(text), status >= 100 else {
            return nil
        }
        return status
    }
}

/// A value to take from a response.
struct ScenarioExtraction: Sendable {
    enum Source: Sendable {
        case json(JSONPointer)
        /// The field's name, in lower case.
        case header(String)
        case regex(ScenarioRegex)

        /// The reason to give if nothing is found.
        var failure: String {
            switch self {
            case .json(let pointer): "nothing at \(quoted(pointer.text))"
            case .header(let name): "no header \(quoted(name))"
            case .regex(let regex): "no match of \(quoted(regex.pattern)) in the body"
            }
        }

        var isOfBody: Bool {
            if case .header = self { false } else { true }
        }
    }

    /// Its place among the values of the user class.
    let slot: Int
    let source: Source
    let failure: String

    init(slot: Int, source: Source) {
        self.slot = slot
        self.source = source
        failure = source.failure
    }
}

/// Whether `pattern` occurs in `bytes`.
func contains(_ pattern: [UInt8], in bytes: [UInt8]) -> Bool {
    guard let first = pattern.first else { return true }
    return bytes.withUnsafeBytes { bytes in
        pattern.withUnsafeBytes { pattern in
            guard let start = bytes.baseAddress, pattern.count <= bytes.count else { return false }
            // The last place where the pattern could begin, which keeps each comparison within the bytes.
            let last = bytes.count - pattern.count
            var at = 0
            while at <= last, let found = memchr(start + at, CInt(first), last - at + 1) {
                at = UnsafeRawPointer(found) - start
                if memcmp(start + at, pattern.baseAddress!, pattern.count) == 0 { return true }
                at += 1
            }
            return false
        }
    }
}
