/// A JSON Pointer (RFC 6901), which finds a value by scanning a document once, without building a tree of it.
struct JSONPointer: Sendable {
    /// Deeper documents count as malformed.
    static let deepest = 512

    /// As written.
    let text: String
    private let tokens: [Token]

    private struct Token: Sendable {
        let name: [UInt8]
        /// The element that it means if the value is an array.
        let index: Int?
    }

    /// - Throws: `TextProblem` for text that is not a pointer.
    init(_ text: String) throws(TextProblem) {
        self.text = text
        guard !text.isEmpty else {
            tokens = []
            return
        }
        guard text.utf8.first == UInt8(ascii: "/") else {
            throw TextProblem("\(quoted(text)) is not a JSON pointer; write one as /items/0/id")
        }
        var tokens: [Token] = []
        for part in Array(text.utf8.dropFirst()).split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            tokens.append(try Self.token(part, of: text))
        }
        guard tokens.count <= Self.deepest else {
            throw TextProblem("the JSON pointer has more than \(Self.deepest) parts")
        }
        self.tokens = tokens
    }

    private static func token(_ part: ArraySlice<UInt8>, of text: String) throws(TextProblem) -> Token {
        var name: [UInt8] = []
        var bytes = part.makeIterator()
        while let byte = bytes.next() {
            guard byte == UInt8(ascii: "~") else {
                name.append(byte)
                continue
            }
            switch bytes.next() {
            case UInt8(ascii: "0"): name.append(UInt8(ascii: "~"))
            case UInt8(ascii: "1"): name.append(UInt8(ascii: "/"))
            default:
                throw TextProblem(
                    "the JSON pointer \(quoted(text)) has a ~ alone; write ~0 for ~, and ~1 for / in a name")
            }
        }
        // RFC 6901 section 4: no leading zeros. Longer numbers are no index of a document in memory.
        let isIndex = (1...15).contains(name.count) && name.allSatisfy { (0x30...0x39).contains($0) }
        let digits = isIndex && (name.count == 1 || name[0] != 0x30) ? String(decoding: name, as: UTF8.self) : ""
        return Token(name: name, index: Int(digits))
    }

    /// The value that the pointer means: a string's text without its escapes; a number, an object or an array as written;
    /// `true`, `false`, `null`.
    ///
    /// The first of members with the same name counts.
    /// - Returns: nil if there is none, or the document is malformed anywhere.
    func value(in json: [UInt8]) -> [UInt8]? {
        var scan = Scan(bytes: json, tokens: tokens)
        guard scan.document(), let found = scan.found else { return nil }
        return json[found.lowerBound] == UInt8(ascii: "\"") ? unescaped(json[found]) : Array(json[found])
    }

    // MARK: Scanning

    /// A scan of a document (RFC 8259), with a stack of one bit for each open object or array.
    private struct Scan {
        let bytes: [UInt8]
        let tokens: [Token]
        private var at = 0
        /// The range of the value, once its end has been seen.
        private(set) var found: Range<Int>?
        private var start: Int?

        /// Of each open container: whether it is an object.
        private var objects = SIMD8<UInt64>()
        private var depth = 0
        /// How many of the open containers, from the outermost, are those that the pointer goes through.
        private var followed = 0
        /// Whether the pointer's value may still come.
        private var isSearching = true
        /// Whether the next value is the one that the pointer goes to or through.
        private var isOnPath = true
        /// The next element's index, if the innermost container is an array that the pointer goes through.
        private var index = 0

        init(bytes: [UInt8], tokens: [Token]) {
            self.bytes = bytes
            self.tokens = tokens
            // RFC 8259 section 8.1: a parser may ignore a byte order mark.
            if bytes.starts(with: [0xef, 0xbb, 0xbf]) { at = 3 }
        }

        /// Returns false if the document is malformed.
        mutating func document() -> Bool {
            repeat {
                guard value(), end() else { return false }
            } while depth > 0
            skipSpace()
            return at == bytes.count
        }

        private var byte: UInt8? { at < bytes.count ? bytes[at] : nil }

        private mutating func skipSpace() {
            while let byte, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { at += 1 }
        }

        private mutating func takes(_ expected: UInt8) -> Bool {
            guard byte == expected else { return false }
            at += 1
            return true
        }

        /// Reads a value that is no container, or an empty container, and all that opens before it.
        private mutating func value() -> Bool {
            while true {
                skipSpace()
                guard let byte else { return false }
                let isFollowed = isSearching && isOnPath && depth < tokens.count
                if isSearching, isOnPath, depth == tokens.count {
                    start = at
                    isSearching = false
                }
                guard byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") else {
                    // The pointer goes on, but the value has no parts.
                    if isFollowed { isSearching = false }
                    return scalar(byte)
                }
                guard depth < JSONPointer.deepest else { return false }
                let isObject = byte == UInt8(ascii: "{")
                let bit = UInt64(1) << UInt64(depth & 63)
                objects[depth >> 6] = isObject ? objects[depth >> 6] | bit : objects[depth >> 6] & ~bit
                depth += 1
                if isFollowed { followed = depth }
                at += 1
                skipSpace()
                if self.byte == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) { return true }
                index = isFollowed ? 0 : index
                guard isObject ? name() : element() else { return false }
            }
        }

        /// Reads the end of a value, and of each container that ends with it, up to the next value.
        private mutating func end() -> Bool {
            // An empty container is still open.
            while true {
                if depth > 0 {
                    skipSpace()
                    let isObject = objects[(depth - 1) >> 6] & (1 << UInt64((depth - 1) & 63)) != 0
                    if takes(isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) {
                        close()
                        continue
                    }
                    guard takes(UInt8(ascii: ",")) else { return false }
                    if isObject { return name() }
                    if followed == depth { index += 1 }
                    return element()
                }
                return true
            }
        }

        private mutating func close() {
            depth -= 1
            if depth < followed {
                followed = depth
                isSearching = false
            }
            valueEnded()
        }

        /// Notes the end of the pointer's value, whose depth is the number of tokens.
        private mutating func valueEnded() {
            if let start, found == nil, depth == tokens.count { found = start..<at }
        }

        /// Before an element of an array.
        private mutating func element() -> Bool {
            isOnPath = isSearching && followed == depth && tokens[depth - 1].index == index
            return true
        }

        /// Reads a member's name and the colon.
        private mutating func name() -> Bool {
            skipSpace()
            let start = at
            guard byte == UInt8(ascii: "\""), string() else { return false }
            isOnPath = false
            if isSearching, followed == depth {
                let raw = bytes[start + 1..<at - 1]
                let wanted = tokens[depth - 1].name
                isOnPath =
                    raw.contains(UInt8(ascii: "\\"))
                    ? unescaped(bytes[start..<at]) == wanted : raw.elementsEqual(wanted)
            }
            skipSpace()
            return takes(UInt8(ascii: ":"))
        }

        private mutating func scalar(_ byte: UInt8) -> Bool {
            let isValid =
                switch byte {
                case UInt8(ascii: "\""): string()
                case UInt8(ascii: "t"): literal("true")
                case UInt8(ascii: "f"): literal("false")
                case UInt8(ascii: "n"): literal("null")
                default: number()
                }
            valueEnded()
            return isValid
        }

        private mutating func literal(_ word: StaticString) -> Bool {
            word.withUTF8Buffer { word in
                guard bytes[at...].starts(with: word) else { return false }
                at += word.count
                return true
            }
        }

        private mutating func digits() -> Bool {
            let start = at
            while let byte, (0x30...0x39).contains(byte) { at += 1 }
            return at > start
        }

        private mutating func number() -> Bool {
            _ = takes(UInt8(ascii: "-"))
            guard takes(UInt8(ascii: "0")) || digits() else { return false }
            if takes(UInt8(ascii: ".")), !digits() { return false }
            if takes(UInt8(ascii: "e")) || takes(UInt8(ascii: "E")) {
                _ = takes(UInt8(ascii: "+")) || takes(UInt8(ascii: "-"))
                return digits()
            }
            return true
        }

        private mutating func string() -> Bool {
            // Most of a document is text, which is fastest read in a loop without `at`.
            var next = at + 1
            while next < bytes.count {
                let byte = bytes[next]
                next += 1
                if byte == UInt8(ascii: "\"") {
                    at = next
                    return true
                }
                guard byte >= 0x20 else { return false }
                guard byte == UInt8(ascii: "\\") else { continue }
                guard next < bytes.count else { return false }
                let escape = bytes[next]
                next += 1
                if escape == UInt8(ascii: "u") {
                    guard next + 4 <= bytes.count, codeUnit(bytes[next..<next + 4]) != nil else { return false }
                    next += 4
                } else if simpleEscape(escape) == nil {
                    return false
                }
            }
            return false
        }
    }
}

/// RFC 8259 section 7.
private func simpleEscape(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): byte
    case UInt8(ascii: "b"): 0x08
    case UInt8(ascii: "f"): 0x0c
    case UInt8(ascii: "n"): 0x0a
    case UInt8(ascii: "r"): 0x0d
    case UInt8(ascii: "t"): 0x09
    default: nil
    }
}

/// The value of four hexadecimal digits.
private func codeUnit(_ digits: ArraySlice<UInt8>) -> UInt32? {
    var value: UInt32 = 0
    for digit in digits {
        switch digit {
        case 0x30...0x39: value = value << 4 | UInt32(digit - 0x30)
        case 0x41...0x46: value = value << 4 | UInt32(digit - 0x41 + 10)
        case 0x61...0x66: value = value << 4 | UInt32(digit - 0x61 + 10)
        default: return nil
        }
    }
    return value
}

/// The text of a well-formed JSON string with its quotes; nil for half a surrogate pair, which is no text.
private func unescaped(_ string: ArraySlice<UInt8>) -> [UInt8]? {
    let bytes = string.dropFirst().dropLast()
    guard bytes.contains(UInt8(ascii: "\\")) else { return Array(bytes) }
    var text: [UInt8] = []
    text.reserveCapacity(bytes.count)
    var at = bytes.startIndex
    while at < bytes.endIndex {
        guard bytes[at] == UInt8(ascii: "\\") else {
            text.append(bytes[at])
            at += 1
            continue
        }
        if let byte = simpleEscape(bytes[at + 1]) {
            text.append(byte)
            at += 2
            continue
        }
        guard var value = codeUnit(bytes[at + 2..<at + 6]) else { return nil }
        at += 6
        if (0xd800..<0xdc00).contains(value) {
            guard at + 6 <= bytes.endIndex, bytes[at] == UInt8(ascii: "\\"), bytes[at + 1] == UInt8(ascii: "u"),
                let low = codeUnit(bytes[at + 2..<at + 6]), (0xdc00..<0xe000).contains(low)
            else { return nil }
            value = 0x10000 + (value - 0xd800) << 10 + (low - 0xdc00)
            at += 6
        }
        guard let scalar = Unicode.Scalar(value) else { return nil }
        text += UTF8.encode(scalar)!
    }
    return text
}
