/// Takes command lines apart as curl does: joined letters (`-sSo FILE`, `-ofile`), `--name VALUE` and `--name=VALUE`,
/// `--no-name`, values that look like options, and `--` before operands that do.
struct CommandLineParser {
    /// The request that a command line makes.
    enum Result: Sendable {
        case run(Arguments)
        /// --help, with its topic.
        case help(topic: String?)
        case version
    }

    let command: Command
    private let options: [Option]

    init(_ command: Command) {
        self.command = command
        options = OptionTable.options(of: command)
    }

    /// - Parameter words: the words after those that name the command.
    /// - Throws: `Failure` (`usage`).
    func parse(_ words: ArraySlice<[UInt8]>) throws -> Result {
        var arguments = Arguments(command: command)
        var rest = words
        while let word = rest.popFirst() {
            guard word.first == UInt8(ascii: "-"), word.count > 1 else {
                arguments.operands.append(try operand(word))
                continue
            }
            if word.count == 2, word[1] == UInt8(ascii: "-") {
                for word in rest { arguments.operands.append(try operand(word)) }
                break
            }
            let result =
                word[1] == UInt8(ascii: "-")
                ? try parseLong(word, &rest, &arguments) : try parseLetters(word, &rest, &arguments)
            if let result { return result }
        }
        return .run(arguments)
    }

    // MARK: - Words

    private func operand(_ word: [UInt8]) throws -> String {
        guard let text = String(validating: word, as: UTF8.self) else {
            throw Arguments.notUTF8("the argument '\(shown(String(decoding: word, as: UTF8.self)))'")
        }
        return text
    }

    func parseLong(
        _ word: [UInt8], _ rest: inout ArraySlice<[UInt8]>, _ arguments: inout Arguments
    ) throws -> Result? {
        let equals = word.firstIndex(of: UInt8(ascii: "="))
        let name = String(decoding: word[2..<(equals ?? word.endIndex)], as: UTF8.self)
        let joined = equals.map { Array(word[($0 + 1)...]) }
        if let option = options.first(where: { $0.name == name }) {
            return try take(option, "--\(name)", joined, &rest, &arguments)
        }
        if name.hasPrefix("expand-"), command == .fetch,
            let option = options.first(where: { $0.name.utf8.elementsEqual(name.utf8.dropFirst(7)) })
        {
            return try takeExpanded(option, "--\(name)", joined, &rest, &arguments)
        }
        if name.hasPrefix("no-"),
            let option = options.first(where: { $0.name.utf8.elementsEqual(name.utf8.dropFirst(3)) }),
            option.value == nil, ![.help, .version, .next].contains(option.key)
        {
            guard joined == nil else { throw takesNoValue("--\(name)") }
            arguments.add(.init(key: option.key, spelling: "--\(name)", isOn: false))
            return nil
        }
        throw unknown("--\(name)")
    }

    func parseLetters(
        _ word: [UInt8], _ rest: inout ArraySlice<[UInt8]>, _ arguments: inout Arguments
    ) throws -> Result? {
        var index = 1
        while index < word.count {
            let letter = word[index]
            guard let option = options.first(where: { $0.letter.map { UInt8(ascii: $0) } == letter }) else {
                let isWhole = index == 1 && word.count == 2
                let text = String(decoding: word, as: UTF8.self)
                throw unknown(
                    letter < 0x80 ? "-\(Character(Unicode.Scalar(letter)))" : text,
                    within: isWhole || letter >= 0x80 ? nil : text)
            }
            index += 1
            let spelling = "-\(Character(Unicode.Scalar(letter)))"
            // -h in a cluster has no topic.
            if option.value != nil, option.key != .help || index == word.count {
                let joined = index < word.count ? Array(word[index...]) : nil
                return try take(option, spelling, joined, &rest, &arguments)
            }
            if let result = try take(option, spelling, nil, &rest, &arguments) { return result }
        }
        return nil
    }

    // MARK: - Options

    /// - Parameter joined: the value in the same word, if there is one.
    private func take(
        _ option: Option, _ spelling: String, _ joined: [UInt8]?, _ rest: inout ArraySlice<[UInt8]>,
        _ arguments: inout Arguments
    ) throws -> Result? {
        switch option.key {
        case .help:
            let topic = joined ?? rest.first
            return .help(topic: topic.flatMap { String(validating: $0, as: UTF8.self) })
        case .version: return .version
        case .disable:
            guard arguments.files.isEmpty, arguments.occurrences.isEmpty, arguments.operands.isEmpty else {
                throw Failure.usage("\(spelling) counts as the first option only; write it before all others")
            }
        case .next: arguments.operandsBeforeNext.append(arguments.operands.count)
        default: break
        }
        guard let name = option.value else {
            guard joined == nil else { throw takesNoValue(spelling) }
            arguments.add(.init(key: option.key, spelling: spelling))
            return nil
        }
        guard let value = joined ?? rest.popFirst() else {
            throw Failure.usage("\(spelling) needs a value: \(spelling) \(name); \(arguments.seeHelp)")
        }
        arguments.add(.init(key: option.key, spelling: spelling, value: value, hasValue: true))
        if option.key == .variable { try arguments.variables.set(value, by: spelling) }
        if option.key == .config {
            guard let path = String(validating: value, as: UTF8.self), !path.isEmpty else {
                throw Failure.usage("\(spelling) needs a file's name, in UTF-8")
            }
            try addFile(path, to: &arguments)
        }
        // URLs keep their order, with the option or without.
        if option.key == .url, value.first != UInt8(ascii: "@") { arguments.operands.append(try operand(value)) }
        return nil
    }

    /// An option whose value has variables.
    private func takeExpanded(
        _ option: Option, _ spelling: String, _ joined: [UInt8]?, _ rest: inout ArraySlice<[UInt8]>,
        _ arguments: inout Arguments
    ) throws -> Result? {
        guard let name = option.value, option.key != .help else {
            throw Failure.usage("\(spelling): --\(option.name) has no value to expand; write --\(option.name)")
        }
        guard let value = joined ?? rest.popFirst() else {
            throw Failure.usage("\(spelling) needs a value: \(spelling) \(name); \(arguments.seeHelp)")
        }
        return try take(option, spelling, try arguments.variables.expand(value, of: spelling), &rest, &arguments)
    }

    private func takesNoValue(_ spelling: String) -> Failure {
        Failure.usage("\(spelling) takes no value; \(Arguments(command: command).seeHelp)")
    }

    /// - Parameter word: the joined letters among which it stands.
    private func unknown(_ spelling: String, within word: String? = nil) -> Failure {
        // The text after the letter may be the value of another tool's option, such as a password.
        let letters = word.map { text in
            let end =
                text.dropFirst().firstIndex { "-\($0)" == spelling }.map { text.index(after: $0) } ?? text.endIndex
            return text[..<end] + (end == text.endIndex ? "" : "…")
        }
        let place = letters.map { " (in '\(shown(String($0)))')" } ?? ""
        let remedy = UnknownOption(spelling, command).remedy
        return Failure.usage(
            "\(shown(spelling))\(place) is not an option of \(command.name)\(remedy.isEmpty ? "" : ": \(remedy)"); "
                + Arguments(command: command).seeHelp)
    }
}
