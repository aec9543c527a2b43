import H2Measure
import H2Platform

/// The URLs in order: those of the command line, then those of the list.
///
/// The list is read as it is used, so a million URLs take no more memory than ten. Confined to one actor; several of its
/// tasks may be in `next()` at once.
final class URLList {
    private static let longestLine = 1 << 20

    private let urls: [String]
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
    private(set) var lineNumber = 0
    /// The index of the next URL among all.
    private(set) var count = 0

    /// - Throws: `Failure` (`readFailed`) if the list cannot be opened.
    init(urls: [String], inputFile: String?) throws {
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
    var total: Int? { input == nil ? urls.count : hasEnded && position == buffer.count ? count : nil }

    /// The next URL and its index, or nil at the end.
    /// - Throws: `Failure` (`readFailed`), `CancellationError`.
    nonisolated(nonsending) func next() async throws -> (index: Int, url: String)? {
        while true {
            if urlsTaken < urls.count {
                urlsTaken += 1
                return number(urls[urlsTaken - 1])
            }
            guard let input else { return nil }
            if let line = try takeLine() { return number(line) }
            if let failure { throw failure }
            if hasEnded { return nil }
            if isReading {
                let waiter = Waiter()
                waiters.append(waiter)
                try await waiter.wait()
            } else {
                try await fill(from: input)
            }
        }
    }

    private func number(_ url: String) -> (index: Int, url: String) {
        defer { count += 1 }
        return (count, url)
    }

    private nonisolated(nonsending) func fill(from input: InputFile) async throws {
        isReading = true
        defer {
            isReading = false
            for waiter in waiters { waiter.resume() }
            waiters = []
        }
        do {
            let chunk = try await input.next()
            buffer.removeFirst(position)
            position = 0
            if chunk.isEmpty {
                hasEnded = true
            } else {
                buffer += chunk
            }
        } catch {
            end(error)
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

    /// The next line with a URL among those read so far.
    private func takeLine() throws -> String? {
        if isAtStart {
            // The buffer may hold only part of a byte order mark; read more to tell.
            guard buffer.count >= byteOrderMark.count || hasEnded else { return nil }
            isAtStart = false
            if buffer.starts(with: byteOrderMark) { position = byteOrderMark.count }
        }
        while position < buffer.count {
            let end = buffer[position...].firstIndex(of: 0x0a) ?? buffer.count
            // Only the last line of the file may lack a line end.
            try check(buffer[position..<end])
            guard end < buffer.count || hasEnded else { return nil }
            let line = buffer[position..<end]
            position = min(end + 1, buffer.count)
            lineNumber += 1
            let trimmed = Self.trimmed(line)
            if trimmed.isEmpty || trimmed.first == UInt8(ascii: "#") { continue }
            guard let url = String(validating: trimmed, as: UTF8.self) else {
                let error = Failure(
                    .readFailed,
                    "line \(lineNumber) of \(name == "-" ? "stdin" : name) is not UTF-8; write such bytes as %XX")
                self.end(error)
                throw error
            }
            return url
        }
        return nil
    }

    /// `line` without the spaces and control characters around it.
    static func trimmed(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var line = line
        while let first = line.first, first <= 0x20 { line = line.dropFirst() }
        while let last = line.last, last <= 0x20 { line = line.dropLast() }
        return line
    }
}
