import H2Client
import H2Measure

/// The file of `--timing-script-file`, in h2load's format: each line has a request's due time in milliseconds, a tab, and
/// its URL.
struct TimingScript: Sendable {
    /// Due times in nanoseconds since the start, in ascending order. At least one.
    private(set) var times: [UInt64] = []
    /// The URLs, one for each time.
    private(set) var targets: [RequestTarget] = []

    /// - Parameters:
    ///   - path: the file's path; - is stdin.
    ///   - hasBase: whether URLs may be paths.
    /// - Throws: `Failure`.
    init(path: String, hasBase: Bool) throws {
        let name = path == "-" ? "stdin" : printable(path)
        let lines = try readText(path).split(separator: 0x0a, omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            let shown = URLList.trimmed(line)
            if shown.isEmpty || shown.first == UInt8(ascii: "#") { continue }
            // A tab at either end counts too.
            let line = line.last == 0x0d ? line.dropLast() : line
            func refusal(_ why: String) -> Failure {
                .usage("line \(index + 1) of \(name) (--timing-script-file) \(why)")
            }
            guard times.count < MeasuredURLs.maximumCount else {
                throw refusal("is one too many: use \(MeasuredURLs.maximumCount) at most")
            }
            let fields = line.split(separator: 0x09, omittingEmptySubsequences: false)
            guard fields.count == 2 else {
                throw refusal("has \(counted(fields.count - 1, "tab")): write milliseconds, one tab, and a URL")
            }
            guard let offset = String(validating: URLList.trimmed(fields[0]), as: UTF8.self),
                let url = String(validating: URLList.trimmed(fields[1]), as: UTF8.self)
            else { throw refusal("is not UTF-8: write such bytes as %XX") }
            guard let milliseconds = QuantityText.decimal(offset[...]) else {
                throw refusal(
                    "begins with '\(shortened(printable(offset), to: 40))': write milliseconds such as 0, 1500 or 12.345"
                )
            }
            guard milliseconds <= 604_800_000 else { throw refusal("is due after more than a week") }
            let time = UInt64((milliseconds * 1e6).rounded())
            guard time >= times.last ?? 0 else {
                throw refusal("is due before the line above it: sort the lines by their times")
            }
            do {
                let isPath = hasBase && url.utf8.first == UInt8(ascii: "/")
                targets.append(try RequestTarget(isPath ? "http://base\(url)" : url))
            } catch {
                throw Failure(.badURL, refusal("cannot be asked for: \(error.message); \(error.remedy)").message)
            }
            times.append(time)
        }
        guard !times.isEmpty else {
            throw Failure.usage(
                "no line in \(name) (--timing-script-file); write milliseconds, a tab and a URL on each")
        }
    }

    /// Keeps only the first `count` lines.
    mutating func keep(_ count: Int) {
        times.removeLast(max(times.count - count, 0))
        targets.removeLast(max(targets.count - count, 0))
    }
}
