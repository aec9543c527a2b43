import H2Measure
import H2Platform

/// The URLs in order: those of the command line, then those of the list.
///
/// A line of the list is a URL, or several with tabs between them, which are mirrors of one file. Indented lines after it
/// are its options, as in aria2's lists. The list is read as it is used, so a million URLs take no more memory than ten. Confined to one actor; several of its
/// tasks may be in `next()` at once.
final class URLList {
    private static let longestLine = 1 << 20

    private let urls: GivenURLs
    private var urlsTaken = 0
    private let input: InputFile?
    private let name: String
    private var buffer: [UInt8] = []
    private var position = 0
    private var hasEnded = false
    private var failure: Failure?
    private var isReading = false
    private var waiters: [Waiter] = []
    private var isAtStart = true
    /// The last URL that was read, whose options may follow.
    private var pending: ListedURL?
    /// Whether the last URL was handed out because nothing more came, so that its options would be too late.
    private var isHandedOut = false
    /// How long a URL of a pipe waits for its options.
    private static let patience = Duration.milliseconds(100)
    private(set) var lineNumber = 0
    /// The index of the next URL among all.
    private(set) var count = 0

    /// - Throws: `Failure` (`readFailed`) if the list cannot be opened.
    init(urls: GivenURLs, inputFile: String?) throws {
        self.urls = urls
        name = inputFile ?? ""
        guard let inputFile else {
            input = nil
            return
        }
        let descriptor = inputFile == "-" ? STDIN_FILENO : open(inputFile, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw Failure(.readFailed, "cannot read the list \(inputFile): \(errnoText(errno))")
        }
        input = InputFile(descriptor, name: inputFile, isOurs: descriptor != STDIN_FILENO)
    }

    /// The number of URLs, or nil until the list has been read to its end.
    var total: Int? { input == nil ? urls.count : hasEnded && position == buffer.count && pending == nil ? count : nil }

    /// The next URL and its index, or nil at the end.
    /// - Throws: `Failure` (`readFailed`), `CancellationError`.
    nonisolated(nonsending) func next() async throws -> (index: Int, entry: ListedURL)? {
        while true {
            if urlsTaken < urls.count {
                urlsTaken += 1
                return number(ListedURL(urls[urlsTaken - 1]))
            }
            guard let input else { return nil }
            if let entry = try takeEntry() { return number(entry) }
            if let failure { throw failure }
            if hasEnded { return nil }
            if isReading {
                let waiter = Waiter()
                waiters.append(waiter)
                try await waiter.wait()
            } else if try await !fill(from: input), let entry = takePending() {
                isHandedOut = true
                return number(entry)
            }
        }
    }

    private func number(_ entry: ListedURL) -> (index: Int, entry: ListedURL) {
        defer { count += 1 }
        return (count, entry)
    }

    private func takePending() -> ListedURL? {
        defer { pending = nil }
        return pending
    }

    /// Reads more. Returns false if a URL has waited long enough for its options.
    private nonisolated(nonsending) func fill(from input: InputFile) async throws -> Bool {
        isReading = true
        defer {
            isReading = false
            for waiter in waiters { waiter.resume() }
            waiters = []
        }
        do {
            if pending != nil, try await !input.hasInput(within: Self.patience) { return false }
            let chunk = try await input.next()
            buffer.removeFirst(position)
            position = 0
            if chunk.isEmpty {
                hasEnded = true
            } else {
                buffer += chunk
            }
            return true
        } catch {
            end(error)
            // The URL before it is whole.
            if pending != nil, failure != nil { return true }
            throw error
        }
    }

    /// Ends the list after an error. Only part of a line is left in the buffer.
    private func end(_ error: any Error) {
        hasEnded = true
        (buffer, position) = ([], 0)
        failure = error as? Failure
    }

    /// - Throws: `Failure` (`readFailed`), which shows the line's beginning, if the line is too long to be a URL.
    private func check(_ line: ArraySlice<UInt8>) throws {
        guard line.count > Self.longestLine else { return }
        // Hides credentials in the part that is shown.
        let beginning = withoutSecrets(String(decoding: Self.trimmed(line).prefix(4096), as: UTF8.self))
        let error = Failure(
            .readFailed,
            "line \(lineNumber + 1) of \(name == "-" ? "stdin" : name) is over 1 MiB; is it a list of URLs? "
                + "It begins with '\(shortened(printable(beginning), to: 80))'")
        end(error)
        throw error
    }

    /// The next URL among the lines read so far, once it is known where its options end.
    private func takeEntry() throws -> ListedURL? {
        if isAtStart {
            // The buffer may hold only part of a byte order mark; read more to tell.
            guard buffer.count >= byteOrderMark.count || hasEnded else { return nil }
            isAtStart = false
            if buffer.starts(with: byteOrderMark) { position = byteOrderMark.count }
        }
        while position < buffer.count {
            let end = buffer[position...].firstIndex(of: 0x0a) ?? buffer.count
            // Only the last line of the file may lack a line end.
            if end - position > Self.longestLine, let entry = takePending() { return entry }
            try check(buffer[position..<end])
            guard end < buffer.count || hasEnded else { return nil }
            let line = buffer[position..<end]
            let trimmed = Self.trimmed(line)
            let isIndented = line.first == 0x20 || line.first == 0x09
            let isOption = isIndented && ListedURL.isOption(trimmed)
            let isURL = !isOption && !trimmed.isEmpty && trimmed.first != UInt8(ascii: "#")
            // It is read again for the next call.
            if isURL, let entry = takePending() { return entry }
            position = min(end + 1, buffer.count)
            lineNumber += 1
            if isOption {
                try addOption(trimmed)
            } else if isURL {
                isHandedOut = false
                do { pending = try ListedURL(line: trimmed) } catch let error as BadValue { throw refusal("\(error)") }
            }
        }
        return hasEnded ? takePending() : nil
    }

    private func addOption(_ line: ArraySlice<UInt8>) throws {
        guard pending != nil else {
            throw refusal(
                isHandedOut
                    ? "is an option that came too late for its URL; write both at once"
                    : "is an option, and no URL is before it")
        }
        do { try pending?.apply(line) } catch let error as BadValue { throw refusal("\(error)") }
    }

    /// Ends the list.
    /// - Returns: the failure, which says which line is wrong.
    private func refusal(_ reason: String) -> Failure {
        let error = Failure(.readFailed, "line \(lineNumber) of \(name == "-" ? "stdin" : name) \(reason)")
        end(error)
        pending = nil
        return error
    }

    /// `line` without the spaces and control characters around it.
    static func trimmed(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var line = line
        while let first = line.first, first <= 0x20 { line = line.dropFirst() }
        while let last = line.last, last <= 0x20 { line = line.dropLast() }
        return line
    }
}
