import H2Platform

/// An option of another tool that a command here lacks, with what to use instead.
struct ForeignOption: Sendable {
    /// Its spellings, such as `-M` and `--manual`.
    let spellings: [String]
    let tool: String
    /// A sentence without its full stop: what to do, and why it is not here if that needs a reason.
    let remedy: String

    init(_ spellings: String, _ tool: String, _ remedy: String) {
        self.spellings = spellings.split(separator: " ").map(String.init)
        self.tool = tool
        self.remedy = remedy
    }

    static func named(_ spelling: String, in command: Command) -> ForeignOption? {
        all(for: command).first { $0.spellings.contains(spelling) }
    }

    /// The options of tools that do what a command does.
    static func all(for command: Command) -> [ForeignOption] {
        switch command {
        case .fetch: curl + wget2 + nghttp
        case .bench: h2load + oha
        // The remedy may be an option of bench alone.
        case .compare, .sweep: (h2load + oha).filter { $0.unknownOptions(in: command).isEmpty }
        case .merge, .serve: []
        }
    }

    /// The options that the remedy names and the command does not have. `h2get bench` in it allows those of bench too.
    func unknownOptions(in command: Command) -> [String] {
        var known = OptionTable.options(of: command)
        if remedy.firstRange(ofASCII: "h2get bench") != nil { known += OptionTable.options(of: .bench) }
        let words = remedy.split { " ,;'=".contains($0) }.map { $0 == "-vv" ? "-v" : String($0) }
        return words.filter { word in
            guard word.utf8.first == UInt8(ascii: "-"), word.utf8.count > 1 else { return false }
            return !known.contains {
                "--\($0.name)" == word || "--no-\($0.name)" == word || $0.letter.map { "-\($0)" } == word
            }
        }
    }
}
