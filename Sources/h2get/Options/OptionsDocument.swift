/// docs/options.md: all options of all commands.
enum OptionsDocument {
    static var text: String {
        var lines = [
            "# Options", "",
            "All options of all commands, as `h2get --generate markdown` prints them. `--help` shows the common ones, and",
            "`--help all` all of a command.", "",
        ]
        for command in Command.allCases {
            lines += ["## \(command.name)", ""] + Text.wrapped(command.abstract, to: width) + [""]
            let options = OptionTable.options(of: command)
            for category in OptionCategory.allCases {
                let members = options.filter { $0.category == category }
                if members.isEmpty { continue }
                lines += ["### \(command.name): \(category.title)", ""]
                for option in members { lines += entry(option) }
                lines.append("")
            }
        }
        lines += ["## Exit codes", "", "| code | meaning |", "| ---: | --- |"]
        lines += ExitReason.allCases.map { "| \($0.rawValue) | \($0.meaning) |" }
        return lines.joined(separator: "\n") + "\n"
    }

    private static let width = 130

    private static func entry(_ option: Option) -> [String] {
        var text = escaped(option.help)
        if let name = option.curlName { text += " curl calls it `--\(name)`." }
        if let variable = option.environment { text += " `\(variable)` in the environment has the same effect." }
        return Text.wrapped(text, to: width, first: "- `\(option.signature)`: ", indent: "  ")
    }

    /// Text that Markdown leaves as it is.
    private static func escaped(_ text: String) -> String {
        var out = ""
        for character in text {
            if "*_<>|[]".contains(character) { out.append("\\") }
            out.append(character)
        }
        return out
    }
}
