import H2Platform
import H2TestSupport
import Testing

@testable import H2Client

/// The dialogue over a real socket.
@Suite(.inTurn)
struct TunnelOpeningTests {
    /// Lets the proxy send `answer`, and returns the error, or the bytes that can then be read from the tunnel.
    private func open(_ answer: [[UInt8]], ends: Bool = false) async throws -> (error: H2Error?, tunnelled: [UInt8]) {
        var pair: [CInt] = [0, 0]
        guard socketpair(AF_UNIX, streamSocketType, 0, &pair) == 0 else { throw ProcessFailure("no sockets") }
        let (ours, theirs) = (pair[0], pair[1])
        _ = fcntl(ours, F_SETFL, O_NONBLOCK)
        let loop = H2EventLoop()
        defer {
            loop.shutdown()
            if !ends { close(theirs) }
        }
        let proxy = try HTTPClient.Proxy("http://proxy.example")
        async let result: (H2Error?, [UInt8]) = withCheckedContinuation { continuation in
            loop.execute {
                let wire = TCPWire(descriptor: ours)
                guard
                    let dialogue = try? HTTPConnectDialogue(
                        to: TunnelTarget(host: "origin.example", port: 443), through: proxy, authorization: nil,
                        configuration: ConnectionConfiguration(), now: loop.now)
                else { preconditionFailure("the target is good") }
                let opening = TunnelOpening(dialogue, over: wire, with: proxy, loop: loop) { error in
                    var bytes = [UInt8](repeating: 0, count: 100)
                    var count = 0
                    if error == nil, case .bytes(let read) = bytes.withUnsafeMutableBytes({ wire.read(into: $0) }) {
                        count = read
                    }
                    wire.close()
                    continuation.resume(returning: (error, Array(bytes[..<count])))
                }
                opening.start()
            }
        }
        var request = [UInt8](repeating: 0, count: 1_000)
        #expect(read(theirs, &request, request.count) > 0)
        for piece in answer {
            #expect(write(theirs, piece, piece.count) == piece.count)
        }
        if ends { close(theirs) }
        let (error, bytes) = await result
        return (error, bytes)
    }

    @Test func `Bytes behind the answer stay in the tunnel`() async throws {
        let (error, bytes) = try await open([Array("HTTP/1.1 200 OK\r\n\r\nfirst bytes".utf8)])
        #expect(error == nil)
        #expect(String(decoding: bytes, as: UTF8.self) == "first bytes")
    }

    @Test func `An answer in single bytes is put together`() async throws {
        let (error, bytes) = try await open(Array("HTTP/1.1 200 OK\r\nA: b\r\n\r\nx".utf8).map { [$0] })
        #expect(error == nil)
        #expect(bytes == [UInt8(ascii: "x")])
    }

    @Test func `A proxy that closes at any byte of its answer is a clear error`() async throws {
        let answer = Array("HTTP/1.1 200 OK\r\n\r\n".utf8)
        for count in 0..<answer.count {
            let (error, _) = try await open([Array(answer[..<count])].filter { !$0.isEmpty }, ends: true)
            #expect(error?.code == .proxyFailed)
            #expect(error?.message.contains("left before it had opened a tunnel") == true)
        }
    }
}
