import H2Measure
import H2Platform
import Synchronization

/// Arguments that are not UTF-8, which no `String` can hold.
///
/// Data and header fields are bytes in HTTP. While the command line is parsed, a unique text replaces such an argument, and
/// `bytes(of:)` returns its bytes. Anywhere else it is a usage error, because the wrong bytes would be used.
enum RawArguments {
    private static let values = Mutex<[String: [UInt8]]>([:])
    /// A noncharacter, which no user types.
    private static let mark = "\u{10FFFE}"

    /// The process's arguments as bytes.
    static func ofProcess() -> [[UInt8]] {
        (1..<max(Int(CommandLine.argc), 1)).compactMap { index in
            CommandLine.unsafeArgv[index].map { text in
                Array(UnsafeRawBufferPointer(start: text, count: strlen(text)))
            }
        }
    }

    /// The arguments as text.
    /// - Throws: `Failure` (`usage`) for one that is not UTF-8, unless it is data or a header field of a fetch.
    static func texts(_ arguments: [[UInt8]]) throws -> [String] {
        let isFetch = !["serve", "bench", "compare", "sweep", "help"].contains {
            arguments.first?.elementsEqual($0.utf8) == true
        }
        var texts: [String] = []
        for (index, argument) in arguments.enumerated() {
            if let text = String(validating: argument, as: UTF8.self) {
                texts.append(text)
                continue
            }
            let (option, value) = parts(argument, after: texts.last)
            let isData = ["-d", "--data", "--data-binary"].contains(option)
            guard isFetch, isData || ["-H", "--header"].contains(option), value.first != UInt8(ascii: "@") else {
                throw notUTF8(argument, option)
            }
            let text = "\(mark)\(index)\(mark)"
            values.withLock { $0[text] = Array(value) }
            let head = argument.dropLast(value.count)
            if !head.isEmpty { texts.append(String(decoding: head, as: UTF8.self)) }
            // The parser takes `--data=VALUE` as one word.
            if head.last == UInt8(ascii: "=") { texts[texts.count - 1] += text } else { texts.append(text) }
        }
        return texts
    }

    /// The bytes of a value of the command line.
    static func bytes(of text: String) -> [UInt8] {
        guard text.hasPrefix(mark) else { return Array(text.utf8) }
        return values.withLock { $0[text] } ?? Array(text.utf8)
    }

    /// Checks that no other option or URL contains bytes that are not UTF-8.
    /// - Parameter used: the values of the options that take bytes.
    /// - Throws: `Failure` (`usage`).
    static func check(_ used: [String]) throws {
        let missing = values.withLock { values in values.keys.first { !used.contains($0) } }
        // It may be a secret.
        if missing != nil { throw notUTF8(nil, nil) }
    }

    /// The option to which a word belongs, and its value within the word.
    private static func parts(_ word: [UInt8], after last: String?) -> (option: String?, value: ArraySlice<UInt8>) {
        let dash = UInt8(ascii: "-")
        if word.starts(with: [dash, dash]), let equals = word.firstIndex(of: UInt8(ascii: "=")) {
            return (String(decoding: word[..<equals], as: UTF8.self), word[(equals + 1)...])
        }
        let letters = GetCommand.lettersWithValue
        if word.count > 1, word[0] == dash, word[1] != dash, let index = word.firstIndex(where: letters.contains) {
            let head = word[..<index]
            if head.allSatisfy({ $0 < 0x80 }), index + 1 < word.count {
                return ("-" + String(decoding: [word[index]], as: UTF8.self), word[(index + 1)...])
            }
        }
        guard let last, last.utf8.first == dash, last.utf8.count > 1 else { return (nil, word[...]) }
        if last.hasPrefix("--") { return (last.utf8.contains(UInt8(ascii: "=")) ? nil : last, word[...]) }
        // In joined letters the first one that takes a value is the option, and the rest is its value.
        guard let index = last.utf8.firstIndex(where: letters.contains), last.utf8.index(after: index) == last.endIndex
        else { return (last.utf8.count == 2 ? last : nil, word[...]) }
        return ("-" + last.suffix(1), word[...])
    }

    /// - Parameter argument: the argument to quote; nil if it may be a secret, like any option's value.
    private static func notUTF8(_ argument: [UInt8]?, _ option: String?) -> Failure {
        let text = argument.map { " '\(shown(String(decoding: $0, as: UTF8.self)))'" } ?? ""
        let what = option.map { "the value of \($0)" } ?? "the argument\(text)"
        return Failure.usage(
            "\(what) is not UTF-8; only -d, --data-binary and -H take other bytes, and URLs as %XX")
    }
}
