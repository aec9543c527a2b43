@testable import h2get

/// A command line taken apart.
/// - Throws: `Failure` (`usage`), also for those that ask for help or the version.
func parsed(_ command: Command, _ words: [String]) throws -> Arguments {
    let result = try CommandLineParser(command).parse(words.map { Array($0.utf8) }[...])
    guard case .run(let arguments) = result else { throw Failure.usage("\(result)") }
    return arguments
}
