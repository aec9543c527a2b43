/// The state of an interrupted download.
struct DownloadState: Sendable, Hashable {
    /// The SHA-256 of the URL in hexadecimal: the URL itself may contain secrets.
    let request: String
    let validator: Validator
    /// The length of the whole representation.
    let total: Int
    /// The bytes that were received, if they are not just the part's: those of a download in pieces, whose part has holes.
    var received: ReceivedRanges?

    private static let heading = "h2client-download 1"
    /// Of a download in pieces.
    private static let headingOfPieces = "h2client-download 2"

    init(request: String, validator: Validator, total: Int) {
        self.request = request
        self.validator = validator
        self.total = total
    }

    /// The contents of a state file. The last line has an end, so that a truncated file cannot be mistaken for a
    /// complete one.
    var text: String {
        let line =
            switch validator {
            case .entityTag(let tag): "etag \(tag)"
            case .lastModified(let date): "last-modified \(date)"
            }
        let ranges = received?.ranges.map { "range \($0.lowerBound)-\($0.upperBound - 1)\n" }.joined() ?? ""
        let heading = received == nil ? Self.heading : Self.headingOfPieces
        return "\(heading)\nrequest \(request)\nlength \(total)\n\(line)\n\(ranges)end\n"
    }

    /// Returns nil for anything that `text` does not produce.
    init?(_ bytes: [UInt8]) {
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let isOfPieces = lines[0] == Self.headingOfPieces
        guard isOfPieces ? lines.count >= 6 : lines.count == 6, isOfPieces || lines[0] == Self.heading,
            lines[1].hasPrefix("request "), lines[2].hasPrefix("length "),
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
        if isOfPieces {
            var ranges: [Range<Int>] = []
            for line in lines[4..<lines.count - 2] {
                let ends = line.dropFirst(6).split(separator: "-").map { Int($0) }
                guard line.hasPrefix("range "), ends.count == 2, let first = ends[0], let last = ends[1], first >= 0,
                    first <= last, last < total
                else { return nil }
                ranges.append(first..<last + 1)
            }
            received = ReceivedRanges(ranges)
        }
        guard self.text.utf8.elementsEqual(bytes) else { return nil }
    }
}
