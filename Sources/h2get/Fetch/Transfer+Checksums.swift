import H2Client
import H2Measure
import H2Platform

/// The checksums of files (--checksum, --checksum-file).
extension Fetch {
    /// Finds the checksum of a transfer's file.
    /// - Throws: `Failure` (`checksumMismatch`) if the file of checksums has none for it.
    func setChecksum(of transfer: inout Transfer, path: String) throws {
        guard transfer.checksum == nil else { return }
        if transfer.index < settings.checksums.count {
            transfer.checksum = settings.checksums[transfer.index]
            return
        }
        guard let list = settings.checksumFile else { return }
        var names = [path]
        if let folder = settings.placement.directory {
            let prefix = folder.hasSuffix("/") ? folder : folder + "/"
            if path.hasPrefix(prefix) { names.append(String(path.dropFirst(prefix.count))) }
        }
        let name = path.utf8.lastIndex(of: UInt8(ascii: "/")).map { path[path.utf8.index(after: $0)...] } ?? path[...]
        names.append(String(name))
        guard let (name, checksum) = list.checksum(forAnyOf: names) else {
            throw Failure(
                .checksumMismatch,
                "\(list.path) has no checksum for \(path), so it is not fetched; add its line, or leave it out")
        }
        transfer.checksum = checksum
        checkedNames.insert(name)
    }

    /// - Throws: `Failure` (`usage`) if a body that goes to no file is to have a checksum.
    func refuseChecksum(of transfer: Transfer) throws {
        guard transfer.checksum != nil || settings.checksumFile != nil || !settings.checksums.isEmpty else { return }
        throw Failure.usage(
            "its body goes to no file, and a checksum decides whether a file gets its name: add -o FILE or -O")
    }

    /// Compares the bytes of a complete download with its checksum.
    /// - Throws: `Failure` (`checksumMismatch`).
    func verify(_ download: Download, _ transfer: Transfer) async throws {
        guard let checksum = transfer.checksum else { return }
        let (descriptor, name) = (download.descriptor, download.target.path)
        // A file that is written in place is not open for reading.
        let path = download.isInPlace ? download.target.resolved : nil
        do {
            try await offLoopToItsEnd {
                Result {
                    if let path { return try checksum.verify(fileAt: path, name) }
                    try checksum.verify(descriptor, name)
                }
            }.get()
        } catch let failure as Failure {
            throw notKept(failure)
        }
    }

    /// Adds to the failure of a checksum what becomes of the bytes.
    func notKept(_ failure: Failure) -> Failure {
        guard failure.status == .checksumMismatch else { return failure }
        return Failure(failure.status, failure.message + "; nothing of it was kept")
    }

    /// Compares a file that is here already with the transfer's checksum.
    /// - Throws: `Failure` (`checksumMismatch`); the file stays.
    func verify(fileAt path: String, _ transfer: Transfer) async throws {
        guard let checksum = transfer.checksum else { return }
        do {
            try await offLoopToItsEnd { Result { try checksum.verify(fileAt: FilePath(path), path) } }.get()
        } catch var failure as Failure {
            if failure.status == .checksumMismatch {
                failure.message += "; it was here before, and stays: remove it to fetch it again"
            }
            throw failure
        }
    }

    /// Tells of names in the file of checksums that no transfer had.
    func tellOfMissingNames() {
        guard let list = settings.checksumFile, console.showsErrors else { return }
        let missing = list.checksums.keys.filter { !checkedNames.contains($0) }.sorted()
        guard !missing.isEmpty else { return }
        let names = missing.prefix(3).joined(separator: ", ") + (missing.count > 3 ? ", …" : "")
        console.say(
            printable(
                "h2get: \(missing.count) of \(list.checksums.count) files in \(list.path) were not fetched: \(names)"))
    }
}
