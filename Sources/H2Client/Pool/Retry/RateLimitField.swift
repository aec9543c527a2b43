/// `RateLimit: "default";r=0;t=30` (draft-ietf-httpapi-ratelimit-headers): a List of Strings with parameters (RFC 9651 section
/// 3.1). Each is a quota; `r` is what remains and `t` the seconds until it is refilled.
///
/// Drafts up to the seventh used a Dictionary: `limit=10, remaining=0, reset=30`. It is understood too.
enum RateLimitField {
    /// Seconds to wait: the longest `t` whose `r` is 0. nil if no quota is used up or the syntax is invalid.
    static func pause(_ value: String) -> Int? {
        var parser = Parser(value)
        return parser.pause()
    }

    /// A bare item (RFC 9651 section 3.3); types that do not matter here are not distinguished.
    private enum Item {
        case integer(Int)
        case string
        case token(Substring)
        case other
    }

    private struct Parser {
        private var rest: Substring.UTF8View
        private var longest: Int?
        /// From the Dictionary form.
        private var remaining: Int?
        private var reset: Int?

        init(_ value: String) { rest = value[...].utf8 }

        mutating func pause() -> Int? {
            skip(while: isBlank)
            while true {
                guard member() else { return nil }
                skip(while: isBlank)
                if rest.isEmpty { break }
                guard take(",") else { return nil }
                skip(while: isBlank)
                // A trailing comma is an error (RFC 9651 section 4.2.1); `member` finds it.
            }
            if remaining == 0, let reset { longest = max(longest ?? 0, reset) }
            return longest
        }

        private mutating func member() -> Bool {
            guard let item = bareItem() else { return false }
            if case .token(let key) = item, take("=") {
                guard let value = bareItem() else { return false }
                if case .integer(let number) = value, number >= 0 {
                    if key == "remaining" { remaining = number }
                    if key == "reset" { reset = number }
                }
            }
            var left: Int?
            var wait: Int?
            while take(";") {
                skip(while: { $0 == 0x20 })
                guard let name = key() else { return false }
                guard take("=") else { continue }
                guard let value = bareItem() else { return false }
                // The last parameter of the same name counts (RFC 9651 section 4.2.3.2).
                guard case .integer(let number) = value, number >= 0 else { continue }
                if name == "r" { left = number }
                if name == "t" { wait = number }
            }
            if left == 0, let wait { longest = max(longest ?? 0, wait) }
            return true
        }

        private mutating func bareItem() -> Item? {
            switch rest.first {
            case UInt8(ascii: "\""): return string()
            case UInt8(ascii: ":"):
                rest = rest.dropFirst()
                skip(while: { isLetter($0) || isDigit($0) || "+/=".utf8.contains($0) })
                return take(":") ? .other : nil
            case UInt8(ascii: "?"):
                rest = rest.dropFirst()
                return take("0") || take("1") ? .other : nil
            case UInt8(ascii: "@"):
                rest = rest.dropFirst()
                return number().map { _ in .other }
            case let byte? where isLetter(byte) || byte == UInt8(ascii: "*"):
                return .token(taken { isLetter($0) || isDigit($0) || "!#$%&'*+-.^_`|~:/".utf8.contains($0) })
            default: return number()
            }
        }

        private mutating func string() -> Item? {
            rest = rest.dropFirst()
            while let byte = rest.popFirst() {
                switch byte {
                case UInt8(ascii: "\""): return .string
                case UInt8(ascii: "\\"):
                    guard let escaped = rest.popFirst(), "\"\\".utf8.contains(escaped) else { return nil }
                case 0x20...0x7e: break
                default: return nil
                }
            }
            return nil
        }

        /// An Integer of up to 15 digits; a Decimal is consumed but not an Integer.
        private mutating func number() -> Item? {
            let isNegative = take("-")
            let digits = taken(while: isDigit)
            guard (1...15).contains(digits.utf8.count), let number = Int(digits) else { return nil }
            guard take(".") else { return .integer(isNegative ? -number : number) }
            guard digits.utf8.count <= 12, (1...3).contains(taken(while: isDigit).utf8.count) else { return nil }
            return .other
        }

        private mutating func key() -> Substring? {
            guard let first = rest.first, first == UInt8(ascii: "*") || (0x61...0x7a).contains(first) else {
                return nil
            }
            return taken { (0x61...0x7a).contains($0) || isDigit($0) || "_-.*".utf8.contains($0) }
        }

        private mutating func taken(while isPart: (UInt8) -> Bool) -> Substring {
            let part = rest.prefix(while: isPart)
            rest = rest[part.endIndex...]
            return Substring(part)
        }

        private mutating func skip(while isSkipped: (UInt8) -> Bool) { rest = rest.drop(while: isSkipped) }

        private mutating func take(_ character: Unicode.Scalar) -> Bool {
            guard rest.first == UInt8(ascii: character) else { return false }
            rest = rest.dropFirst()
            return true
        }
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7a).contains(byte | 0x20) }
}
