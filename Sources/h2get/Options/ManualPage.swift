import H2Platform

/// A command's man page, as roff.
struct ManualPage {
    let command: Command

    init(_ command: Command) { self.command = command }

    /// The page's name, such as `h2get-bench`.
    private var name: String { command.name.split(separator: " ").joined(separator: "-") }

    var text: String {
        var lines = [
            ".TH \(name.uppercased()) 1 \"\" \"h2get \(version)\" \"User Commands\"", ".SH NAME",
            "\(name) \\- \(Self.escaped(lowered(command.abstract)))", ".SH SYNOPSIS",
        ]
        for (index, usage) in command.usage.enumerated() {
            if index > 0 { lines.append(".br") }
            let end = usage.firstRange(ofASCII: "     ")?.lowerBound ?? usage.endIndex
            lines.append(Self.escaped(String(usage[..<end])))
        }
        lines += [".SH DESCRIPTION", Self.escaped(command.abstract)]
        for note in command.notes { lines += [".PP", Self.escaped(note)] }
        lines.append(".SH OPTIONS")
        let options = OptionTable.options(of: command)
        for category in OptionCategory.allCases {
            let members = options.filter { $0.category == category }
            if members.isEmpty { continue }
            lines.append(".SS \(category.title)")
            for option in members { lines += entry(option) }
        }
        lines += [".SH EXAMPLES", ".nf"]
        for example in command.examples {
            lines.append(Self.escaped(example.line + (example.remark.isEmpty ? "" : "   # " + example.remark)))
        }
        lines.append(".fi")
        lines += exitStatus + environment + seeAlso
        return lines.joined(separator: "\n") + "\n"
    }

    // MARK: - Sections

    private func entry(_ option: Option) -> [String] {
        var head = option.letter.map { "\\fB\\-\($0)\\fR, " } ?? ""
        head += "\\fB\\-\\-\(Self.escaped(option.name))\\fR"
        if let value = option.value { head += " \\fI\(Self.escaped(value))\\fR" }
        var text = option.help
        if let name = option.curlName { text += " curl calls it --\(name)." }
        return [".TP", head, Self.escaped(text)]
    }

    private var exitStatus: [String] {
        guard command != .serve else { return [] }
        var lines = [".SH EXIT STATUS"]
        for reason in ExitReason.allCases { lines += [".TP", "\(reason.rawValue)", Self.escaped(reason.meaning)] }
        return lines
    }

    private var environment: [String] {
        let variables = OptionTable.options(of: command).compactMap { option in
            option.environment.map { (name: $0, text: "Like --\(option.name).") }
        }
        guard command != .serve, command != .merge else { return [] }
        let general = [
            (name: "SSL_CERT_FILE", text: "Trust the authorities in this file by default (PEM)."),
            (name: "NO_COLOR", text: "If set and not empty, print no colors."),
        ]
        return [".SH ENVIRONMENT"]
            + (variables + general).flatMap { [".TP", "\\fB\($0.name)\\fR", Self.escaped($0.text)] }
    }

    private var seeAlso: [String] {
        let others = Command.allCases.filter { $0 != command }.map { ManualPage($0).name }
        let pages = (others + ["curl", "h2load", "nghttp"]).map { "\\fB\(Self.escaped($0))\\fR(1)" }
        return [".SH SEE ALSO", pages.joined(separator: ", ")]
    }

    /// The abstract as it stands behind a name: lower case, without the full stop.
    private func lowered(_ sentence: String) -> String {
        let text = sentence.last == "." ? sentence.dropLast() : sentence[...]
        return text.prefix(1).lowercased() + text.dropFirst()
    }

    /// Text in which roff sees no command.
    static func escaped(_ text: String) -> String {
        var out = ""
        for character in text {
            switch character {
            case "\\": out += "\\e"
            case "-": out += "\\-"
            case "'": out += "\\(aq"
            case "^": out += "\\(ha"
            case "~": out += "\\(ti"
            case "`": out += "\\(ga"
            case "…": out += "..."
            default: out.append(character)
            }
        }
        return out.hasPrefix(".") ? "\\&" + out : out
    }
}
