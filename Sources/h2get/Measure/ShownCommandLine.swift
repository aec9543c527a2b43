import H2Measure

/// A command line for reports, without the credentials of URLs and without header field values that may be secrets.
enum ShownCommandLine {
    /// The maximum length; the beginning of a long list of URLs is enough.
    private static let longest = 2_000

    /// Fields whose values are not secrets and often matter to a measurement.
    private static let open: Set<String> = [
        "accept", "accept-encoding", "accept-language", "cache-control", "content-type", "expect", "host",
        "if-modified-since", "if-none-match", "pragma", "range", "te", "user-agent",
    ]

    /// - Parameters:
    ///   - command: the command's name, such as `h2get bench`.
    ///   - lettersWithValue: the command's letters that take a value, to separate joined options.
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

    /// Hides the value of `Name: value` unless known to be harmless; leaves `@FILE`, `Name:` and `Name;` as they are.
    private static func field(_ text: String) -> String {
        guard let colon = text.firstIndex(of: ":"), text.first != "@" else {
            return text.first == "@" || text.hasSuffix(";") ? text : "***"
        }
        let name = text[..<colon].lowercased()
        let value = text[colon...].dropFirst().drop { $0 == " " }
        return value.isEmpty || open.contains(name) ? text : "\(text[..<colon]): ***"
    }

    /// Quotes `word` so that a shell reads it as one word.
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
