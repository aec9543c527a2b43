import H2Measure
import H2Platform

/// A command line for reports, without the credentials of URLs and without header field values that may be secrets.
enum ShownCommandLine {
    /// The maximum length; the beginning of a long list of URLs is enough.
    private static let longest = 2_000

    /// Fields whose values are not secrets and often matter to a measurement.
    private static let open: Set<String> = [
        "accept", "accept-encoding", "accept-language", "cache-control", "content-type", "expect", "host",
        "if-modified-since", "if-none-match", "pragma", "range", "te", "user-agent",
    ]

    /// The command, its options in order, and its operands.
    static func text(_ arguments: Arguments) -> String {
        var words = [arguments.command.name]
        // The options of a configuration file stand for it.
        for occurrence in arguments.occurrences where occurrence.key != .config {
            words.append(occurrence.spelling)
            guard occurrence.hasValue else { continue }
            let value = String(decoding: occurrence.value, as: UTF8.self)
            switch occurrence.key {
            case .header: words.append(quoted(field(value)))
            case .cert:
                let (file, passphrase) = TLSFiles.parts(value)
                words.append(quoted(passphrase == nil ? file : "\(file):***"))
            default: words.append(quoted(shown(value)))
            }
        }
        for operand in arguments.operands {
            words.append(quoted(shown(operand)))
            // The rest will not be shown.
            if words.count > longest { break }
        }
        let text = words.joined(separator: " ")
        return text.count <= longest ? text : text.prefix(longest) + "…"
    }

    private static func shown(_ word: String) -> String { word.containsBytes(of: "://") ? withoutSecrets(word) : word }

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
