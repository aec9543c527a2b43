import H2Client
import H2Platform

/// The file of --json-lines, which gets whole lines in the order in which transfers end.
///
/// Confined to one actor. One caller writes for all; the others leave their lines with it.
final class LineFile {
    enum Target: Sendable, Equatable {
        case standardOutput
        case file(String)
    }

    /// Above this, those who add lines wait.
    private static let pendingLimit = 1 << 20

    private let output: BodyOutput
    private let name: String
    private var pending: [UInt8] = []
    private var isWriting = false
    /// Whether the end of the run may have cut a line off, so that none can follow.
    private var isCutOff = false
    private var waiting: [Waiter] = []

    /// Opens the file, which is then empty.
    /// - Throws: `Failure` (`writeFailed`), `CancellationError`.
    nonisolated(nonsending) init(_ path: String) async throws {
        name = path
        output = try await BodyOutput.openingEmpty(path, "to \(path) (--json-lines)")
    }

    deinit { output.close() }

    /// Adds a line. Returns at once unless it is this caller's turn to write, or too many bytes wait.
    /// - Throws: `Failure` (`writeFailed`), `CancellationError`.
    nonisolated(nonsending) func add(_ line: [UInt8]) async throws {
        guard !isCutOff else { return }
        pending += line
        if isWriting {
            guard pending.count > Self.pendingLimit else { return }
            let waiter = Waiter()
            waiting.append(waiter)
            return try await waiter.wait()
        }
        try await writePending()
    }

    private nonisolated(nonsending) func writePending() async throws {
        isWriting = true
        defer {
            isWriting = false
            resumeWaiting()
        }
        while !pending.isEmpty {
            let bytes = pending
            pending = []
            // Whole lines, even if the run is cancelled meanwhile.
            if case .descriptor(let descriptor, _) = output.target, FileKind(descriptor: descriptor) == .regular {
                let code = await offLoopToItsEnd { bytes.withUnsafeBytes { writeFully(descriptor, $0) } }
                guard code == 0 else { throw BodyOutput.failure(code, name: name) }
            } else {
                do { try await output.write(bytes) } catch {
                    isCutOff = true
                    throw error
                }
            }
            resumeWaiting()
        }
    }

    private func resumeWaiting() {
        for waiter in waiting { waiter.resume() }
        waiting = []
    }
}
