import H2Platform

/// A `.netrc` file, read once, when the first request needs it.
///
/// Invariant behind `@unchecked Sendable`: mutable state is accessed only under `lock`, a leaf.
final class NetrcFile: @unchecked Sendable {
    /// The path that the caller named; nil for the user's own file.
    private let path: String?
    private let lock = PthreadLock()
    private var entries: NetrcEntries?

    init(_ path: String?) { self.path = path }

    /// The file's entries. A failure is not kept: the next request tries again.
    /// - Throws: `H2Error`: `localIO` if a file that the caller named cannot be read, `invalidConfiguration` if the file cannot
    ///   be parsed, `timeout`; `CancellationError`.
    nonisolated(nonsending) func load(_ limits: WaitLimits) async throws -> NetrcEntries {
        if let known = lock.withLock({ self.entries }) { return known }
        let entries = try await limits.blocking { [path] in try Self.read(path) }
        lock.withLock { self.entries = entries }
        return entries
    }

    /// Reads the file. It may wait for a disk.
    /// - Parameter environment: returns the value of a variable. For tests.
    static func read(
        _ path: String?, environment: (String) -> String? = { getenv($0).map { String(cString: $0) } }
    ) throws(H2Error) -> NetrcEntries {
        guard let file = path ?? standardPath(environment) else { return NetrcEntries() }
        let bytes: [UInt8]
        switch FileContents.read(file, upTo: NetrcEntries.Limits.length) {
        case .success(let contents): bytes = contents
        case .failure(let error):
            // Most users have none.
            guard path != nil else { return NetrcEntries() }
            throw H2Error(
                .localIO, initiator: .user, cause: .errno(error.code),
                message: "cannot read '\(file)': \(describeErrno(error.code))",
                remedy: "check the path and its rights")
        }
        do throws(NetrcEntries.Fault) {
            return try NetrcEntries(bytes)
        } catch {
            let place = error.line > 0 ? "line \(error.line) of '\(file)'" : "'\(file)'"
            throw H2Error(
                .invalidConfiguration, initiator: .user, message: "cannot use \(place): \(error.reason)",
                remedy: "write it as: machine HOST login USER password PASSWORD")
        }
    }

    private static func standardPath(_ environment: (String) -> String?) -> String? {
        if let named = environment("NETRC"), !named.isEmpty { return named }
        guard let home = environment("HOME"), !home.isEmpty else { return nil }
        return home + "/.netrc"
    }
}
