import H2Client
import H2Measure
import H2Platform
import HTTPTypes

/// -w: the text about each transfer, written when it ends.
extension Fetch {
    /// The facts about a transfer that has ended.
    func report(_ transfer: Transfer, _ failure: Failure?) async -> TransferReport {
        let metrics = await transfer.response?.metrics()
        let stall = settings.notes.windowStalls ? await transfer.response?.windowStall() : nil
        let start = transfer.start
        return TransferReport(
            url: transfer.url, index: transfer.number, method: settings.method.rawValue,
            referer: settings.fields[.referer], target: try? RequestTarget(transfer.url, pathAsIs: settings.keepsPath),
            fileName: transfer.fileName, response: transfer.response, metrics: metrics,
            failedDials: transfer.failedDials, bytesUploaded: transfer.body.bytesUploaded(metrics),
            bytesWritten: transfer.bodyBytes, failure: failure, sent: transfer.sentAt.map { $0 - start } ?? .zero,
            total: ContinuousClock.now - start, windowStall: stall ?? .zero,
            acceptsAnyProxy: settings.acceptsAnyProxy)
    }

    /// The line of --json-lines.
    func jsonLine(_ report: TransferReport, _ transfer: Transfer, isSkipped: Bool = false) -> [UInt8] {
        report.json(started: startedAt + (transfer.start - start).inSeconds, isSkipped: isSkipped).line
    }

    /// The text of -w about a transfer that has ended, as far as it goes to stdout. The parts for stderr and files are written.
    func writeOutLine(_ transfer: Transfer, _ failure: Failure?) async -> [UInt8] {
        guard let writeOut = settings.writeOut else { return [] }
        let report = await report(transfer, failure)
        let isForTerminal = isStandardOutputTerminal || console.isTerminal
        return await deliver(writeOut.parts(report, isForTerminal: isForTerminal))
    }

    /// Writes the parts for stderr and files.
    /// - Returns: the bytes for stdout.
    private func deliver(_ parts: [WriteOut.Part]) async -> [UInt8] {
        var (output, errors): ([UInt8], [UInt8]) = ([], [])
        var target = WriteOut.Target.standardOutput
        for part in parts {
            if case .file(let path, let appends) = part.target {
                if await writeOutFile(path, appends: appends, part.bytes) {
                    target = part.target
                    continue
                }
                // As in curl, the text then goes where the text before it went.
                if case .file(let path, _) = target {
                    _ = await writeOutFile(path, appends: true, part.bytes)
                    continue
                }
            } else {
                target = part.target
            }
            if target == .standardError { errors += part.bytes } else { output += part.bytes }
        }
        if !errors.isEmpty { console.write(errors) }
        return output
    }

    /// Writes one transfer's text in one go, so that those of transfers that end together do not mix.
    private func writeOutFile(_ path: String, appends: Bool, _ bytes: [UInt8]) async -> Bool {
        let code = await offLoopToItsEnd { () -> CInt in
            let number = StandardDescriptors.number(named: path)
            let descriptor =
                number.map(StandardDescriptors.duplicateForWriting)
                ?? open(
                    path, O_WRONLY | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | O_APPEND | (appends ? 0 : O_TRUNC),
                    0o666)
            guard descriptor >= 0 else { return number == nil ? errno : -descriptor }
            defer { close(descriptor) }
            return bytes.withUnsafeBytes { writeFully(descriptor, $0) }
        }
        guard code != 0 else { return true }
        if console.showsErrors, toldFiles.insert(path).inserted, toldFiles.count <= 100 {
            console.say(printable("h2get: warning: cannot write to \(path) (%output of -w): \(errnoText(code))"))
        }
        return false
    }

    /// Writes -w's and -D's text of a transfer whose body is not on stdout, between the bodies that are.
    func writeBetweenBodies(_ bytes: [UInt8], _ url: String, _ index: Int) async {
        guard !bytes.isEmpty, !isLineOutputBroken else { return }
        outputOrder.add(bytes)
        // A cancelled run writes nothing more.
        guard (try? await outputOrder.waitForRoom()) != nil else { return }
        await writeOutputs(url, index)
    }

    /// Reports once that stdout does not take the text. As in curl, the transfers' results stay as they are.
    func loseLines(_ failure: Failure) {
        guard !isLineOutputBroken else { return }
        isLineOutputBroken = true
        guard settings.jsonLines != .standardOutput else {
            // They are not whole, so the run has failed.
            console.error(failure)
            return note(failure.status, at: .max)
        }
        if console.showsErrors {
            console.say(printable("h2get: warning: \(failure.message); -w and -D are not written there"))
        }
    }

    /// Warns of variables that do not exist.
    func warnOfUnknownVariables() {
        guard let unknown = settings.writeOut?.unknown, console.showsErrors else { return }
        for name in unknown {
            console.say(
                printable("h2get: warning: unknown variable of -w: '\(shortened(name, to: 100))'; it writes nothing"))
        }
    }
}

extension MessageBody {
    /// How much of it was sent, as far as is known: all of it, once a response has come.
    func bytesUploaded(_ metrics: ResponseMetrics?) -> Int {
        let sent = metrics?.bytesSent ?? 0
        switch self {
        case .none: return 0
        case .bytes(let bytes): return min(bytes.count, sent)
        case .file(let path):
            guard case .regular(let size)? = try? FileKind.readable(path) else { return 0 }
            return min(size, sent)
        case .once(let body): return body.bytesRead
        case .form(let form): return form.knownLength.map { min($0, sent) } ?? sent
        }
    }
}
