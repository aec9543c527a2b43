import H2Platform

/// Which files this run writes or has written: two URLs must not write one file.
///
/// Memory stays flat however many URLs there are. Those that are being written are known exactly, of those that are
/// finished the first `remembered`. Beyond that the file itself tells: one that was changed since the run began.
///
/// Belongs to one actor.
final class ClaimedFiles {
    private let remembered: Int
    private var underWay: Set<FileIdentity> = []
    /// Hashes.
    private var finished: Set<Int> = []
    private var hasForgotten = false
    private let began: timespec

    init(remembered: Int = 1 << 16) {
        self.remembered = remembered
        began = fileClock()
    }

    /// False where another URL of the run has the file. `release` must follow where it is true.
    func claim(_ target: DownloadTarget) -> Bool {
        for identity in target.identities
        where underWay.contains(identity) || finished.contains(identity.hashValue) {
            return false
        }
        if hasForgotten, let changed = target.changedAt,
            (changed.tv_sec, changed.tv_nsec) > (began.tv_sec, began.tv_nsec)
        {
            return false
        }
        underWay.formUnion(target.identities)
        return true
    }

    /// The transfer is over.
    /// - Parameter isWritten: whether the file holds its bytes now.
    func release(_ target: DownloadTarget, isWritten: Bool) {
        underWay.subtract(target.identities)
        guard isWritten else { return }
        guard finished.count < remembered else {
            hasForgotten = true
            return
        }
        for identity in target.identities { finished.insert(identity.hashValue) }
    }
}
