import H2Platform

/// Scripts that complete commands, options and file names in a shell.
enum Completions {
    /// The words that can come first, besides options and URLs.
    private static let words = ["bench", "compare", "sweep", "serve", "help"]

    /// How an option's value is completed.
    private enum Value {
        case none
        case file
        case folder
        case words([String])
        case anything

        init(_ option: Option) {
            switch option.value {
            case nil: self = .none
            case _ where option.key == .generate: self = .words(Generated.allCases.map(\.rawValue))
            case "FILE"?, "PATH"?: self = .file
            case "DIR"?: self = .folder
            case let value? where value.contains("|"): self = .words(value.split(separator: "|").map(String.init))
            default: self = .anything
            }
        }
    }

    private static func spellings(_ option: Option) -> [String] {
        (option.letter.map { ["-\($0)"] } ?? []) + ["--\(option.name)"]
    }

    // MARK: - bash

    static var bash: String {
        var lines = [
            "# bash completion for h2get", "_h2get() {",
            "    local word=\"${COMP_WORDS[COMP_CWORD]}\" last=\"${COMP_WORDS[COMP_CWORD-1]}\" command=\"${COMP_WORDS[1]}\"",
            "    local options=\"\" files=\"\" folders=\"\"",
            "    [ \"$COMP_CWORD\" -gt 1 ] || command=\"\"",
            "    [ \"$command\" != bench ] || [ \"${COMP_WORDS[2]}\" != merge ] || command=merge",
            "    case \"$command\" in",
        ]
        for command in Command.allCases where command != .fetch {
            lines += bashCase(command, pattern: command == .merge ? "merge" : String(command.name.dropFirst(6)))
        }
        lines += bashCase(.fetch, pattern: "*")
        lines += [
            "    esac",
            "    case \" $files \" in *\" $last \"*) COMPREPLY=($(compgen -f -- \"$word\")); return ;; esac",
            "    case \" $folders \" in *\" $last \"*) COMPREPLY=($(compgen -d -- \"$word\")); return ;; esac",
            "    case \"$word\" in", "        -*) COMPREPLY=($(compgen -W \"$options\" -- \"$word\")) ;;",
            "        *) [ \"$COMP_CWORD\" -ne 1 ] || COMPREPLY=($(compgen -W \"\(words.joined(separator: " "))\" -- \"$word\"))",
            "           COMPREPLY+=($(compgen -f -- \"$word\")) ;;", "    esac", "}",
            "complete -o filenames -F _h2get h2get",
        ]
        return lines.joined(separator: "\n") + "\n"
    }

    private static func bashCase(_ command: Command, pattern: String) -> [String] {
        let options = OptionTable.options(of: command)
        func names(_ isWanted: (Value) -> Bool) -> String {
            options.filter { isWanted(Value($0)) }.flatMap(spellings).joined(separator: " ")
        }
        let files = names { if case .file = $0 { true } else { false } }
        let folders = names { if case .folder = $0 { true } else { false } }
        var lines = [
            "        \(pattern))", "            options=\"\(names { _ in true })\"", "            files=\"\(files)\"",
            "            folders=\"\(folders)\"",
        ]
        for option in options {
            guard case .words(let words) = Value(option) else { continue }
            lines.append(
                "            case \"$last\" in \(spellings(option).joined(separator: "|"))) "
                    + "COMPREPLY=($(compgen -W \"\(words.joined(separator: " "))\" -- \"$word\")); return ;; esac")
        }
        return lines + ["            ;;"]
    }

    // MARK: - zsh

    static var zsh: String {
        var lines = ["#compdef h2get", "# zsh completion for h2get", "_h2get() {", "    local command=fetch"]
        lines += [
            "    case \"$words[2]\" in",
            "        bench) command=bench; [[ \"$words[3]\" != merge ]] || command=merge ;;",
            "        compare|sweep|serve) command=\"$words[2]\" ;;", "    esac", "    case \"$command\" in",
        ]
        for command in Command.allCases {
            lines.append("        \(command)) _arguments -s -S \\")
            for option in OptionTable.options(of: command) {
                lines.append("            \(zshSpecification(option)) \\")
            }
            let operand = command == .fetch ? "'1: :(\(words.joined(separator: " ")))' '*:URL:_urls'" : "'*: :_files'"
            lines.append("            \(operand) ;;")
        }
        return (lines + ["    esac", "}", "_h2get \"$@\""]).joined(separator: "\n") + "\n"
    }

    private static func zshSpecification(_ option: Option) -> String {
        let text = firstSentence(option.help).map { character in
            "[]:\\".contains(character) ? "\\\(character)" : character == "'" ? "'\\''" : "\(character)"
        }.joined()
        let argument =
            switch Value(option) {
            case .none: ""
            case .file: ":file:_files"
            case .folder: ":folder:_files -/"
            case .words(let words): ":value:(\(words.joined(separator: " ")))"
            case .anything: ":value: "
            }
        let names = spellings(option)
        let head = names.count == 1 ? "'*\(names[0])" : "'*'{\(names.joined(separator: ","))}'"
        return head + "[\(text)]\(argument)'"
    }

    // MARK: - fish

    static var fish: String {
        var lines = ["# fish completion for h2get"]
        lines.append(
            "complete -c h2get -n 'test (count (commandline -opc)) -eq 1' -a '\(words.joined(separator: " "))'")
        for command in Command.allCases {
            let condition =
                switch command {
                case .fetch: "not __fish_seen_subcommand_from bench compare sweep serve"
                case .merge: "__fish_seen_subcommand_from merge"
                default: "__fish_seen_subcommand_from \(command.name.dropFirst(6))"
                }
            for option in OptionTable.options(of: command) {
                var line = "complete -c h2get -n '\(condition)'"
                if let letter = option.letter { line += " -s \(letter)" }
                line += " -l \(option.name)"
                switch Value(option) {
                case .none: break
                case .file: line += " -r -F"
                case .folder: line += " -x -a '(__fish_complete_directories)'"
                case .words(let words): line += " -x -a '\(words.joined(separator: " "))'"
                case .anything: line += " -x"
                }
                let text = firstSentence(option.help).replacingAll("\\", by: "\\\\").replacingAll("'", by: "\\'")
                lines.append(line + " -d '\(text)'")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Without its full stop.
    private static func firstSentence(_ text: String) -> String {
        guard let end = text.firstRange(ofASCII: ". ") else {
            return text.hasSuffix(".") ? String(text.dropLast()) : text
        }
        return String(text[..<end.lowerBound])
    }
}
