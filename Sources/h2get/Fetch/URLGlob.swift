import H2Measure

/// A URL with curl's ranges and lists: `[1-100]`, `[001-100:5]`, `[a-z]`, `{one,two}`, and all combinations of them.
///
/// 1. A backslash escapes `[`, `]`, `{`, `}`, `,` and itself; before any other character it is a plain backslash.
/// 2. If a range's first number begins with 0, all its numbers are padded to that width. A step follows a colon.
/// 3. An IPv6 address in brackets is left as it is.
/// 4. The last range or list changes fastest.
///
/// URLs are created on demand: a million of them take no memory.
struct URLGlob: RandomAccessCollection, Sendable {
    /// A piece of the pattern.
    private enum Part: Sendable {
        case text(String)
        case list([String])
        /// `first + step × index`, with at least `digits` digits.
        case numbers(first: Int, step: Int, count: Int, digits: Int)
        case letters(first: UInt8, step: Int, count: Int)

        var count: Int {
            switch self {
            case .text: 1
            case .list(let words): words.count
            case .numbers(_, _, let count, _), .letters(_, _, let count): count
            }
        }

        func append(_ index: Int, to out: inout String) {
            switch self {
            case .text(let text): out += text
            case .list(let words): out += words[index]
            case .numbers(let first, let step, _, let digits):
                let number = String(first + step * index)
                out += String(repeating: "0", count: Swift.max(0, digits - number.utf8.count)) + number
            case .letters(let first, let step, _):
                out.unicodeScalars.append(Unicode.Scalar(first + UInt8(step * index)))
            }
        }
    }

    private let parts: [Part]
    let count: Int

    var startIndex: Int { 0 }
    var endIndex: Int { count }

    /// - Throws: `Failure` (`usage`), which names the position.
    init(_ pattern: String) throws {
        var reader = Reader(pattern)
        parts = try reader.read()
        var product = 1
        for part in parts {
            let (next, isTooLarge) = product.multipliedReportingOverflow(by: part.count)
            guard !isTooLarge else {
                throw Failure.usage(
                    "'\(shown(pattern))' stands for more URLs than can be counted; make its ranges smaller")
            }
            product = next
        }
        count = product
    }

    subscript(position: Int) -> String {
        precondition(indices.contains(position), "URL \(position) of \(count)")
        // The digits of `position` in mixed radix: the bases are the parts' counts, the last part varies fastest.
        var rest = position
        var digits = [Int](repeating: 0, count: parts.count)
        for index in parts.indices.reversed() {
            digits[index] = rest % parts[index].count
            rest /= parts[index].count
        }
        var out = ""
        for (part, digit) in zip(parts, digits) { part.append(digit, to: &out) }
        return out
    }

    // MARK: - Ranges and lists

    /// The number of values of each range and list, in order.
    var valueCounts: [Int] {
        parts.compactMap { if case .text = $0 { nil } else { $0.count } }
    }

    /// The texts of the ranges and lists in the URL at `position`, in order.
    func values(at position: Int) -> [String] {
        var values: [String] = []
        var rest = position
        for part in parts.reversed() {
            if case .text = part { continue }
            var value = ""
            part.append(rest % part.count, to: &value)
            rest /= part.count
            values.append(value)
        }
        return values.reversed()
    }

    // MARK: - Reading a pattern

    private struct Reader {
        private static let special = Set("[]{},\\".utf8)
        private let pattern: String
        private let bytes: [UInt8]
        private var position = 0
        private var parts: [Part] = []
        private var text: [UInt8] = []

        init(_ pattern: String) {
            self.pattern = pattern
            bytes = Array(pattern.utf8)
        }

        mutating func read() throws -> [Part] {
            while position < bytes.count {
                switch bytes[position] {
                case UInt8(ascii: "\\"): text.append(escaped())
                case UInt8(ascii: "["):
                    if let end = addressEnd() {
                        text += bytes[position...end]
                        position = end + 1
                    } else {
                        endText()
                        parts.append(try range())
                    }
                case UInt8(ascii: "{"):
                    endText()
                    parts.append(.list(try list()))
                case UInt8(ascii: "]"), UInt8(ascii: "}"):
                    throw error("'\(character(position))' without its beginning", at: position)
                case let byte:
                    text.append(byte)
                    position += 1
                }
            }
            endText()
            return parts
        }

        private mutating func endText() {
            guard !text.isEmpty else { return }
            parts.append(.text(String(decoding: text, as: UTF8.self)))
            text = []
        }

        /// The byte that a backslash escapes, or the backslash itself if it escapes nothing.
        private mutating func escaped() -> UInt8 {
            if position + 1 < bytes.count, Self.special.contains(bytes[position + 1]) { position += 1 }
            defer { position += 1 }
            return bytes[position]
        }

        /// The end of the IPv6 address that begins here, or nil if there is none. A range never has two colons.
        private func addressEnd() -> Int? {
            guard let end = bytes[position...].firstIndex(of: UInt8(ascii: "]")) else { return nil }
            let content = bytes[(position + 1)..<end]
            let address = content.prefix { $0 != UInt8(ascii: "%") }
            let isAddress = address.allSatisfy {
                switch $0 {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
                    UInt8(ascii: "A")...UInt8(ascii: "F"), UInt8(ascii: ":"), UInt8(ascii: "."):
                    true
                default: false
                }
            }
            return isAddress && address.count { $0 == UInt8(ascii: ":") } >= 2 ? end : nil
        }

        /// Reads `{a,b}`, starting at the brace. A word may be empty.
        private mutating func list() throws -> [String] {
            let start = position
            var words: [String] = []
            var word: [UInt8] = []
            position += 1
            while position < bytes.count {
                switch bytes[position] {
                case UInt8(ascii: "\\"): word.append(escaped())
                case UInt8(ascii: ","):
                    words.append(String(decoding: word, as: UTF8.self))
                    word = []
                    position += 1
                case UInt8(ascii: "}"):
                    guard position > start + 1 else { throw error("nothing between the braces", at: start) }
                    position += 1
                    return words + [String(decoding: word, as: UTF8.self)]
                case UInt8(ascii: "{"), UInt8(ascii: "["):
                    throw error("'\(character(position))' inside a list, which cannot be nested", at: position)
                case UInt8(ascii: "]"): throw error("']' inside a list", at: position)
                case let byte:
                    word.append(byte)
                    position += 1
                }
            }
            throw error("'{' without '}'", at: start)
        }

        /// Reads `[1-9]`, `[01-99:2]` or `[a-z]`, starting at the bracket.
        private mutating func range() throws -> Part {
            let start = position
            guard let end = bytes[position...].firstIndex(of: UInt8(ascii: "]")) else {
                throw error("'[' without ']'", at: start)
            }
            let content = bytes[(position + 1)..<end]
            position = end + 1
            var (limits, step) = (content, 1)
            if let colon = content.firstIndex(of: UInt8(ascii: ":")) {
                limits = content[..<colon]
                guard let given = number(content[(colon + 1)...]), given > 0 else {
                    throw error("a step that is not a number above 0", at: colon)
                }
                step = given
            }
            let ends = limits.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
            guard ends.count == 2 else { throw noRange(at: start) }
            if let first = number(ends[0]), let last = number(ends[1]) {
                guard first <= last else { throw error("a range that ends before it begins", at: start) }
                let digits = ends[0].first == UInt8(ascii: "0") ? ends[0].count : 1
                return .numbers(first: first, step: step, count: try steps(last - first, step, start), digits: digits)
            }
            guard let first = letter(ends[0]), let last = letter(ends[1]), (first < 0x60) == (last < 0x60) else {
                throw noRange(at: start)
            }
            guard first <= last else { throw error("a range that ends before it begins", at: start) }
            return .letters(first: first, step: step, count: try steps(Int(last - first), step, start))
        }

        private func steps(_ distance: Int, _ step: Int, _ offset: Int) throws -> Int {
            let (count, isTooLarge) = (distance / step).addingReportingOverflow(1)
            guard !isTooLarge else { throw error("a range that is too large", at: offset) }
            return count
        }

        private func number(_ digits: ArraySlice<UInt8>) -> Int? {
            guard !digits.isEmpty, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
            return Int(String(decoding: digits, as: UTF8.self))
        }

        private func letter(_ text: ArraySlice<UInt8>) -> UInt8? {
            guard text.count == 1, let byte = text.first, (0x61...0x7a).contains(byte | 0x20) else { return nil }
            return byte
        }

        private func character(_ offset: Int) -> Character { Character(Unicode.Scalar(bytes[offset])) }

        private func noRange(at offset: Int) -> Failure {
            error("a range that is neither [1-9], [01-99:2] nor [a-z]", at: offset)
        }

        private func error(_ what: String, at offset: Int) -> Failure {
            .usage(
                "'\(shown(pattern))' has \(what), at character \(offset + 1); for the character itself write a "
                    + "backslash before it")
        }
    }
}
