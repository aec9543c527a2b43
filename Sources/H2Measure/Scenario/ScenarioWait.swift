import H2Platform

/// How long a user waits, between tasks or after a request. In nanoseconds.
package enum ScenarioWait: Sendable, Equatable {
    case constant(UInt64)
    /// Any time between both with the same probability.
    case uniform(ClosedRange<UInt64>)
    /// A time with this mean, of which short ones are more frequent, as between calls of many people.
    case exponential(mean: UInt64)

    package static let none = ScenarioWait.constant(0)

    private static let remedy = "write a time as 2s or 500ms, a range as 1s..5s, or a mean as 'exponential 2s'"

    /// `2s`, `1s..5s`, `exponential 2s`, `0`.
    /// - Throws: `TextProblem` for anything else, and for more than a day.
    init(_ text: String) throws(TextProblem) {
        let words = text.split(separator: " ")
        if words.count == 2, words[0] == "exponential" {
            self = .exponential(mean: try Self.time(String(words[1]), of: text))
            return
        }
        guard let dots = text.indices.first(where: { text[$0...].hasPrefix("..") }) else {
            self = .constant(try Self.time(text, of: text))
            return
        }
        let first = try Self.time(Self.trimmed(text[..<dots]), of: text)
        let last = try Self.time(Self.trimmed(text[dots...].dropFirst(2)), of: text)
        guard first <= last else {
            throw TextProblem("the range \(quoted(text)) is empty; write the shorter time first")
        }
        self = .uniform(first...last)
    }

    private static func trimmed(_ text: Substring) -> String {
        text.split(separator: " ").joined(separator: " ")
    }

    /// The time `word` within `text`.
    static func time(_ word: String, of text: String) throws(TextProblem) -> UInt64 {
        if word == "0" { return 0 }
        guard let time = QuantityText.nanoseconds(word, bare: .refused) else {
            if QuantityText.decimal(word[...]) != nil {
                throw TextProblem("\(quoted(text)) has no unit; write \(excerpt(word))s or \(excerpt(word))ms")
            }
            throw TextProblem("\(quoted(text)) is not a time; \(remedy)")
        }
        guard time <= 86_400_000_000_000 else {
            throw TextProblem("\(quoted(text)) is longer than a day; write 24h at most")
        }
        return time
    }

    /// A time for one wait.
    func draw(_ random: inout SplitMix64) -> UInt64 {
        switch self {
        case .constant(let time): return time
        case .uniform(let range):
            return range.lowerBound + below(range.upperBound - range.lowerBound + 1, &random)
        case .exponential(let mean):
            // In (0, 1], so that the logarithm is finite: at most 37 times the mean.
            let part = Double((random.next() >> 11) + 1) * 0x1p-53
            return UInt64((-log(part) * Double(mean)).rounded())
        }
    }
}

/// A number from 0 to `count` - 1. Unlike the standard library's, it will be the same in the next version.
func below(_ count: UInt64, _ random: inout SplitMix64) -> UInt64 {
    random.next().multipliedFullWidth(by: count).high
}
