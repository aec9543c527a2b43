import H2Platform

/// Asks for passwords on the terminal, without showing them.
///
/// It asks only where somebody can answer: never in a pipeline, a script without a terminal, or a test.
enum Terminal {
    private struct State {
        var isAllowed = false
        /// The terminal's settings before its echo was turned off.
        var settings: termios?
    }

    private static let state = Locked(State())

    /// Called by the program itself, so that nothing else is ever asked.
    static func allowQuestions() { state.withLock { $0.isAllowed = true } }

    static var canAsk: Bool {
        state.withLock { $0.isAllowed } && isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1
    }

    /// Asks for a password, and blocks until the line is typed.
    /// - Throws: `Failure` (`usage`) if the input ends, or is not UTF-8.
    static func secret(_ prompt: String) throws -> String {
        Array(prompt.utf8).withUnsafeBytes { _ = writeFully(STDERR_FILENO, $0) }
        var settings = termios()
        if tcgetattr(STDIN_FILENO, &settings) == 0 {
            let before = settings
            state.withLock { $0.settings = before }
            settings.c_lflag &= ~tcflag_t(ECHO)
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &settings)
        }
        defer {
            restore()
            // The typed line end was not shown.
            Array("\n".utf8).withUnsafeBytes { _ = writeFully(STDERR_FILENO, $0) }
        }
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while line.count < 1_024 {
            let count = read(STDIN_FILENO, &byte, 1)
            if count < 0, errno == EINTR { continue }
            guard count == 1 else {
                if line.isEmpty { throw Failure.usage("no password was typed") }
                break
            }
            if byte == 0x0a { break }
            line.append(byte)
        }
        guard let text = String(validating: line, as: UTF8.self) else { throw Arguments.notUTF8("the password") }
        return text
    }

    /// Turns the echo on again. Called before the process ends, too.
    static func restore() {
        guard var settings = state.withLock({ state in state.settings.take() }) else { return }
        tcsetattr(STDIN_FILENO, TCSANOW, &settings)
    }
}

/// A passphrase that is asked for once, however often its key is loaded.
final class AskedPassphrase: Sendable {
    private let answer = Locked<String?>(nil)

    /// - Throws: `Failure` (`usage`).
    func get(_ prompt: String) throws -> String {
        // Two loads of one key ask one question: the second waits. No event loop loads keys.
        try answer.withLock { answer in
            if let answer { return answer }
            let text = try Terminal.secret(prompt)
            answer = text
            return text
        }
    }
}
