/// The text of `--help`.
struct Help {
    let command: Command
    /// The width to wrap to, in columns.
    let width: Int

    init(_ command: Command, width: Int) {
        self.command = command
        self.width = min(max(width, 60), 120)
    }

    /// - Parameter topic: `all`, a category, or an option with its dashes; nil for the common options.
    /// - Throws: `Failure` (`usage`) if there is no such topic.
    func text(topic: String?) throws -> String {
        guard let topic else { return overview(of: commonOptions, isShort: true) }
        if topic == "all" { return overview(of: OptionTable.options(of: command), isShort: false) }
        if let category = categories.first(where: { $0.rawValue == topic.lowercased() }) {
            return list(OptionTable.options(of: command).filter { $0.category == category })
        }
        if topic.utf8.first == UInt8(ascii: "-"), let option = option(named: topic) { return description(of: option) }
        // `h2get --help URL` asks for help all the same.
        if topic.utf8.contains(UInt8(ascii: "/")) || topic.utf8.contains(UInt8(ascii: ".")) {
            return try text(topic: nil)
        }
        let names = categories.map(\.rawValue).joined(separator: ", ")
        if topic.utf8.first == UInt8(ascii: "-") {
            let remedy = UnknownOption(topic, command).remedy
            guard remedy.isEmpty else {
                throw Failure.usage("\(shown(topic)) is not an option of \(command.name): \(remedy)")
            }
        }
        throw Failure.usage(
            "there is no help on '\(shown(topic))'; write --help all, --help with an option such as -o, or one of: \(names)"
        )
    }

    // MARK: - Parts

    private var categories: [OptionCategory] {
        let options = OptionTable.options(of: command)
        return OptionCategory.allCases.filter { category in options.contains { $0.category == category } }
    }

    private var commonOptions: [Option] {
        OptionTable.options(of: command).filter { $0.isCommon || $0.category == .general }
    }

    private func option(named spelling: String) -> Option? {
        OptionTable.options(of: command).first {
            "--\($0.name)" == spelling || $0.letter.map { "-\($0)" } == spelling || "--no-\($0.name)" == spelling
        }
    }

    private func overview(of options: [Option], isShort: Bool) -> String {
        var lines = Text.wrapped(command.abstract, to: width)
        lines.append("")
        for (index, usage) in command.usage.enumerated() { lines.append((index == 0 ? "Usage: " : "       ") + usage) }
        lines += ["", "Examples:"]
        let longest = command.examples.filter { !$0.remark.isEmpty }.map(\.line.count).max() ?? 0
        for example in command.examples {
            let gap = String(repeating: " ", count: max(longest - example.line.count, 0) + 3)
            let remark = example.remark.isEmpty ? "" : gap + example.remark
            lines.append("  " + example.line + (2 + example.line.count + remark.count > width ? "" : remark))
        }
        lines += ["", list(options).trimmedEnd]
        for note in command.notes { lines += [""] + Text.wrapped(note, to: width) }
        if isShort {
            lines += [""]
            lines += Text.wrapped(
                "These are the common options. '\(command.name) --help all' lists all, --help with one of "
                    + categories.map(\.rawValue).joined(separator: ", ")
                    + " a part of them, and --help with an option, such as '--help \(example)', describes that one.",
                to: width)
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private var example: String {
        guard let option = commonOptions.first else { return "--help" }
        return option.letter.map { "-\($0)" } ?? "--\(option.name)"
    }

    /// The options by category, each with its name and the beginning of its text on one line, so that grep finds both.
    private func list(_ options: [Option]) -> String {
        var lines: [String] = []
        for category in categories {
            let members = options.filter { $0.category == category }
            if members.isEmpty { continue }
            if !lines.isEmpty { lines.append("") }
            lines.append("\(category.title):")
            for option in members { lines += entry(option) }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Where the texts begin.
    private var column: Int { width < 70 ? 24 : 32 }

    private func entry(_ option: Option) -> [String] {
        // Long names stand below each other, whether they have a letter or not.
        let name = "  " + (option.letter == nil ? "    " : "") + option.signature
        let start = max(column, name.count + 2)
        let first = name + String(repeating: " ", count: start - name.count)
        let indent = String(repeating: " ", count: column)
        if width - start < 16 { return [name] + Text.wrapped(option.help, to: width, indent: indent) }
        return Text.wrapped(option.help, to: width, first: first, indent: indent)
    }

    private func description(of option: Option) -> String {
        var lines = [option.signature, ""]
        lines += Text.wrapped(option.help, to: width)
        var facts: [String] = []
        if option.value == nil, option.category != .general { facts.append("--no-\(option.name) turns it off again.") }
        if option.isRepeatable { facts.append("It can be given several times.") }
        if let name = option.curlName { facts.append("curl calls it --\(name).") }
        if let variable = option.environment {
            facts.append("The environment variable \(variable) has the same effect.")
        }
        if !facts.isEmpty { lines += [""] + Text.wrapped(facts.joined(separator: " "), to: width) }
        return lines.joined(separator: "\n") + "\n"
    }
}

/// Text wrapped to a width.
enum Text {
    /// The words of `text` in lines of at most `width` columns, as far as the words allow.
    /// - Parameters:
    ///   - first: stands before the first line.
    ///   - indent: stands before all others, and before the first if `first` is nil.
    static func wrapped(_ text: String, to width: Int, first: String? = nil, indent: String = "") -> [String] {
        var lines: [String] = []
        var line = first ?? indent
        var isEmpty = true
        for word in text.split(separator: " ") {
            if !isEmpty, line.count + 1 + word.count > width {
                lines.append(line)
                (line, isEmpty) = (indent, true)
            }
            line += (isEmpty ? "" : " ") + word
            isEmpty = false
        }
        lines.append(line)
        return lines
    }
}

extension String {
    /// Without the line ends and spaces at its end.
    fileprivate var trimmedEnd: String {
        var text = self
        while let last = text.last, last == "\n" || last == " " { text.removeLast() }
        return text
    }
}
