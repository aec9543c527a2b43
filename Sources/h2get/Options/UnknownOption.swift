import H2Measure

/// An option that the command does not have, and what to use instead.
struct UnknownOption {
    /// As given, such as `--parallel` or `-Z`.
    let spelling: String
    let command: Command

    init(_ spelling: String, _ command: Command) {
        self.spelling = spelling
        self.command = command
    }

    /// The advice to use something else; empty if nothing is known.
    ///
    /// An option of another tool comes first, then one of another command of ours, then a likely misspelling.
    var remedy: String {
        if let foreign = ForeignOption.named(spelling, in: command) {
            return "\(foreign.tool) has it; \(foreign.remedy)"
        }
        if let (option, other) = elsewhere { return "it is an option of \(other.name), \(option.signature)" }
        let meant = nearest.map { "--\($0.name)" }
        return meant.isEmpty ? "" : "did you mean \(meant.joined(separator: " or "))?"
    }

    /// The option of another command that has this spelling. Letters mean too many things for that.
    private var elsewhere: (Option, Command)? {
        guard spelling.hasPrefix("--") else { return nil }
        for option in OptionTable.all where "--\(option.name)" == spelling {
            if let other = Command.allCases.first(where: { option.commands.contains($0.set) }) {
                return (option, other)
            }
        }
        return nil
    }

    /// The options that it abbreviates, or the one that it misspells.
    private var nearest: [Option] {
        guard spelling.hasPrefix("--"), spelling.utf8.count <= 40 else { return [] }
        let name = Array(spelling.utf8.dropFirst(2))
        guard name.count >= 3 else { return [] }
        let options = OptionTable.options(of: command)
        let longer = options.filter { $0.name.utf8.starts(with: name) }
        if (1...3).contains(longer.count) { return longer }
        let distances = options.map { (option: $0, distance: editDistance(name, Array($0.name.utf8))) }
        guard let nearest = distances.min(by: { $0.distance < $1.distance }) else { return [] }
        return nearest.distance <= (name.count < 6 ? 1 : 2) ? [nearest.option] : []
    }
}
