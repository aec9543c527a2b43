import H2Client
import H2Measure
import HTTPTypes

/// One file to fetch: its URL, with what a list says about it.
struct ListedURL: Sendable, Equatable {
    var url: String
    /// Further URLs of the same file, which are tried in order if the one before fails.
    var mirrors: [String] = []
    /// `out=`: the file's name.
    var out: String?
    /// `dir=`: the file's folder.
    var folder: String?
    /// `header=`: fields of -H for it alone.
    var fields: [[UInt8]] = []
    /// `checksum=`.
    var checksum: Checksum?

    /// More options than that are a mistake, which must not fill the memory.
    private static let mostFields = 1_000

    init(_ url: String) { self.url = url }

    /// A line of a list, whose URLs tabs separate.
    init(line: ArraySlice<UInt8>) throws {
        var urls: [String] = []
        for part in line.split(separator: 0x09) {
            let part = URLList.trimmed(part)
            guard !part.isEmpty else { continue }
            guard let url = String(validating: part, as: UTF8.self) else {
                throw BadValue("is not UTF-8; write such bytes as %XX")
            }
            urls.append(url)
        }
        // The line has more than spaces.
        self.init(urls[0])
        mirrors = Array(urls.dropFirst())
    }

    /// Whether an indented line is an option of the URL before it: `name=value`. Others are URLs.
    static func isOption(_ line: ArraySlice<UInt8>) -> Bool {
        let name = line.prefix {
            (0x61...0x7a).contains($0) || (0x41...0x5a).contains($0) || (0x30...0x39).contains($0)
                || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_")
        }
        return !name.isEmpty && name.endIndex < line.endIndex && line[name.endIndex] == UInt8(ascii: "=")
    }

    /// Applies an indented line.
    /// - Throws: `BadValue`, which follows the number of the line.
    mutating func apply(_ line: ArraySlice<UInt8>) throws {
        let parts = line.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(decoding: parts[0], as: UTF8.self)
        func text() throws -> String {
            guard let text = String(validating: parts[1], as: UTF8.self) else { throw BadValue("is not UTF-8") }
            guard !text.isEmpty, !text.utf8.contains(0) else { throw BadValue("names nothing after \(name)=") }
            return text
        }
        switch name {
        case "out":
            guard out == nil else { throw BadValue("gives a second out= for one URL") }
            out = try text()
        case "dir":
            guard folder == nil else { throw BadValue("gives a second dir= for one URL") }
            folder = try text()
        case "checksum":
            guard checksum == nil else { throw BadValue("gives a second checksum= for one URL") }
            do { checksum = try Checksum(text: try text()) } catch let error as BadValue {
                throw BadValue("has a checksum that cannot be used: \(error)")
            }
        case "header":
            guard fields.count < Self.mostFields else { throw BadValue("gives more header= than a request can have") }
            let field = Array(parts[1])
            // The errors do not show the value, which may be a secret.
            var fields = HTTPFields()
            do { _ = try FetchSettings.apply([(line: field, source: "header=")], to: &fields) } catch let error
                as Failure
            {
                throw BadValue("has a field that cannot be sent: \(error.message)")
            }
            self.fields.append(field)
        default:
            throw BadValue("has '\(shown(name))=', which is not known here; use out=, dir=, header= or checksum=")
        }
    }
}
