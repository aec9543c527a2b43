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

    /// The file's entries. A failure is not cached: the next request tries again.
    /// - Throws: `H2Error`: `localIO` if a file that the caller named cannot be read, `limitExceeded` if it is too long,
    ///   `invalidConfiguration` if it cannot be parsed, `timeout`; `CancellationError`.
    nonisolated(nonsending) func load(_ limits: WaitLimits) async throws -> NetrcEntries {
        if let known = lock.withLock({ self.entries }) { return known }
        let entries = try await limits.blocking { [path] in try Self.read(path) }
        lock.withLock { self.entries = entries }
        return entries
    }

    /// Reads the file. May wait for a disk.
    /// - Parameter environment: returns the value of a variable. For tests.
    static func read(
        _ path: String?, environment: (String) -> String? = { getenv($0).map { String(cString: $0) } }
    ) throws(H2Error) -> NetrcEntries {
        guard let file = path ?? standardPath(environment) else { return NetrcEntries() }
        let bytes: [UInt8]
        do throws(H2Error) {
            bytes = try WholeFile.read(file, upTo: NetrcEntries.Limits.length, allowsPipes: true)
        } catch {
            // Most users do not have the file.
            guard path != nil || error.code != .localIO else { return NetrcEntries() }
            throw error
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
