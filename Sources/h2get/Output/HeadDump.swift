import H2Client
import H2Platform

/// The file of -D, which gets the heads of all responses, each in one piece.
///
/// Confined to one actor.
final class HeadDump {
    enum Target: Sendable, Equatable {
        case standardOutput
        case file(String)

        var path: String? { if case .file(let path) = self { path } else { nil } }
    }

    private let output: BodyOutput
    private let turns = OrderedSemaphore<Int> { _ in 1 }

    /// Opens the file, which is then empty.
    /// - Throws: `Failure` (`writeFailed`), `CancellationError`.
    nonisolated(nonsending) init(_ path: String) async throws {
        output = try await BodyOutput.openingEmpty(path, "the header fields to \(path) (-D)")
    }

    deinit { output.close() }

    /// - Throws: `Failure` (`writeFailed`), `CancellationError`.
    nonisolated(nonsending) func write(_ head: [UInt8], order: Int) async throws {
        try await turns.acquire(0, order: order)
        defer { turns.release(0) }
        try await output.write(head: head)
    }
}
