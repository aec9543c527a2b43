internal import ArgumentParser

/// A command that takes URLs (or files), possibly thousands, and allows joined letters like curl and h2load.
protocol URLCommand: ParsableCommand {
    /// The letters of options that take a value.
    static var lettersWithValue: Set<UInt8> { get }
    var urls: [String] { get set }
}

/// swift-argument-parser with our error messages, and without its cost for thousands of URLs.
enum CommandLineReader {
    /// Parses `arguments`. For help and version, prints them and ends the process.
    /// - Throws: `Failure` (`usage`).
    static func read<Command: ParsableCommand>(_ type: Command.Type, _ arguments: [String]) throws -> Command {
        var (parsed, urls) = (arguments, [String]())
        if let type = type as? any URLCommand.Type {
            (parsed, urls) = split(arguments)
            parsed = separated(parsed, lettersWithValue: type.lettersWithValue)
        }
        do {
            let command = try type.parseAsRoot(parsed)
            guard var command = command as? Command else {
                try printHelp(type)
            }
            if !urls.isEmpty, var withURLs = command as? any URLCommand {
                withURLs.urls += urls
                if let whole = withURLs as? Command { command = whole }
            }
            return command
        } catch let failure as Failure {
            throw failure
        } catch {
            if type.exitCode(for: error) == .success {
                try printAndEnd(type.fullMessage(for: error))
            }
            let message = withoutSecrets(type.message(for: error), parsed)
            throw Failure.usage("\(message); '\(type.configuration.commandName ?? "h2get") --help' lists the options")
        }
    }

    /// The parser's message without possible secrets among the arguments that it quotes.
    private static func withoutSecrets(_ message: String, _ arguments: [String]) -> String {
        var message = message
        for argument in arguments {
            var values = [argument]
            if argument.utf8.first == UInt8(ascii: "-"), let equals = argument.utf8.firstIndex(of: UInt8(ascii: "=")) {
                values.append(String(argument[argument.utf8.index(after: equals)...]))
            }
            for value in values {
                let text = isNumbers(value) ? value : isHarmless(value) ? shown(value) : "***"
                if text != value { message = message.replacing("'\(value)'", with: "'\(text)'") }
            }
        }
        return message
    }

    /// Whether `value` is a short list of numbers or statuses, such as `204 ,2xx`. Spaces do not make a secret of it.
    private static func isNumbers(_ value: String) -> Bool {
        value.utf8.count <= 100 && value.utf8.allSatisfy { (0x30...0x39).contains($0) || " ,.xX".utf8.contains($0) }
    }

    /// Whether `value` is certainly not a secret: `me:password` may be meant for an option of curl's, `0..1K:30s` is not.
    private static func isHarmless(_ value: String) -> Bool {
        if value.firstRange(ofASCII: "://") != nil { return true }
        let parts = value.utf8.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        return parts.count == 1 || parts.allSatisfy { $0.first.map { (0x30...0x39).contains($0) } ?? false }
    }

    /// Prints the help and ends the process.
    /// - Throws: `Failure` (`writeFailed`).
    static func printHelp<Command: ParsableCommand>(_ type: Command.Type) throws -> Never {
        try printAndEnd(help(type))
    }

    private static func printAndEnd(_ text: String) throws -> Never {
        try MeasureRun.show(text + "\n")
        Interruption.end(with: 0)
    }

    static func help<Command: ParsableCommand>(_ type: Command.Type) -> String { type.helpMessage(columns: helpWidth) }

    /// The terminal's width, limited to a readable range.
    private static var helpWidth: Int { min(max(Console.standardOutputWidth ?? 120, 60), 120) }

    /// Rewrites `-sXPUT` and `-sSo FILE`, which the parser does not support, as `-s -X PUT` and `-sS -o FILE`.
    static func separated(_ arguments: [String], lettersWithValue: Set<UInt8>) -> [String] {
        var out: [String] = []
        var isValue = false
        for (index, argument) in arguments.enumerated() {
            if argument == "--" { return out + arguments[index...] }
            let word = Array(argument.utf8)
            let isCluster = !isValue && word.count > 1 && word[0] == UInt8(ascii: "-") && word[1] != word[0]
            guard isCluster, let letter = word.firstIndex(where: lettersWithValue.contains) else {
                out.append(argument)
                // The word after a long option may be its value, which must not be changed.
                isValue = !isValue && argument.hasPrefix("--") && !argument.utf8.contains(UInt8(ascii: "="))
                continue
            }
            if letter > 1 { out.append(String(decoding: word[..<letter], as: UTF8.self)) }
            out.append("-" + String(decoding: [word[letter]], as: UTF8.self))
            if letter + 1 < word.count { out.append(String(decoding: word[(letter + 1)...], as: UTF8.self)) }
            isValue = letter + 1 == word.count
        }
        return out
    }

    /// Splits off the URLs at the end, because the parser's cost is quadratic: 2 s for 10,000 arguments.
    ///
    /// No option takes two values, so in a run of words without a dash only the first can be an option's value. That one
    /// is left to the parser.
    static func split(_ arguments: [String]) -> (parsed: [String], urls: [String]) {
        guard arguments.count > 32 else { return (arguments, []) }
        let lastOption = arguments.lastIndex { $0.utf8.first == UInt8(ascii: "-") } ?? -1
        let end = min(lastOption + 2, arguments.count)
        return (Array(arguments[..<end]), Array(arguments[end...]))
    }
}
