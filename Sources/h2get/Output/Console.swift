import H2Measure
import H2Platform

/// Messages to the user on stderr, one whole line at a time, above the lines of progress if there are any.
final class Console: Sendable {
    let isTerminal: Bool
    let showsErrors: Bool
    /// The colours of stderr.
    let style: TextStyle
    private let showsProgress: Bool
    private let block = Locked(ProgressBlock())

    /// - Parameter hidesProgress: true if bodies go to the same terminal, or with -s.
    init(showsErrors: Bool, hidesProgress: Bool, colors: ColorChoice = .auto) {
        isTerminal = isatty(STDERR_FILENO) == 1
        self.showsErrors = showsErrors
        style = TextStyle(color: colors.isOn(for: STDERR_FILENO))
        // A dumb terminal cannot move its cursor.
        showsProgress = isTerminal && !hidesProgress && !ColorChoice.isTerminalDumb
    }

    var wantsProgress: Bool { showsProgress }

    // MARK: - Messages

    func say(_ line: String) { put(line + "\n") }

    /// Writes text that the user asked for, which shows whatever -s says.
    func write(_ bytes: [UInt8]) {
        guard showsProgress else { return ErrorOutput.standard.put(bytes) }
        block.withLock { block in
            let erasure = block.erase(width: Self.size.columns, endsLine: bytes.last.map { $0 == 0x0a } ?? true)
            ErrorOutput.standard.put(Array(erasure.utf8) + bytes)
        }
    }

    func error(_ failure: Failure, url: String? = nil) {
        guard showsErrors else { return }
        let subject = url.map { "\(shortened(printable(withoutSecrets($0)), to: 1000)): " } ?? ""
        let mark = "h2get: (\(failure.status.rawValue))"
        let line = "\(mark) \(subject)\(printable(withoutCredentials(failure.message)))"
        // The terminal itself would break it in the middle of words.
        var lines = [line]
        if isTerminal, let width = Console.width(of: STDERR_FILENO) {
            lines = wrapped(line, width: max(width, 20), indent: 2)
        }
        if style.color, lines[0].hasPrefix(mark) {
            lines[0] = style.red(mark) + lines[0].dropFirst(mark.count)
        }
        say(lines.joined(separator: "\n"))
    }

    /// Without progress nothing is to be erased, and no lock is needed.
    private func put(_ text: String) {
        guard showsProgress else { return ErrorOutput.standard.put(text) }
        block.withLock { ErrorOutput.standard.put($0.writing(text, width: Self.size.columns)) }
    }

    // MARK: - Progress

    /// Shows lines until the next ones, below everything else. Nothing is drawn while earlier output is still waiting.
    /// - Parameter lines: makes them for the terminal's size at this moment.
    func progress(_ lines: (_ width: Int, _ height: Int) -> [ProgressLine]) {
        guard showsProgress, !ErrorOutput.standard.isBusy else { return }
        let size = Self.size
        let new = lines(size.columns, size.rows)
        block.withLock { block in
            let text = block.draw(new, width: size.columns)
            if !text.isEmpty { ErrorOutput.standard.put(text) }
        }
    }

    /// Shows `line` until the next one, no wider than the terminal.
    func progress(_ line: String) {
        progress { width, _ in [ProgressLine(TerminalText.cut(line, to: width - 1))] }
    }

    func wipeProgress() {
        guard showsProgress else { return }
        block.withLock { block in
            let text = block.erase(width: Self.size.columns)
            if !text.isEmpty { ErrorOutput.standard.put(text) }
        }
    }

    /// Leaves the progress as it is, with the cursor below it.
    func keepProgress() {
        guard showsProgress else { return }
        block.withLock { block in
            let text = block.keep()
            if !text.isEmpty { ErrorOutput.standard.put(text) }
        }
    }

    /// Keeps progress off the terminal while `body` writes to stdout, which may be the same terminal.
    /// - Parameter endsLine: whether what it writes ends its line.
    nonisolated(nonsending) func withoutProgress<R>(
        endsLine: Bool, _ body: nonisolated(nonsending) () async throws -> R
    ) async rethrows -> R {
        guard showsProgress else { return try await body() }
        block.withLock { block in
            let text = block.suspend(width: Self.size.columns)
            if !text.isEmpty { ErrorOutput.standard.put(text) }
        }
        defer { block.withLock { $0.resume(endsLine: endsLine) } }
        return try await body()
    }

    // MARK: - The terminal

    /// The size of the terminal behind stderr; 80 by 24 if it does not say.
    private static var size: (columns: Int, rows: Int) {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 else { return (80, 24) }
        return (size.ws_col > 1 ? Int(size.ws_col) : 80, size.ws_row > 1 ? Int(size.ws_row) : 24)
    }

    /// The width in columns of the terminal behind `descriptor`, 80 if unknown; nil if it is not a terminal.
    static func width(of descriptor: CInt) -> Int? {
        guard isatty(descriptor) == 1 else { return nil }
        var size = winsize()
        return ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 1 ? Int(size.ws_col) : 80
    }

    static var standardOutputWidth: Int? { width(of: STDOUT_FILENO) }

    /// Waits until everything is written, for at most a second. Call this right before the process ends.
    static func flush() { ErrorOutput.standard.flush(milliseconds: 1_000) }
}
