import H2Measure

/// The subcommands, recognized only as the first word.
enum Subcommand: String, CaseIterable {
    case bench
    case compare
    case sweep
    case serve
    case help

    /// Checks the first word for a misspelled subcommand.
    /// - Throws: `Failure` (`usage`) if it resembles one and cannot be a URL.
    static func checkSpelling(_ words: ArraySlice<[UInt8]>) throws {
        guard let word = words.first.flatMap({ String(validating: $0, as: UTF8.self) }), let command = meant(by: word)
        else { return }
        throw Failure.usage("did you mean '\(command.rawValue)'? write http://\(word)/ if that is a host")
    }

    /// The command that a misspelled word resembles, if any.
    static func meant(by word: String) -> Subcommand? {
        let letters = Array(word.lowercased().utf8)
        guard (3...12).contains(letters.count), letters.allSatisfy({ (0x61...0x7a).contains($0) }) else { return nil }
        let distances = allCases.map { (command: $0, distance: editDistance(letters, Array($0.rawValue.utf8))) }
        guard let nearest = distances.min(by: { $0.distance < $1.distance }) else { return nil }
        return nearest.distance <= (letters.count < 5 ? 1 : 2) ? nearest.command : nil
    }
}
