/// Options of configuration files.
extension CommandLineParser {
    /// How many files may name each other.
    private static let deepestFile = 8

    /// Adds the options of a file, at the place where the command line names it.
    /// - Throws: `Failure`, with the file and the line.
    func addFile(_ path: String, to arguments: inout Arguments) throws {
        guard arguments.files.count < Self.deepestFile else {
            throw Failure.usage("\(Self.deepestFile) configuration files name each other; leave one -K out")
        }
        let file = try ConfigurationFile(path: path)
        let outer = arguments.files
        defer { arguments.files = outer }
        for line in file.lines {
            arguments.files = outer + ["\(file.name):\(line.number)"]
            do {
                try add(line, to: &arguments)
            } catch let failure as Failure where !failure.message.hasPrefix("\(file.name):") {
                throw Failure(failure.status, "\(file.name):\(line.number): \(failure.message)")
            }
        }
    }

    private func add(_ line: ConfigurationFile.Line, to arguments: inout Arguments) throws {
        let word = line.option
        guard word.count > 1, word != Array("--".utf8) else {
            throw Failure.usage("'\(shown(String(decoding: word, as: UTF8.self)))' is not an option")
        }
        var rest = (line.value.map { [$0] } ?? [])[...]
        let result =
            word[1] == UInt8(ascii: "-")
            ? try parseLong(word, &rest, &arguments) : try parseLetters(word, &rest, &arguments)
        // The text after a = or a letter may be a secret.
        let isLong = word[1] == UInt8(ascii: "-")
        let named = isLong ? word.prefix { $0 != UInt8(ascii: "=") } : word.prefix(2)
        let name = shown(String(decoding: named, as: UTF8.self))
        guard result == nil else { throw Failure.usage("\(name) has no place in a configuration file") }
        guard rest.isEmpty else {
            throw Failure.usage(named.count < word.count ? "\(name) has a value already" : "\(name) takes no value")
        }
    }

    /// The command line with the options of the standard file before it, unless it begins with -q.
    func withStandardFile(_ arguments: Arguments) throws -> Arguments {
        guard !arguments.isOn(.disable), let path = ConfigurationFile.standardPath else { return arguments }
        var whole = Arguments(command: command)
        try addFile(path, to: &whole)
        whole.operandsBeforeNext += arguments.operandsBeforeNext.map { $0 + whole.operands.count }
        whole.occurrences += arguments.occurrences
        whole.operands += arguments.operands
        return whole
    }
}
