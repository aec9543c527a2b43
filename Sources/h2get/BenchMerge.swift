import H2Measure

/// `h2get bench merge`: reads logs, adds them up, shows or writes what they come to.
struct BenchMerge {
    private let files: [String]
    private let results: ResultFiles

    init(_ command: BenchMergeCommand) throws {
        files = command.urls
        guard !files.isEmpty else {
            throw Failure.usage("no log given; write h2get bench merge FILE..., the files of 'h2get bench --hdr FILE'")
        }
        guard !files.contains("-") else {
            throw Failure.usage("'-' is no log: name files, or /dev/stdin for one that comes through a pipe")
        }
        results = try ResultFiles([(.merged, command.output), (.hgrm, command.distribution)])
    }

    /// - Throws: `Failure`; no file is written then.
    func run() throws {
        var merge = HistogramLogMerge()
        for file in files {
            do { try merge.add(path: file) } catch let error as HistogramLogError {
                throw Failure(.readFailed, error.description)
            }
        }
        // Read first: a file may be both a log to read and the one to write.
        let open = try results.open()
        do {
            if results.onStandardOutput == nil {
                let style = MeasureRun.standardOutputStyle
                try MeasureRun.show(merge.text(width: style.width, color: style.color))
            }
            open.write(.merged) { merge.logText }
            if results.contains(.hgrm) {
                guard let latency = merge.series(named: HistogramLog.untagged) else {
                    throw Failure(.readFailed, "no log has a line without a tag, which is the latency (--hgrm)")
                }
                open.write(.hgrm) { HistogramLogMerge.percentileText(latency.histogram) }
            }
            try open.finish()
        } catch {
            open.discard()
            throw error
        }
    }
}
