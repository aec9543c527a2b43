/// The reasons why a scenario cannot be used: at most 20. Those of the scenario come in the order of the
/// file, and before those of CSV files.
package struct ScenarioErrors: Error, Sendable, Equatable, CustomStringConvertible {
    /// One thing that is wrong, and what to write instead.
    package struct Problem: Sendable, Equatable, CustomStringConvertible {
        /// The scenario or a file that it names, as given.
        package var file: String
        /// From 1; nil if it is about the whole file.
        package var line: Int?
        /// From 1, in characters; nil if it is about the whole line.
        package var column: Int?
        package var message: String

        /// `shop.yaml:3:5: unknown key 'weihgt'; did you mean 'weight'?`
        package var description: String {
            let place = [line, column].compactMap { $0 }.map { ":\($0)" }.joined()
            return "\(printable(file))\(place): \(printable(message))"
        }
    }

    /// How many problems are kept.
    package static let limit = 20

    package let problems: [Problem]
    /// Whether reading ended at the limit, so that there may be more.
    package let isCutShort: Bool

    /// One line for each problem.
    package var description: String {
        let lines = problems.map(\.description)
        return (lines + (isCutShort ? ["further problems are not shown"] : [])).joined(separator: "\n")
    }
}

/// A place in a text: line and column from 1.
struct TextPosition: Sendable, Equatable {
    var line: Int
    var column: Int
}

/// What is wrong with a piece of text, for a caller that knows where it stands.
struct TextProblem: Error, Equatable {
    let message: String

    init(_ message: String) { self.message = message }
}

/// The problems found so far.
struct ScenarioProblems {
    let file: String
    private(set) var found: [ScenarioErrors.Problem] = []
    private var isCutShort = false

    init(file: String) { self.file = file }

    var isFull: Bool { isCutShort }

    mutating func add(_ message: String, at position: TextPosition) {
        add(.init(file: file, line: position.line, column: position.column, message: message))
    }

    mutating func add(_ problem: ScenarioErrors.Problem) {
        guard found.count < ScenarioErrors.limit else { return isCutShort = true }
        found.append(problem)
    }

    /// Nil if nothing is wrong.
    var errors: ScenarioErrors? {
        guard !found.isEmpty else { return nil }
        func place(_ problem: ScenarioErrors.Problem) -> (Int, Int) { (problem.line ?? 0, problem.column ?? 0) }
        let own = found.filter { $0.file == file }.sorted { place($0) < place($1) }
        return ScenarioErrors(problems: own + found.filter { $0.file != file }, isCutShort: isCutShort)
    }
}

/// Text of a file in a message: in quotes, and not longer than 60 characters.
func quoted(_ text: String) -> String { "'\(excerpt(text))'" }

/// Text of a file in a message or a name, of at most `width` characters.
func excerpt(_ text: String, to width: Int = 60) -> String { printable(shortened(text, width)) }
