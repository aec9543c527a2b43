/// The contents of a field `strict-transport-security` (RFC 6797 section 6.1).
struct StrictTransportField: Equatable {
    /// Seconds; 0 if the host withdraws its policy.
    var maximumAge: Int
    var includesSubdomains = false

    /// Parses the value of a field.
    /// - Returns: nil if it must be ignored: max-age is missing or invalid, or a directive occurs twice.
    init?(_ field: [UInt8]) {
        var age: Int?
        var names: Set<String> = []
        var rest = field[...]
        while !rest.isEmpty {
            let end = Self.end(ofDirectiveIn: rest)
            let directive = SetCookie.trimmed(rest[..<end])
            rest = rest[end...].dropFirst()
            // Empty directives are allowed.
            guard !directive.isEmpty else { continue }
            let equals = directive.firstIndex(of: UInt8(ascii: "="))
            let name = SetCookie.trimmed(directive[..<(equals ?? directive.endIndex)])
            let value = equals.map { SetCookie.trimmed(directive[($0 + 1)...]) }
            guard !name.isEmpty, names.count < 32,
                names.insert(String(decoding: name, as: UTF8.self).lowercased()).inserted
            else { return nil }
            switch String(decoding: name, as: UTF8.self).lowercased() {
            case "max-age":
                guard let value, let seconds = Self.seconds(value) else { return nil }
                age = seconds
            case "includesubdomains":
                guard value == nil else { return nil }
                includesSubdomains = true
            default: break
            }
        }
        guard let age else { return nil }
        maximumAge = age
    }

    /// The index of the semicolon that ends a directive; semicolons in quotes do not.
    private static func end(ofDirectiveIn rest: ArraySlice<UInt8>) -> Int {
        var isQuoted = false
        var index = rest.startIndex
        while index < rest.endIndex {
            switch rest[index] {
            case UInt8(ascii: "\""): isQuoted.toggle()
            case UInt8(ascii: "\\") where isQuoted: index += 1
            case UInt8(ascii: ";") where !isQuoted: return index
            default: break
            }
            index += 1
        }
        return rest.endIndex
    }

    /// A number, optionally in quotes. Int.max stands for all larger numbers.
    private static func seconds(_ value: ArraySlice<UInt8>) -> Int? {
        var digits = value
        if digits.first == UInt8(ascii: "\"") {
            guard digits.count >= 2, digits.last == UInt8(ascii: "\"") else { return nil }
            digits = digits.dropFirst().dropLast()
        }
        guard !digits.isEmpty, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int(String(decoding: digits, as: UTF8.self)) ?? Int.max
    }
}
