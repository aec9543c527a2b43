import H2Client
import H2Measure
import H2Platform
import HTTPTypes

/// The files of transfers: their names, modes and times, and what happens to existing ones.
extension Fetch {
    // MARK: - Names

    /// Claims the file at `path`, or another name if it exists and --no-clobber is given.
    /// - Throws: `Failure` (`writeFailed`).
    func claim(_ path: String, _ transfer: inout Transfer) throws -> DownloadTarget {
        transfer.keepsExisting = transfer.keepsExisting || settings.files.existing == .kept
        guard settings.files.existing == .kept else {
            let target = try DownloadTarget(path: path, createsDirectories: settings.placement.createsDirectories)
            guard files.claim(target) else {
                throw Failure(
                    .writeFailed, "an earlier URL of this run is saved as \(path) already; name this one with -o FILE")
            }
            (transfer.claimed, transfer.fileName) = (target, path)
            return target
        }
        for number in 0...FileRules.names {
            let name = number == 0 ? path : "\(path).\(number)"
            guard !FileRules.exists(name) else { continue }
            let target = try DownloadTarget(path: name, createsDirectories: settings.placement.createsDirectories)
            // Another URL of this run may be writing it.
            guard files.claim(target) else { continue }
            (transfer.claimed, transfer.fileName) = (target, name)
            return target
        }
        throw Failure(
            .writeFailed, "\(path) exists, and so do \(path).1 to \(path).\(FileRules.names); name another with -o FILE"
        )
    }

    /// The output of -J, whose name the response has. Others stay as they are.
    /// - Throws: `Failure` (`writeFailed`).
    func named(
        _ output: ResolvedOutput, _ response: StreamedResponse, _ transfer: inout Transfer
    ) throws -> ResolvedOutput {
        guard case .namedByResponse(let target) = output else { return output }
        let suggested = response.contentDisposition?.safeFileName
        let path = settings.placement.path(
            of: try suggested ?? Placement.remoteName(ofPath: target.path), for: transfer.entry)
        let isKept = settings.files.existing == .kept
        if suggested != nil, !isKept {
            // The server chooses the name, so it must not choose a file to replace.
            guard !FileRules.exists(path) else {
                throw Failure(
                    .writeFailed,
                    "\(path) exists, and -J replaces no file; remove it, or number the new one with --no-clobber")
            }
            transfer.keepsExisting = true
        }
        if !isKept, BodyOutput.isWrittenAsItIs(path) {
            throw Failure(.writeFailed, "\(path) is not a file; name one with -o FILE")
        }
        try setChecksum(of: &transfer, path: path)
        return .download(try claim(path, &transfer))
    }

    // MARK: - Making and finishing

    func newDownload(_ target: DownloadTarget) throws -> Download {
        let download = try Download(target, keepsPart: !settings.files.removesOnError)
        do { try setMode(of: download.descriptor, target) } catch {
            download.discard()
            throw error
        }
        return download
    }

    /// --create-file-mode.
    /// - Throws: `Failure` (`writeFailed`).
    func setMode(of descriptor: CInt, _ target: DownloadTarget) throws {
        guard let mode = settings.files.mode, target.mode == nil else { return }
        guard fchmod(descriptor, mode_t(mode)) == 0 else {
            let code = errno
            throw Failure(.writeFailed, "cannot set the mode of \(target.path): \(errnoText(code))")
        }
    }

    /// - Throws: `Failure` (`writeFailed`).
    func finish(_ download: Download, _ response: StreamedResponse, _ transfer: Transfer) async throws {
        let times = settings.files.keepsTime ? Self.times(of: response) : nil
        if let times, futimens(download.descriptor, times) != 0 { warnOfTime(download.target.path, errno) }
        if settings.files.hasAttributes { setAttributes(of: download.descriptor, download, response, transfer) }
        guard let copy = try download.finish(replacing: !transfer.keepsExisting) else { return }
        try await offLoopToItsEnd { Result { try copy.run() } }.get()
        if settings.files.hasAttributes {
            let descriptor = H2Platform.open(download.target.resolved.c, O_RDONLY | O_CLOEXEC)
            if descriptor >= 0 {
                setAttributes(of: descriptor, download, response, transfer)
                close(descriptor)
            } else {
                warnOfAttributes(download, errno)
            }
        }
        if let times, utimensat(AT_FDCWD, download.target.resolved.c, times, 0) != 0 {
            warnOfTime(download.target.path, errno)
        }
    }

    /// --xattr: curl's attributes, most of which freedesktop.org has named. As in curl, the file is good without them.
    private func setAttributes(
        of descriptor: CInt, _ download: Download, _ response: StreamedResponse, _ transfer: Transfer
    ) {
        let url = (response.redirects.last).map { "\($0.target)" } ?? settings.schemes.completed(transfer.url)
        func withoutLogin(_ url: String) -> String { withoutUserInfo(url).replacingAll("://***@", by: "://") }
        let attributes = [
            ("user.creator", "h2get"), ("user.xdg.referrer.url", settings.fields[.referer].map(withoutLogin)),
            ("user.mime_type", response.firstValue(of: .contentType)), ("user.xdg.origin.url", withoutLogin(url)),
        ]
        for case (let name, let value?) in attributes {
            let code = setExtendedAttribute(name, value, of: descriptor)
            guard code == 0 else { return warnOfAttributes(download, code) }
        }
    }

    private func warnOfAttributes(_ download: Download, _ code: CInt) {
        guard console.showsErrors else { return }
        let path = download.target.path
        console.say(printable("h2get: warning: cannot set the attributes of \(path) (--xattr): \(errnoText(code))"))
    }

    /// Whether the bytes of a failed download are not worth keeping.
    func isUseless(_ error: any Error) -> Bool {
        settings.files.removesOnError || isWrong(error)
    }

    /// Whether an error says that the bytes are not those of the file.
    func isWrong(_ error: any Error) -> Bool {
        if (error as? H2Error)?.code == .digestMismatch { return true }
        let status = (error as? Failure)?.status
        return status == .tooBig || status == .checksumMismatch
    }

    /// The times of access and of change.
    private static func times(of response: StreamedResponse) -> [timespec]? {
        guard let text = response.firstValue(of: .lastModified),
            let seconds = FileDate.seconds(text)
        else { return nil }
        return [timespec(tv_sec: seconds, tv_nsec: 0), timespec(tv_sec: seconds, tv_nsec: 0)]
    }

    /// As in curl, the file is good without it.
    private func warnOfTime(_ path: String, _ code: Int32) {
        guard console.showsErrors else { return }
        console.say(printable("h2get: warning: cannot set the time of \(path) (-R): \(errnoText(code))"))
    }

    // MARK: - Conditions

    /// Whether the file here is to stay as it is: after 304, or because -z does not want what came.
    func isUnwanted(_ response: StreamedResponse) -> Bool {
        response.status == .notModified || settings.timeCondition?.excludes(response) == true
    }

    func isWrittenToFile(_ output: ResolvedOutput) -> Bool {
        switch output {
        case .standardOutput, .discard: false
        default: true
        }
    }

    /// --etag-save: the tag of what was saved, or an empty file if it has none.
    /// - Throws: `Failure` (`writeFailed`).
    func saveEntityTag(of response: StreamedResponse) async throws {
        guard let path = settings.etagFile, response.status.kind == .successful else { return }
        try await writeEntityTag(of: response, to: path)
    }

    private func writeEntityTag(of response: StreamedResponse, to path: String) async throws {
        let line = response.firstValue(of: .eTag).map { "\($0)\n" } ?? ""
        // A device is written to, and not replaced.
        if BodyOutput.isWrittenAsItIs(path) {
            let output = try await BodyOutput.opening(path)
            defer { output.close() }
            return try await output.write(Array(line.utf8))
        }
        let createsDirectories = settings.placement.createsDirectories
        try await offLoopToItsEnd {
            Result {
                let target = try DownloadTarget(path: path, createsDirectories: createsDirectories)
                let download = try Download(target, keepsPart: false)
                let code = Array(line.utf8).withUnsafeBytes { writeFully(download.descriptor, $0) }
                guard code == 0 else {
                    download.discard()
                    throw BodyOutput.failure(code, name: path)
                }
                try download.finish()?.run()
            }
        }.get()
    }

    // MARK: - Heads

    /// -D: writes the head to its file, or to stdout. There it goes before its body.
    /// - Throws: `Failure` (`writeFailed`), `CancellationError`.
    func dumpHead(of response: StreamedResponse, _ transfer: inout Transfer) async throws {
        switch settings.headDump {
        case nil: break
        case .file: try await headDump?.write(Head.bytes(of: response), order: transfer.index)
        case .standardOutput where transfer.outputIndex != nil: transfer.head = Head.bytes(of: response)
        case .standardOutput:
            await writeBetweenBodies(Head.bytes(of: response), transfer.url, transfer.index)
            if isLineOutputBroken { throw Failure(.writeFailed, "the header fields cannot be written to stdout (-D)") }
        }
    }

    /// The failure of a status of 400 or more, with -f and --fail-with-body, and for a file with a checksum.
    func refusal(of response: StreamedResponse, _ transfer: Transfer) -> Failure? {
        guard response.status.code >= 400 else { return nil }
        // An error is not the file that a mirror or a checksum is about.
        let isOfFile = transfer.checksum != nil || !transfer.entry.mirrors.isEmpty
        guard settings.failsOnStatus || settings.failsWithBody || isOfFile else { return nil }
        // -C: the file may be complete already.
        let asksForRanges = settings.continuation != nil || settings.rangeSplit > 1
        if asksForRanges, response.status == .rangeNotSatisfiable { return nil }
        return Failure(
            .statusRefused,
            "the server answered \(response.status.code)\(reason(response.status))\(tries(response))"
                + (settings.failsOnStatus ? "; leave out -f to see its body" : ""))
    }
}
