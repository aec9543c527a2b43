import H2Measure
import H2Platform
import Synchronization

/// Messages to the user on stderr, one whole line at a time.
final class Console: Sendable {
    let isTerminal: Bool
    let showsErrors: Bool
    private let showsProgress: Bool
    /// Whether a progress line is shown, which the next line must erase.
    private let hasProgressLine = Atomic<Bool>(false)

    /// - Parameter hidesProgress: true if bodies go to the same terminal, or with -s.
    init(showsErrors: Bool, hidesProgress: Bool) {
        isTerminal = isatty(STDERR_FILENO) == 1
        self.showsErrors = showsErrors
        showsProgress = isTerminal && !hidesProgress
    }

    var wantsProgress: Bool { showsProgress }

    func say(_ line: String) {
        let wipe = hasProgressLine.exchange(false, ordering: .relaxed) ? "\r\u{1b}[K" : ""
        Console.put(wipe + line + "\n")
    }

    func error(_ failure: Failure, url: String? = nil) {
        guard showsErrors else { return }
        let subject = url.map { "\(shortened(printable(withoutSecrets($0)), to: 1000)): " } ?? ""
        let line = "h2get: (\(failure.status.rawValue)) \(subject)\(printable(withoutCredentials(failure.message)))"
        // The terminal itself would break it in the middle of words.
        guard isTerminal, let width = Console.width(of: STDERR_FILENO) else { return say(line) }
        say(wrapped(line, width: max(width, 20), indent: 2).joined(separator: "\n"))
    }

    /// Shows `line` until the next one, no wider than the terminal.
    func progress(_ line: String) {
        guard showsProgress else { return }
        let width = Console.width(of: STDERR_FILENO) ?? 80
        hasProgressLine.store(true, ordering: .relaxed)
        Console.put("\r\u{1b}[K" + String(line.prefix(width - 1)))
    }

    func wipeProgress() {
        if hasProgressLine.exchange(false, ordering: .relaxed) { Console.put("\r\u{1b}[K") }
    }

    /// The width in columns of the terminal behind `descriptor`, 80 if unknown; nil if it is not a terminal.
    static func width(of descriptor: CInt) -> Int? {
        guard isatty(descriptor) == 1 else { return nil }
        var size = winsize()
        return ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 1 ? Int(size.ws_col) : 80
    }

    static var standardOutputWidth: Int? { width(of: STDOUT_FILENO) }

    private static func put(_ text: String) { ErrorOutput.standard.put(text) }

    /// Waits until everything is written, for at most a second. Call this right before the process ends.
    static func flush() { ErrorOutput.standard.flush(milliseconds: 1_000) }
}
