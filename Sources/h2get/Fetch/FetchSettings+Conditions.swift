import H2Client
import H2Measure
import H2Platform
import HTTPTypes

/// The options that ask for a part of a file, or for it only if it changed. A field of -H has precedence.
extension FetchSettings {
    /// - Throws: `Failure` (`usage`, `readFailed`).
    mutating func setConditions(_ arguments: Arguments) throws {
        if let range = try arguments.value(.range, Self.range) {
            if case .uploads = body {
                throw Failure.usage("-r asks for a part of a response, and -T sends a file: leave one out")
            }
            if fields[.range] == nil { fields[.range] = range }
        }
        timeCondition = try arguments.value(.timeCond, TimeCondition.init(text:))
        if let timeCondition {
            let name: HTTPField.Name = timeCondition.isBefore ? .ifUnmodifiedSince : .ifModifiedSince
            if fields[name] == nil { fields[name] = timeCondition.fieldValue }
        }
        guard arguments.isGiven(.etagSave) || arguments.isGiven(.etagCompare) else { return }
        guard urls.count == 1, inputFile == nil else {
            throw Failure.usage("--etag-save and --etag-compare are about one URL: give just one")
        }
        etagFile = try arguments.text(.etagSave)
        if let etagFile {
            guard !etagFile.isEmpty else { throw Failure.usage("--etag-save '' names no file") }
            guard !placement.names(etagFile) else {
                throw Failure.usage("--etag-save and -o name the same file; use another name")
            }
        }
        if let path = try arguments.text(.etagCompare), fields[.ifNoneMatch] == nil {
            fields[.ifNoneMatch] = try Self.entityTag(path)
        }
    }

    private static func range(_ text: String) throws -> String {
        let advice = BadValue("write 0-499, 500- or -500, and commas between several")
        var text = text
        // As in curl, a number alone is a beginning.
        if !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) { text += "-" }
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
            guard ends.count == 2, ends.contains(where: { !$0.isEmpty }), part.utf8.count <= 40,
                ends.allSatisfy({ $0.allSatisfy { (0x30...0x39).contains($0) } })
            else { throw advice }
        }
        return "bytes=\(text)"
    }

    /// The tag in a file of --etag-save. Without one it is a tag that no response has, as in curl.
    private static func entityTag(_ path: String) throws -> String {
        if path != "-", case .missing = FileKind(path: path) { return "\"\"" }
        let line = URLList.trimmed(try readText(path).prefix { $0 != 0x0a })
        guard !line.isEmpty else { return "\"\"" }
        guard line.count <= 8_192, line.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }),
            let tag = String(validating: line, as: UTF8.self)
        else { throw Failure.usage("\(printable(path)) (--etag-compare) holds no entity tag in its first line") }
        return tag
    }
}

/// The time of -z.
struct TimeCondition: Sendable, Equatable {
    /// Since 1970.
    let seconds: Int
    /// Whether only what is older is wanted.
    let isBefore: Bool

    @Sendable init(text: String) throws {
        isBefore = text.hasPrefix("-")
        let text = isBefore ? String(text.dropFirst()) : text
        if let date = Self.date(text) {
            seconds = date
            return
        }
        var status = stat()
        guard !text.isEmpty, stat(text, &status) == 0 else {
            throw BadValue(
                "it is no date that is known here, such as 2026-01-31 or 20 Jan 2026 12:00:00 GMT, and no file")
        }
        #if canImport(Darwin)
            seconds = Int(status.st_mtimespec.tv_sec)
        #else
            seconds = Int(status.st_mtim.tv_sec)
        #endif
    }

    var fieldValue: String {
        let time = timespec(tv_sec: seconds, tv_nsec: 0)
        return String(decoding: WriteOut.time(Array("%a, %d %b %Y %H:%M:%S GMT".utf8), at: time), as: UTF8.self)
    }

    /// Whether the server sent something that is not wanted, in spite of the field.
    func excludes(_ response: StreamedResponse) -> Bool {
        guard response.status == .ok, let text = response.firstValue(of: .lastModified),
            let changed = FileDate.seconds(text)
        else { return false }
        return isBefore ? changed >= seconds : changed <= seconds
    }

    /// `2026-01-31`, `2026-01-31 12:00:00`, `31 Jan 2026`, with a time or not, or a date of HTTP. All are UTC.
    static func date(_ text: String) -> Int? {
        if let seconds = FileDate.seconds(text) { return seconds }
        // Before the split at T.
        let isZoned = text.hasSuffix(" GMT") || text.hasSuffix(" UTC")
        var words = (isZoned ? text.dropLast(4) : text[...]).split { $0 == " " || $0 == "T" }.map(String.init)
        if let last = words.last, ["GMT", "UTC", "Z"].contains(last) { words.removeLast() }
        if let last = words.last, last.utf8.count == 9, last.hasSuffix("Z") {
            words[words.count - 1] = String(last.dropLast())
        }
        var clock = "00:00:00"
        if let last = words.last, last.utf8.contains(UInt8(ascii: ":")) {
            clock = last.utf8.count == 5 ? last + ":00" : last
            words.removeLast()
        }
        if words.count == 1 {
            let parts = words[0].split(separator: "-", omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 3, parts[0].utf8.count == 4, parts[1].utf8.count == 2, parts[2].utf8.count == 2,
                let month = Int(parts[1]), (1...12).contains(month)
            else { return nil }
            words = [parts[2], months[month - 1], parts[0]]
        }
        guard words.count == 3 else { return nil }
        let day = words[0].utf8.count == 1 ? "0" + words[0] : words[0]
        // The day of the week is not checked.
        return FileDate.seconds("Mon, \(day) \(words[1]) \(words[2]) \(clock) GMT")
    }

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
}
