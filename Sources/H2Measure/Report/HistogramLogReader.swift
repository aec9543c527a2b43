import H2Platform

/// The reason why a histogram log cannot be read: where, what, and what to try.
package struct HistogramLogError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The file name as given.
    package var file: String
    /// From 1; nil if it is not about one line.
    package var line: Int?
    package var message: String
    package var remedy: String

    package var description: String {
        "\(printable(file))\(line.map { ":\($0)" } ?? ""): \(printable(message)) (\(remedy))"
    }
}

/// Reads a histogram log, line by line. It refuses damaged logs, since percentiles of the readable part would be wrong.
struct HistogramLogReader {
    /// One line.
    struct Interval {
        var tag: String?
        /// Seconds since 1970 if the log says when it began, otherwise as written.
        var start: Double
        /// Seconds.
        var length: Double
        var payload: HistogramPayload
    }

    /// Even a histogram with all counts present and different is shorter than this.
    static let longestLine = 32 << 20

    private let file: String
    private var line = 0
    private var startTime: Double?
    private var baseTime: Double?
    private var intervals = 0
    private var notes = HistogramLogNotes()

    private init(file: String) { self.file = file }

    /// Calls `each` for each line of the file at `path`.
    /// - Returns: what the log says besides.
    static func read(path: String, each: (Interval) throws -> Void) throws -> HistogramLogNotes {
        var reader = HistogramLogReader(file: path)
        let descriptor = openForReading(path)
        guard descriptor >= 0 else { throw reader.unreadable() }
        defer { close(descriptor) }
        var rest: [UInt8] = []
        while true {
            var failed = false
            let part = [UInt8](unsafeUninitializedCapacity: 256 << 10) { buffer, count in
                var got = 0
                repeat { got = readPart(descriptor, buffer) } while got < 0 && errno == EINTR
                failed = got < 0
                count = max(got, 0)
            }
            guard !failed else { throw reader.unreadable() }
            guard !part.isEmpty else { break }
            rest += part
            try reader.takeLines(of: &rest, each: each)
        }
        try reader.finish(rest, each: each)
        return reader.notes
    }

    /// Calls `each` for each line of `text`, which errors call `file`.
    static func read(_ text: [UInt8], file: String, each: (Interval) throws -> Void) throws -> HistogramLogNotes {
        var reader = HistogramLogReader(file: file)
        var rest = text
        try reader.takeLines(of: &rest, each: each)
        try reader.finish(rest, each: each)
        return reader.notes
    }

    // MARK: Lines

    private mutating func takeLines(of bytes: inout [UInt8], each: (Interval) throws -> Void) throws {
        var start = 0
        while let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
            try take(bytes[start..<end], each: each)
            start = end + 1
        }
        bytes.removeSubrange(..<start)
        guard bytes.count <= Self.longestLine else {
            line += 1
            throw error("the line is longer than any histogram's")
        }
    }

    private mutating func finish(_ rest: [UInt8], each: (Interval) throws -> Void) throws {
        if !rest.isEmpty { try take(rest[...], each: each) }
        guard intervals > 0 else {
            throw HistogramLogError(
                file: file, line: nil, message: "holds no histogram",
                remedy: "write one with h2get bench --hdr FILE, and give bench merge that file")
        }
    }

    private mutating func take(_ bytes: ArraySlice<UInt8>, each: (Interval) throws -> Void) throws {
        line += 1
        let bytes = bytes.last == UInt8(ascii: "\r") ? bytes.dropLast() : bytes
        if bytes.isEmpty || bytes.starts(with: #""StartTimestamp""#.utf8) { return }
        if bytes.first == UInt8(ascii: "#") { return try takeComment(bytes.dropFirst()) }

        var fields = bytes.split(separator: UInt8(ascii: ","), maxSplits: 4, omittingEmptySubsequences: false)
        var tag: String?
        if bytes.starts(with: "Tag=".utf8) {
            tag = String(decoding: fields.removeFirst().dropFirst(4), as: UTF8.self)
        }
        guard fields.count == 4 else {
            throw error("\(fields.count) fields, not the 4 of start, length, largest value and histogram")
        }
        let numbers = try zip(fields, ["start", "length", "largest value"]).map { text, name in
            guard let number = Self.number(text) else {
                throw error(
                    "the \(name) '\(String(decoding: text.prefix(40), as: UTF8.self))' is not a number of seconds")
            }
            return number
        }
        let payload: HistogramPayload
        do {
            payload = try HistogramPayload(decoding: fields[3])
        } catch {
            throw self.error("the histogram \(error.message)")
        }
        intervals += 1
        do {
            try each(Interval(tag: tag, start: absolute(numbers[0]), length: numbers[1], payload: payload))
        } catch let error as HistogramPayloadError {
            throw self.error("the histogram \(error.message)")
        }
    }

    private mutating func takeComment(_ bytes: ArraySlice<UInt8>) throws {
        let text = String(decoding: bytes, as: UTF8.self)
        notes.take(text)
        for (name, path) in [("[StartTime:", \Self.startTime), ("[BaseTime:", \Self.baseTime)]
        where text.hasPrefix(name) {
            let value = text.dropFirst(name.count).drop { $0 == " " }.prefix { $0 != " " && $0 != "]" }
            guard let seconds = Self.number(Array(value.utf8)[...]) else {
                throw error("the time '\(value.prefix(40))' is not a number of seconds since 1970")
            }
            self[keyPath: path] = seconds
        }
        let version = "[Histogram log format version "
        if text.hasPrefix(version) {
            let value = text.dropFirst(version.count).prefix { $0 != "]" }
            guard value.hasPrefix("1.") else {
                throw error("the log's format version is '\(value.prefix(40))', and 1.0 to 1.3 are read here")
            }
        }
    }

    /// Follows HdrHistogram's own reader: without a base time, a time long before the log's start is relative to it.
    private func absolute(_ start: Double) -> Double {
        if let baseTime { return baseTime + start }
        guard let startTime, start < startTime - 365 * 24 * 3600 else { return start }
        return startTime + start
    }

    /// A plain decimal number, not negative. Swift itself would also accept "nan", "inf" and "0x1p3".
    private static func number(_ text: ArraySlice<UInt8>) -> Double? {
        let allowed = Array("0123456789.eE+-".utf8)
        guard text.count <= 40, text.allSatisfy({ allowed.contains($0) }),
            let value = Double(String(decoding: text, as: UTF8.self)), value.isFinite, value >= 0
        else { return nil }
        return value
    }

    // MARK: Errors

    private func error(_ message: String) -> HistogramLogError {
        HistogramLogError(
            file: file, line: line, message: message,
            remedy: "the file is damaged, or not an HdrHistogram log: leave it out, or write it again")
    }

    private func unreadable() -> HistogramLogError {
        HistogramLogError(
            file: file, line: nil, message: "cannot be read: \(errnoText(errno))",
            remedy: "check the path and its permissions")
    }
}

// Outside of the type, whose own functions hide those of the C library.
private func readPart(_ descriptor: CInt, _ buffer: UnsafeMutableBufferPointer<UInt8>) -> Int {
    read(descriptor, buffer.baseAddress, buffer.count)
}

private func openForReading(_ path: String) -> CInt { open(path, O_RDONLY | O_CLOEXEC) }
