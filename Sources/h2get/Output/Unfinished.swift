import H2Client
import H2Platform

/// Files to clean up if a signal ends the process: temporary files, and files that would look complete but are not.
enum Unfinished {
    enum Item: Sendable {
        /// A file of ours that is useless until complete. It is removed.
        case temporary(path: FilePath)
        /// A file that is written in place. It is emptied.
        case inPlace(descriptor: CInt)
        /// A file that is useful only while the process runs. It is removed unless it was replaced or changed.
        case made(path: FilePath, identity: FileIdentity, content: [UInt8])

        /// Returns nil if the file does not exist.
        init?(madeFile path: FilePath, content: [UInt8]) {
            var status = stat()
            guard lstat(path.c, &status) == 0 else { return nil }
            self = .made(path: path, identity: FileIdentity(status), content: content)
        }
    }

    struct Ticket: Sendable { let number: Int }

    private struct State {
        var items: [Int: Item] = [:]
        var last = 0
    }

    private static let state = Locked(State())

    static func add(_ item: Item) -> Ticket {
        state.withLock { state in
            state.last += 1
            state.items[state.last] = item
            return Ticket(number: state.last)
        }
    }

    /// Removes a file that is complete or already cleaned up.
    static func remove(_ ticket: Ticket?) {
        guard let ticket else { return }
        state.withLock { _ = $0.items.removeValue(forKey: ticket.number) }
    }

    /// Cleans up. Call this right before the process ends.
    static func clear() {
        state.withLock { state in
            for item in state.items.values {
                switch item {
                case .temporary(let path): unlink(path.c)
                case .inPlace(let descriptor): _ = ftruncate(descriptor, 0)
                case .made(let path, let identity, let content):
                    var status = stat()
                    if lstat(path.c, &status) == 0, FileIdentity(status) == identity,
                        ServeFile.content(of: path, limit: content.count) == content
                    {
                        unlink(path.c)
                    }
                }
            }
            state.items = [:]
        }
    }
}
