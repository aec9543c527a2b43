/// What is known of the bytes of an interrupted download.
struct DownloadState: Sendable, Hashable {
    /// The SHA-256 of the URL in hexadecimal: the URL itself may have secrets.
    let request: String
    let validator: Validator
    /// The length of the whole representation.
    let total: Int

    private static let heading = "h2client-download 1"

    init(request: String, validator: Validator, total: Int) {
        self.request = request
        self.validator = validator
        self.total = total
    }

    /// As a file has it, with the end of the last line, so that a cut file cannot be mistaken for a whole one.
    var text: String {
        let line =
            switch validator {
            case .entityTag(let tag): "etag \(tag)"
            case .lastModified(let date): "last-modified \(date)"
            }
        return "\(Self.heading)\nrequest \(request)\nlength \(total)\n\(line)\nend\n"
    }

    /// Returns nil for anything that `text` does not produce.
    init?(_ bytes: [UInt8]) {
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count == 6, lines[0] == Self.heading, lines[1].hasPrefix("request "), lines[2].hasPrefix("length "),
            let total = Int(lines[2].dropFirst(7)), total >= 0
        else { return nil }
        let validator: Validator
        if lines[3].hasPrefix("etag "), Validator.isStrong(String(lines[3].dropFirst(5))) {
            validator = .entityTag(String(lines[3].dropFirst(5)))
        } else if lines[3].hasPrefix("last-modified ") {
            validator = .lastModified(String(lines[3].dropFirst(14)))
        } else {
            return nil
        }
        self.init(request: String(lines[1].dropFirst(8)), validator: validator, total: total)
        guard self.text.utf8.elementsEqual(bytes) else { return nil }
    }
}
