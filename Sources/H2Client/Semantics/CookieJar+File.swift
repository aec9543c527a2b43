extension CookieJar {
    /// The result of reading a cookie file.
    public struct LoadReport: Sendable, Hashable {
        /// The number of cookies that were put into the jar.
        public var cookies: Int
        /// The number of expired cookies, which were left out.
        public var expiredCookies: Int
        /// The number of lines that were left out because they are not cookies, or are cookies that no server could
        /// have set.
        public var skippedLines: Int
        /// The number of the first such line, counted from 1; nil if there was none.
        public var firstSkippedLine: Int?

        /// Creates a report, for tests.
        public init(
            cookies: Int = 0, expiredCookies: Int = 0, skippedLines: Int = 0, firstSkippedLine: Int? = nil
        ) {
            self.cookies = cookies
            self.expiredCookies = expiredCookies
            self.skippedLines = skippedLines
            self.firstSkippedLine = firstSkippedLine
        }
    }

    /// The largest cookie file that is read: 32 MiB.
    public static let maximumFileSize = 32 << 20

    /// Adds the cookies of a file to the jar, in the Netscape format that curl (`-b`, `-c`) and wget use.
    ///
    /// The file is read on another thread. A cookie replaces the one with the same name, domain and path. Lines that
    /// cannot be used are left out and counted. If the file has more cookies than ``Limits`` allow, only the last ones
    /// are kept.
    ///
    /// ```swift
    /// let jar = CookieJar()
    /// let report = try await jar.load(from: "cookies.txt")
    /// if let line = report.firstSkippedLine { print("line \(line) is not a cookie") }
    /// ```
    /// - Throws: `H2Error`: `localIO` if the file cannot be read or is not a regular file, `limitExceeded` if it is
    ///   larger than ``maximumFileSize``. The jar is then unchanged. Cancelling the task does not shorten the call.
    @discardableResult
    public nonisolated(nonsending) func load(from path: String) async throws(H2Error) -> LoadReport {
        try await BlockingThreads.shared.result { () throws(H2Error) in
            self.load(try WholeFile.read(path, upTo: Self.maximumFileSize))
        }
    }

    /// Adds the cookies in a file's contents to the jar. Otherwise the same as ``load(from:)``.
    @discardableResult
    public func load(_ contents: [UInt8]) -> LoadReport { load(contents, now: ConnectionPool.wallTime) }

    /// Writes all cookies that have not expired to a file, in the Netscape format that curl and wget use.
    ///
    /// The file is written on another thread and replaced atomically, so that nobody sees a partial file. Only its
    /// owner can read it (mode 0600), since cookies are as good as passwords. The format cannot hold cookies that
    /// contain a tab, which are left out, and has no place for SameSite.
    /// - Parameters:
    ///   - path: The path of the file.
    ///   - includingSessionCookies: Whether to write cookies without an expiry too, as curl does. Default true.
    /// - Returns: The number of cookies written.
    /// - Throws: `H2Error` (`localIO`) if the file cannot be written. It is then unchanged. Cancelling the task does
    ///   not shorten the call.
    @discardableResult
    public nonisolated(nonsending) func save(
        to path: String, includingSessionCookies: Bool = true
    ) async throws(H2Error) -> Int {
        try await BlockingThreads.shared.result { () throws(H2Error) in
            let contents = self.netscapeFile(
                includingSessionCookies: includingSessionCookies, now: ConnectionPool.wallTime)
            try WholeFile.replace(path, with: contents.bytes)
            return contents.count
        }
    }

    /// The contents of ``save(to:includingSessionCookies:)``.
    package func netscapeFile() -> [UInt8] {
        netscapeFile(includingSessionCookies: true, now: ConnectionPool.wallTime).bytes
    }

    // MARK: - With the time as a parameter

    package func load(_ contents: [UInt8], now: Int) -> LoadReport {
        var report = LoadReport()
        let bad = NetscapeCookies.parse(contents) { cookie in
            guard accepts(cookie) else { return false }
            if insert(cookie, now: now) { report.cookies += 1 } else { report.expiredCookies += 1 }
            return true
        }
        report.skippedLines = bad.count
        report.firstSkippedLine = bad.first
        return report
    }

    func netscapeFile(includingSessionCookies: Bool, now: Int) -> (bytes: [UInt8], count: Int) {
        let cookies = cookies(now: now).filter {
            (includingSessionCookies || $0.expires != nil) && NetscapeCookies.canHold($0)
        }
        return (NetscapeCookies.text(cookies), cookies.count)
    }
}
