import Foundation
import H2TestSupport
import HTTPTypes
import Testing

@testable import H2Client

private let data: UInt8 = 0
private let headers: UInt8 = 1

/// Which error a request fails with, and whether it may be retried.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct RequestFailureTests {
    @Test func `Header fields too long to be sent are the caller's fault and not retryable`() async throws {
        let server = try PuppetServer()
        server.play { server in _ = server.next(7) }
        let connection = try await server.connect()
        defer { connection.closeNow() }
        var request = HTTPRequest.to()
        request.headerFields[.userAgent] = String(repeating: "~", count: 17 << 20)
        let result = await ending { [request] in try await connection.send(request).status }
        guard case .failure(let error as H2Error)? = result else {
            Issue.record("\(String(describing: result))")
            return
        }
        #expect(error.code == .invalidRequest)
        #expect(!error.isRetryable)
    }

    @Test func `Trailer fields too long to be sent fail the request`() async throws {
        let server = try PuppetServer()
        server.play { server in
            while let frame = server.next() { if frame.type == 7 { return } }
        }
        let connection = try await server.connect()
        defer { connection.closeNow() }
        let trailers: HTTPFields = [.userAgent: String(repeating: "~", count: 17 << 20)]
        let result = await ending {
            try await connection.send(.to("/", .post), body: .bytes([1], trailers: trailers)).status
        }
        guard case .failure(let error as H2Error)? = result else {
            Issue.record("\(String(describing: result))")
            return
        }
        #expect(error.code == .invalidRequest)
        #expect(!error.isRetryable)
    }

    @Test(arguments: [0, 3, 9]) func `A content-length that the body does not have is refused`(sent: Int) async throws {
        let server = try PuppetServer()
        server.play { server in _ = server.next(7) }
        let connection = try await server.connect()
        defer { connection.closeNow() }
        var request = HTTPRequest.to("/", .post)
        request.headerFields[.contentLength] = "5"
        let body: HTTPRequestBody =
            sent == 0 ? .empty : .writer { writer in try await writer.write([UInt8](repeating: 1, count: sent)) }
        let result = await ending { [request] in try await connection.send(request, body: body).status }
        guard case .failure(let error as H2Error)? = result else {
            Issue.record("\(String(describing: result))")
            return
        }
        #expect(error.code == .invalidRequest)
    }

    @Test(arguments: ["099", "000"]) func `A status below 100 is malformed`(status: String) async throws {
        let server = try PuppetServer()
        server.play { server in
            guard let head = server.next(headers) else { return }
            server.head(head.stream, status, ends: true)
            _ = server.next(7)
        }
        let connection = try await server.connect()
        defer { connection.closeNow() }
        let result = await ending { try await connection.send(.to()).status }
        guard case .failure(let error as H2Error)? = result else {
            Issue.record("\(String(describing: result))")
            return
        }
        #expect(error.code == .protocolViolation)
    }

    @Test func `REFUSED_STREAM after the head came is not retryable`() async throws {
        let server = try PuppetServer()
        server.play { server in
            guard let head = server.next(headers) else { return }
            server.head(head.stream)
            server.send(RawPeer.frame(3, stream: head.stream, RawPeer.bytes(7)))
            _ = server.next(7)
        }
        let connection = try await server.connect()
        defer { connection.closeNow() }
        let result = await ending { try await connection.send(.to()).body.collect(upTo: 10) }
        guard case .failure(let error as H2Error)? = result else {
            Issue.record("\(String(describing: result))")
            return
        }
        #expect(error.code == .streamReset)
        #expect(!error.isRetryable)
    }

    @Test func `A second reader of a body is refused and the first goes on`() async throws {
        let server = try PuppetServer()
        let maySend = Mailbox<Bool>()
        server.play { server in
            guard let head = server.next(headers) else { return }
            server.head(head.stream)
            waitUntil { maySend.isFull }
            server.send(RawPeer.frame(data, flags: 1, stream: head.stream, [1, 2]))
            _ = server.next(7)
        }
        let connection = try await server.connect()
        defer { connection.closeNow() }
        let body = try await connection.send(.to()).body
        // Whichever comes second is refused; the other reads on.
        let readers = (0..<2).map { _ in
            Task.detached {
                defer { maySend.put(true) }
                return try await body.collect(upTo: 10)
            }
        }
        var refused = 0
        for reader in readers {
            switch await ending({ try await reader.value }) {
            case .success(let bytes)?: #expect(bytes == [1, 2])
            case .failure(let error as H2Error)?:
                #expect(error.code == .invalidRequest)
                refused += 1
            case let other: Issue.record("\(String(describing: other))")
            }
        }
        #expect(refused == 1)
    }
}
