import H2Client
import H2Platform

/// The files that this run is writing or has written, so that no two URLs write the same file.
///
/// Memory does not grow with the number of URLs: the set holds all files being written, but only the first `remembered`
/// finished ones. Beyond that, any file changed since the run began counts as written.
///
/// Confined to one actor.
final class ClaimedFiles {
    private let remembered: Int
    private var underWay: Set<FileIdentity> = []
    /// Hash values of identities.
    private var finished: Set<Int> = []
    private var hasForgotten = false
    private let began: timespec

    init(remembered: Int = 1 << 16) {
        self.remembered = remembered
        began = fileClock()
    }

    /// Claims the file; false if another URL of the run has it. `release` must follow if true.
    func claim(_ target: DownloadTarget) -> Bool {
        for identity in target.identities
        where underWay.contains(identity) || finished.contains(identity.hashValue) {
            return false
        }
        if hasForgotten, let changed = target.changedAt,
            (changed.seconds, changed.nanoseconds) > (began.tv_sec, began.tv_nsec)
        {
            return false
        }
        underWay.formUnion(target.identities)
        return true
    }

    /// Claims the file of an option for the whole run, so that no body replaces it. A file that cannot be used is reported when
    /// it is opened.
    func reserve(_ path: String) {
        guard let target = try? DownloadTarget(path: path, createsDirectories: false) else { return }
        underWay.formUnion(target.identities)
    }

    /// Releases the file at the end of its transfer.
    /// - Parameter isWritten: whether the file now holds the transfer's bytes.
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
