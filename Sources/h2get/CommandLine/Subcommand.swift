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
    static func checkSpelling(_ arguments: [String]) throws {
        guard let word = arguments.first, let command = meant(by: word) else { return }
        throw Failure.usage("'\(shown(word))' is not a URL; did you mean '\(command.rawValue)'?")
    }

    /// The command that a misspelled word resembles, if any.
    static func meant(by word: String) -> Subcommand? {
        let letters = Array(word.lowercased().utf8)
        guard (3...12).contains(letters.count), letters.allSatisfy({ (0x61...0x7a).contains($0) }) else { return nil }
        let distances = allCases.map { (command: $0, distance: distance(letters, Array($0.rawValue.utf8))) }
        guard let nearest = distances.min(by: { $0.distance < $1.distance }) else { return nil }
        return nearest.distance <= (letters.count < 5 ? 1 : 2) ? nearest.command : nil
    }

    /// The Damerau-Levenshtein distance: the number of letters that are wrong, missing, extra, or swapped with a neighbor.
    private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var rows = [Array(0...b.count)]
        for i in 1...a.count {
            var row = [i]
            for j in 1...b.count {
                let isSame = a[i - 1] == b[j - 1]
                var least = min(rows[i - 1][j] + 1, row[j - 1] + 1, rows[i - 1][j - 1] + (isSame ? 0 : 1))
                if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] {
                    least = min(least, rows[i - 2][j - 2] + 1)
                }
                row.append(least)
            }
            rows.append(row)
        }
        return rows[a.count][b.count]
    }
}
