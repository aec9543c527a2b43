import H2Measure

/// `h2get bench merge`: reads logs, merges them, and shows or writes the result.
struct BenchMerge {
    private let files: [String]
    private let results: ResultFiles

    init(_ command: BenchMergeCommand) throws {
        let files = command.urls
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
        results = try ResultFiles([(.merged, command.output), (.hgrm, command.distribution)])
    }

    /// - Throws: `Failure`, in which case no file is written.
    func run() throws {
        var merge = HistogramLogMerge()
        for file in files {
            do { try merge.add(path: file) } catch let error as HistogramLogError {
                throw Failure(.readFailed, error.description)
            }
        }
        // Read first: the output may be one of the input files.
        let open = try results.open()
        do {
            let merged = merge
            let latency = merge.series(named: HistogramLog.untagged)
            guard latency != nil || !results.contains(.hgrm) else {
                throw Failure(.readFailed, "no log has a line without a tag, which is the latency (--hgrm)")
            }
            try MeasureRun.handOn(
                open,
                write: {
                    open.write(.merged) { merge.logText }
                    if let latency { open.write(.hgrm) { HistogramLogMerge.percentileText(latency.histogram) } }
                }, summary: results.onStandardOutput == nil ? { merged.text(width: $0, color: $1) } : nil)
        } catch {
            open.discard()
            throw error
        }
    }
}
