import H2Client
import H2Measure
import H2Platform

/// `h2get bench merge`: reads logs, merges them, and shows or writes the result.
struct BenchMerge {
    private let files: [String]
    private let results: ResultFiles
    private let clockOffsets: [Double]

    init(_ arguments: Arguments) throws {
        let files = arguments.operands
        self.files = files
        guard !files.isEmpty else {
            throw Failure.usage("no log given; write h2get bench merge FILE..., the files of 'h2get bench --hdr FILE'")
        }
        guard !files.contains("-") else {
            throw Failure.usage("'-' is not a log: name files, or /dev/stdin for one that comes through a pipe")
        }
        if let index = files.indices.first(where: { files[..<$0].contains(files[$0]) }) {
            throw Failure.usage("\(printable(files[index])) is named twice, and would count twice; name each log once")
        }
        results = try ResultFiles(arguments, [.merged, .hgrm])
        clockOffsets = try arguments.value(.clockOffset, Self.offsets) ?? []
        guard clockOffsets.isEmpty || clockOffsets.count == files.count else {
            throw Failure.usage(
                "--clock-offset has \(clockOffsets.count) of the \(counted(files.count, "log"))' clocks; write one for each, "
                    + "0 for one that was right")
        }
    }

    /// The identity of a regular file; nil for others, such as pipes.
    private static func identity(_ path: String) -> FileIdentity? {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return FileIdentity(status)
    }

    private static func offsets(_ text: String) throws -> [Double] {
        try text.split(separator: ",", omittingEmptySubsequences: false).map { part in
            let isNegative = part.utf8.first == UInt8(ascii: "-")
            guard let seconds = QuantityText.decimal(isNegative ? part.dropFirst() : part), seconds < 1e9 else {
                throw BadValue("write seconds with commas between, such as 0,1.5,-0.2")
            }
            return isNegative ? -seconds : seconds
        }
    }

    /// - Throws: `Failure`, in which case no file is written.
    func run() throws {
        var merge = HistogramLogMerge(clockOffsets: clockOffsets)
        var known: [FileIdentity: String] = [:]
        for file in files {
            if let identity = Self.identity(file), let other = known.updateValue(file, forKey: identity) {
                throw Failure.usage(
                    "\(printable(other)) and \(printable(file)) are the same file, which would count twice; leave one out"
                )
            }
            do { try merge.add(path: file) } catch let error as HistogramLogError {
                throw Failure(.readFailed, error.description)
            }
        }
        // Read first: the output may be one of the input files.
        let open = try results.open()
        do {
            let latency = merge.series(named: HistogramLog.untagged)
            guard latency != nil || !results.contains(.hgrm) else {
                throw Failure(.readFailed, "no log has a line without a tag, which is the latency (--hgrm)")
            }
            try MeasureRun.deliver(merge, to: open, showsSummary: results.onStandardOutput == nil)
        } catch {
            open.discard()
            throw error
        }
    }
}

extension HistogramLogMerge: MeasureReport {
    func content(of kind: ResultFile) -> String? {
        switch kind {
        case .merged: logText
        case .hgrm: series(named: HistogramLog.untagged).map { Self.percentileText($0.histogram) }
        default: nil
        }
    }

    func summary(width: Int, color: Bool) -> String { text(width: width, color: color) }
}
