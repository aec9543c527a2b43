internal import ArgumentParser
import Glibc

/// swift-argument-parser with our way of saying errors, and without its cost for thousands of URLs.
enum CommandLineReader {
    /// Reads `arguments`; help and version are printed, and end the process.
    /// - Throws: `Failure` (`usage`).
    static func read<Command: ParsableCommand>(_ type: Command.Type, _ arguments: [String]) throws -> Command {
        let (parsed, urls) = split(arguments)
        do {
            let command = try type.parseAsRoot(parsed)
            guard var command = command as? Command else {
                printHelp(type)
                exit(0)
            }
            if var get = command as? GetCommand, !urls.isEmpty {
                get.urls += urls
                if let whole = get as? Command { command = whole }
            }
            return command
        } catch {
            if type.exitCode(for: error) == .success {
                print(type.fullMessage(for: error))
                exit(0)
            }
            let name = type == GetCommand.self ? "h2get" : "h2get serve"
            throw Failure.usage("\(type.message(for: error)); '\(name) --help' lists the options")
        }
    }

    static func printHelp<Command: ParsableCommand>(_ type: Command.Type) {
        print(type.helpMessage(columns: 120))
    }

    /// Takes the URLs at the end off: the parser's cost grows with the square of what it is given, 2 s for 10,000.
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
