extension StrictTransportStore {
    /// The result of reading a file.
    public struct LoadReport: Sendable, Hashable {
        /// The number of hosts that were added.
        public var hosts: Int
        /// The number of expired hosts, which were left out.
        public var expiredHosts: Int
        /// The number of lines that could not be used.
        public var skippedLines: Int
        /// The number of the first such line, counted from 1; nil if there was none.
        public var firstSkippedLine: Int?

        /// Creates a report, for tests.
        public init(hosts: Int = 0, expiredHosts: Int = 0, skippedLines: Int = 0, firstSkippedLine: Int? = nil) {
            self.hosts = hosts
            self.expiredHosts = expiredHosts
            self.skippedLines = skippedLines
            self.firstSkippedLine = firstSkippedLine
        }
    }

    /// The largest file that is read: 32 MiB.
    public static let maximumFileSize = 32 << 20

    /// Adds the hosts in a file in the format of curl's `--hsts`. The file is read on another thread. Lines that cannot
    /// be used are left out and counted.
    /// - Throws: `H2Error`: `localIO` if the file cannot be read or is not a regular file, `limitExceeded` if it is
    ///   larger than ``maximumFileSize``. The store is then unchanged. Cancelling the task does not shorten the call.
    @discardableResult
    public nonisolated(nonsending) func load(from path: String) async throws(H2Error) -> LoadReport {
        try await BlockingThreads.shared.result { () throws(H2Error) in
            self.load(try WholeFile.read(path, upTo: Self.maximumFileSize))
        }
    }

    /// Adds the hosts in a file's contents. Otherwise the same as ``load(from:)``.
    @discardableResult
    public func load(_ contents: [UInt8]) -> LoadReport { load(contents, now: ConnectionPool.wallTime) }

    /// Writes the hosts that have not expired to a file, in the format of curl's `--hsts`.
    ///
    /// The file is written on another thread and replaced atomically, so that nobody sees a partial file. Only its
    /// owner can read it (mode 0600), because it reveals where the client has been.
    /// - Throws: `H2Error` (`localIO`) if the file cannot be written. It is then unchanged. Cancelling the task does
    ///   not shorten the call.
    public nonisolated(nonsending) func save(to path: String) async throws(H2Error) {
        try await BlockingThreads.shared.result { () throws(H2Error) in
            try WholeFile.replace(path, with: StrictTransportFile.text(self.hosts))
        }
    }

    package func load(_ contents: [UInt8], now: Int) -> LoadReport {
        var report = LoadReport()
        let bad = StrictTransportFile.parse(contents) { host in
            if host.expires > now {
                insert(host, now: now)
                report.hosts += 1
            } else {
                report.expiredHosts += 1
            }
            return true
        }
        report.skippedLines = bad.count
        report.firstSkippedLine = bad.first
        return report
    }
}
