import H2Measure

/// A command line as reports may have it: without credentials of URLs, and without values of header fields that may be
/// secrets.
enum ShownCommandLine {
    /// A list of thousands of URLs says no more than its beginning.
    private static let longest = 2_000

    /// Fields whose values are no secrets, and often are what a measurement depends on.
    private static let open: Set<String> = [
        "accept", "accept-encoding", "accept-language", "cache-control", "content-type", "expect", "host",
        "if-modified-since", "if-none-match", "pragma", "range", "te", "user-agent",
    ]

    /// - Parameters:
    ///   - command: `h2get bench`, say.
    ///   - lettersWithValue: of the command, so that joined options come apart.
    static func text(_ command: String, _ arguments: [String], lettersWithValue: Set<UInt8>) -> String {
        var words = [command]
        var isField = false
        for word in CommandLineReader.separated(arguments, lettersWithValue: lettersWithValue) {
            if isField {
                words.append(quoted(field(word)))
            } else if word.hasPrefix("--header=") {
                words.append(quoted("--header=" + field(String(word.dropFirst(9)))))
            } else {
                words.append(quoted(word.contains("://") ? withoutSecrets(word) : word))
            }
            isField = !isField && (word == "-H" || word == "--header")
        }
        let text = words.joined(separator: " ")
        return text.count <= longest ? text : text.prefix(longest) + "…"
    }

    /// `Name: value` with the value hidden, unless it is known to be harmless; `@FILE`, `Name:` and `Name;` as they are.
    private static func field(_ text: String) -> String {
        guard let colon = text.firstIndex(of: ":"), text.first != "@" else {
            return text.first == "@" || text.hasSuffix(";") ? text : "***"
        }
        let name = text[..<colon].lowercased()
        let value = text[colon...].dropFirst().drop { $0 == " " }
        return value.isEmpty || open.contains(name) ? text : "\(text[..<colon]): ***"
    }

    /// As a shell takes it for one word.
    private static func quoted(_ word: String) -> String {
        let plain = word.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "-_./:=,@%+".utf8.contains(byte)
            }
        }
        guard !plain || word.isEmpty else { return word }
        return "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}
