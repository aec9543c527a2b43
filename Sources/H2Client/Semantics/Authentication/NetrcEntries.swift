/// The contents of a `.netrc` file: user names and passwords by host, as ftp, curl and wget read them.
///
/// Words are separated by spaces, tabs and line breaks. A word that starts with `"` ends at the next `"`; inside it,
/// `\n`, `\r` and `\t` are control characters, and a `\` before any other character stands for that character. A word
/// that begins with `#` makes the rest of the line a comment. `macdef` skips all lines up to an empty one.
struct NetrcEntries: Sendable {
    struct Entry: Sendable, Hashable {
        /// In lower case; nil for `default`.
        var machine: String?
        var login: String?
        var password: String?
    }

    /// Limits on a file.
    enum Limits {
        /// Bytes of the file.
        static let length = 1 << 20
        /// Bytes of one word.
        static let word = 4 << 10
        /// The number of `machine` and `default` entries.
        static let entries = 10_000
    }

    /// Why a file cannot be used.
    struct Fault: Error, Sendable, Hashable {
        /// Counted from 1; 0 for the file as a whole.
        var line: Int
        /// Never contains any part of the file.
        var reason: String
    }

    private(set) var entries: [Entry] = []

    init() {}

    init(_ bytes: [UInt8]) throws(Fault) {
        guard bytes.count <= Limits.length else {
            throw Fault(line: 0, reason: "it is larger than \(Limits.length) bytes")
        }
        var words = Words(bytes)
        while let word = try words.next() {
            // A quoted keyword is a value in the wrong place.
            guard !word.isQuoted else { continue }
            switch String(decoding: word.bytes, as: UTF8.self).lowercased() {
            case "machine":
                guard let machine = try words.next() else { return }
                try begin(Entry(machine: machine.text.lowercased()), words.line)
            case "default": try begin(Entry(machine: nil), words.line)
            case "login": try set(\.login, words.next())
            case "password": try set(\.password, words.next())
            case "account": _ = try words.next()
            case "macdef": words.skipMacro()
            default: break
            }
        }
    }

    private mutating func begin(_ entry: Entry, _ line: Int) throws(Fault) {
        guard entries.count < Limits.entries else {
            throw Fault(line: line, reason: "it has more than \(Limits.entries) entries")
        }
        entries.append(entry)
    }

    private mutating func set(_ path: WritableKeyPath<Entry, String?>, _ word: Words.Word?) {
        guard let word, !entries.isEmpty else { return }
        entries[entries.count - 1][keyPath: path] = word.text
    }

    /// The user name and password for a host; nil if there are none.
    ///
    /// The first entry for the host is used, or the first one with the user name. An entry without a user name matches
    /// any. `default` is used for hosts without such an entry.
    /// - Parameters:
    ///   - host: In lower case, an IPv6 address without brackets.
    ///   - user: The user name that is asked for; nil for any.
    ///   - usesDefault: Whether `default` may be used.
    func login(for host: String, user: String? = nil, usesDefault: Bool) -> Login? {
        func fits(_ entry: Entry) -> Bool { user == nil || entry.login == nil || entry.login == user }
        let entry =
            entries.first { $0.machine == host && fits($0) }
            ?? (usesDefault ? entries.first { $0.machine == nil && fits($0) } : nil)
        guard let entry, entry.login != nil || entry.password != nil else { return nil }
        return Login(user: entry.login ?? user ?? "", password: entry.password ?? "")
    }
}

extension NetrcEntries {
    private struct Words {
        struct Word {
            var bytes: [UInt8] = []
            var isQuoted = false
            var text: String { String(decoding: bytes, as: UTF8.self) }
        }

        private let bytes: [UInt8]
        private var at = 0
        /// The line of the last word.
        private(set) var line = 1

        init(_ bytes: [UInt8]) {
            self.bytes = bytes
            // A byte-order mark.
            if bytes.starts(with: [0xef, 0xbb, 0xbf]) { at = 3 }
        }

        mutating func next() throws(Fault) -> Word? {
            while let byte = peek(), Self.isSpace(byte) || byte == UInt8(ascii: "#") {
                if byte == UInt8(ascii: "#") { skipLine() } else { advance() }
            }
            guard let first = peek() else { return nil }
            return first == UInt8(ascii: "\"") ? try quoted() : try plain()
        }

        private mutating func plain() throws(Fault) -> Word {
            var word = Word()
            while let byte = peek(), !Self.isSpace(byte) {
                try append(byte, to: &word)
                advance()
            }
            return word
        }

        private mutating func quoted() throws(Fault) -> Word {
            var word = Word(isQuoted: true)
            let start = line
            advance()
            while var byte = peek(), byte != UInt8(ascii: "\n") {
                advance()
                if byte == UInt8(ascii: "\"") { return word }
                if byte == UInt8(ascii: "\\"), let escaped = peek() {
                    advance()
                    switch escaped {
                    case UInt8(ascii: "n"): byte = UInt8(ascii: "\n")
                    case UInt8(ascii: "r"): byte = UInt8(ascii: "\r")
                    case UInt8(ascii: "t"): byte = UInt8(ascii: "\t")
                    default: byte = escaped
                    }
                }
                try append(byte, to: &word)
            }
            throw Fault(line: start, reason: "a quote does not end on its line")
        }

        private func append(_ byte: UInt8, to word: inout Word) throws(Fault) {
            guard word.bytes.count < Limits.word else {
                throw Fault(line: line, reason: "a word is longer than \(Limits.word) bytes")
            }
            word.bytes.append(byte)
        }

        /// Skips the rest of the line and all lines up to an empty one.
        mutating func skipMacro() {
            repeat {
                skipLine()
                advance()
            } while !isAtEmptyLine
        }

        private var isAtEmptyLine: Bool {
            guard let byte = peek() else { return true }
            return byte == UInt8(ascii: "\n")
                || byte == UInt8(ascii: "\r") && (at + 1 == bytes.count || bytes[at + 1] == UInt8(ascii: "\n"))
        }

        private mutating func skipLine() {
            while let byte = peek(), byte != UInt8(ascii: "\n") { advance() }
        }

        private func peek() -> UInt8? { at < bytes.count ? bytes[at] : nil }

        private mutating func advance() {
            guard at < bytes.count else { return }
            if bytes[at] == UInt8(ascii: "\n") { line += 1 }
            at += 1
        }

        private static func isSpace(_ byte: UInt8) -> Bool {
            byte == UInt8(ascii: " ") || (0x09...0x0d).contains(byte)
        }
    }
}
