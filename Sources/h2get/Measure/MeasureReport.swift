import H2Measure

/// A measurement's result in each output format of its command.
protocol MeasureReport {
    /// The content of a result file; nil if this report has no such file.
    func content(of kind: ResultFile) -> String?

    /// The text for stdout.
    func summary(width: Int, color: Bool) -> String
}

/// The settings that all measuring commands have.
protocol MeasureSettings: Sendable {
    var files: ResultFiles { get }
    var isSilent: Bool { get }
    var isVerbose: Bool { get }
    var context: ReportContext { get }
}

extension MeasureSettings {
    /// Progress is a line of its own with -v.
    var console: Console { Console(showsErrors: true, hidesProgress: isSilent || isVerbose) }

    /// Whether stdout gets the summary, rather than nothing or a result file.
    var showsSummary: Bool { !isSilent && files.onStandardOutput == nil }
}
