/// The documents and scripts that `--generate` prints, all made from the table of options.
enum Generated: String, CaseIterable {
    case man
    case markdown
    case bash
    case zsh
    case fish

    /// - Parameter command: whose man page; the others describe all commands.
    func text(for command: Command) -> String {
        switch self {
        case .man: ManualPage(command).text
        case .markdown: OptionsDocument.text
        case .bash: Completions.bash
        case .zsh: Completions.zsh
        case .fish: Completions.fish
        }
    }
}
