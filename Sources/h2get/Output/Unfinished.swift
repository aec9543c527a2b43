import H2Platform
import Synchronization

/// Files that must not be left behind where the process ends in the middle: those that nobody could use, and those that would
/// look whole under their names.
enum Unfinished {
    enum Item: Sendable {
        /// A file of ours that is of no use to anybody before its end.
        case temporary(path: FilePath)
        /// A file that is written in place: empty is better than half.
        case inPlace(descriptor: CInt)
        /// A file that is of use only while the process runs. It is removed where it is still the one that was made.
        case made(path: FilePath, identity: FileIdentity, content: [UInt8])

        /// nil where there is no such file.
        init?(madeFile path: FilePath, content: [UInt8]) {
            var status = stat()
            guard lstat(path.c, &status) == 0 else { return nil }
            self = .made(path: path, identity: FileIdentity(status), content: content)
        }
    }

    struct Ticket: Sendable { fileprivate let number: Int }

    private struct State {
        var items: [Int: Item] = [:]
        var last = 0
    }

    private static let state = Mutex(State())

    static func add(_ item: Item) -> Ticket {
        state.withLock { state in
            state.last += 1
            state.items[state.last] = item
            return Ticket(number: state.last)
        }
    }

    /// It is finished, or dealt with.
    static func remove(_ ticket: Ticket?) {
        guard let ticket else { return }
        state.withLock { _ = $0.items.removeValue(forKey: ticket.number) }
    }

    /// To be called right before the end.
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
