import Foundation
import H2Platform
import H2TestSupport
import Synchronization
import Testing

@testable import H2Client

/// A body's file on a disk that takes its time.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct BodyOpeningTests {
    /// Opens nothing until it is released.
    private final class Disk: Sendable {
        let isReleased = Atomic(false)
        let opened = Atomic(0)

        func open(_ path: String) throws -> BodyFile {
            waitUntil { isReleased.load(ordering: .relaxed) }
            opened.add(1, ordering: .relaxed)
            return try BodyFile(path)
        }
    }

    private func opened(_ disk: Disk, timeout: Duration?, on loop: H2EventLoop) async throws -> HTTPRequestBody {
        var options = RequestOptions()
        options.timeout = timeout
        return try await HTTPRequestBody.file("/etc/passwd").opened(
            on: loop, options, calledAt: loop.preciseNow, openCached: { _ in nil }, open: { try disk.open($0) })
    }

    @Test func `A body's file is waited for within the request's time limit`() async throws {
        let (disk, loop) = (Disk(), H2EventLoop())
        defer { loop.shutdown() }
        let error = await #expect(throws: H2Error.self) {
            _ = try await opened(disk, timeout: .milliseconds(50), on: loop)
        }
        #expect(error?.code == .timeout)
        #expect(error?.cause == .timeout(.wholeRequest, after: .milliseconds(50)))
        disk.isReleased.store(true, ordering: .relaxed)
        waitUntil { disk.opened.load(ordering: .relaxed) == 1 }
        #expect(try await !opened(disk, timeout: .seconds(60), on: loop).isUnopenedFile)
    }

    @Test func `A body's file is not waited for by a caller that is cancelled`() async throws {
        let (disk, loop) = (Disk(), H2EventLoop())
        defer { loop.shutdown() }
        let task = Task { try await opened(disk, timeout: nil, on: loop) }
        task.cancel()
        await #expect(throws: CancellationError.self) { _ = try await task.value }
        disk.isReleased.store(true, ordering: .relaxed)
    }

    @Test func `A body's file that is missing is told as such`() async throws {
        let loop = H2EventLoop()
        defer { loop.shutdown() }
        let error = await #expect(throws: H2Error.self) {
            _ = try await HTTPRequestBody.file("/nowhere/at/all").opened(
                on: loop, RequestOptions(), calledAt: loop.preciseNow, openCached: { _ in nil })
        }
        #expect(error?.code == .localIO)
    }

    @Test func `A pipe is no body file, and does not hold the caller up`() async throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("pipe-\(UUID().uuidString)").path
        #expect(mkfifo(path, 0o600) == 0)
        defer { unlink(path) }
        let result = await ending { try BodyFile(path).length }
        guard case .failure(let error as H2Error)? = result else {
            Issue.record("\(String(describing: result))")
            // Lets the thread go that waits for a writer.
            close(open(path, O_WRONLY | O_NONBLOCK))
            return
        }
        #expect(error.code == .localIO)
    }
}
