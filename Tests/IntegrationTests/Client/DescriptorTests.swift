import Dispatch
import H2Client
import H2ClientTesting
import H2Platform
import H2TestSupport
import HTTPTypes
import Testing

/// Files and pipes that make the client wait hold up nothing else.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct DescriptorTests {
    private static let size = 20 << 20

    private nonisolated(nonsending) func withOrigin(
        _ version: HTTPProtocolVersion, _ body: nonisolated(nonsending) (HTTPClient, String) async throws -> Void
    ) async throws {
        try await withOriginAndClient(
            OriginServer.Configuration(), { $0.versions = version == .http1 ? .http1Only : .http2Only }
        ) { client, server in
            try await body(client, "https://localhost:\(server.port)")
        }
    }

    private func pipeEnds() -> (read: CInt, write: CInt) {
        var ends: [CInt] = [-1, -1]
        #expect(pipe(&ends) == 0)
        return (ends[0], ends[1])
    }

    private func readToEnd(_ descriptor: CInt) -> Int {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        var total = 0
        while case let count = read(descriptor, &buffer, buffer.count), count > 0 { total += count }
        return total
    }

    @Test(arguments: [HTTPProtocolVersion.http1, .http2])
    func `A full pipe holds up its own response alone`(_ version: HTTPProtocolVersion) async throws {
        try await withOrigin(version) { client, base in
            let ends = pipeEnds()
            async let written = {
                let response = try await client.send(HTTPRequest(url: "\(base)/bytes/\(Self.size)"))
                defer { close(ends.write) }
                return try await response.body.write(to: ends.write)
            }()
            for _ in 0..<20 { #expect(try await client.get("\(base)/bytes/100000").body.count == 100_000) }
            let got = await withCheckedContinuation { continuation in
                DispatchQueue.global().async { continuation.resume(returning: self.readToEnd(ends.read)) }
            }
            #expect(got == Self.size)
            let count = try await written
            #expect(count == Self.size)
            close(ends.read)
        }
    }

    @Test(arguments: [HTTPProtocolVersion.http1, .http2], [100, 20 << 20])
    func `A pipe whose reader has gone is an error, and no signal`(
        _ version: HTTPProtocolVersion, _ size: Int
    ) async throws {
        try await withOrigin(version) { client, base in
            let ends = pipeEnds()
            defer { close(ends.write) }
            close(ends.read)
            let error = try await h2Error {
                let response = try await client.send(HTTPRequest(url: "\(base)/bytes/\(size)"))
                return try await response.body.write(to: ends.write)
            }
            #expect(error.code == .localIO)
            #expect(error.cause == .errno(EPIPE))
            #expect(try await client.get("\(base)/bytes/3").body.count == 3)
        }
    }

    @Test(arguments: [true, false]) func `A full pipe does not outlast its request`(_ isCancelled: Bool) async throws {
        try await withOrigin(.http2) { client, base in
            let ends = pipeEnds()
            defer {
                close(ends.write)
                close(ends.read)
            }
            var options = RequestOptions()
            if !isCancelled { options.timeout = .milliseconds(300) }
            let task = Task { [options] in
                let response = try await client.send(
                    HTTPRequest(url: "\(base)/bytes/\(Self.size)"), options: options)
                return try await response.body.write(to: ends.write)
            }
            if isCancelled {
                try await eventually("the pipe is full") {
                    var entry = pollfd(fd: ends.write, events: Int16(POLLOUT), revents: 0)
                    return poll(&entry, 1, 0) == 0
                }
                task.cancel()
            }
            let result = await task.result
            switch result {
            case .success: Issue.record("it was written")
            case .failure(let error):
                #expect(isCancelled ? error is CancellationError : (error as? H2Error)?.code == .timeout, "\(error)")
            }
        }
    }

    @Test(arguments: [HTTPProtocolVersion.http1, .http2], [0, 100, 20 << 20])
    func `Every kind of descriptor gets all of a body`(_ version: HTTPProtocolVersion, _ size: Int) async throws {
        try await withOrigin(version) { client, base in
            let path = try TemporaryDirectory.shared.newPath("body")
            let file = open(path, O_RDWR | O_CREAT, 0o644)
            let null = open("/dev/null", O_WRONLY)
            defer {
                close(file)
                close(null)
            }
            for descriptor in [file, null] {
                let response = try await client.send(HTTPRequest(url: "\(base)/bytes/\(size)"))
                #expect(try await response.body.write(to: descriptor) == size)
            }
            let whole = try await client.get("\(base)/bytes/\(size)").body
            #expect(try readBytes(path) == whole)
        }
    }

    @Test func `A descriptor that cannot be written to is an error`() async throws {
        try await withOrigin(.http2) { client, base in
            let null = open("/dev/null", O_RDONLY)
            let full = open("/dev/full", O_WRONLY)
            defer {
                close(null)
                close(full)
            }
            for (descriptor, code) in [(null, EBADF), (CInt(-1), EBADF), (full, ENOSPC)] {
                for size in [100, 1 << 20] {
                    let error = try await h2Error("\(descriptor)") {
                        let response = try await client.send(HTTPRequest(url: "\(base)/bytes/\(size)"))
                        return try await response.body.write(to: descriptor)
                    }
                    #expect(error.cause == .errno(code), "\(error)")
                }
            }
        }
    }

    /// A file on a disk, thrown out of the page cache, and one where the system cannot read without waiting.
    @Test(arguments: [HTTPProtocolVersion.http1, .http2], ["disk", "/dev/shm"])
    func `A file that has to be waited for is sent whole`(_ version: HTTPProtocolVersion, _ place: String) async throws
    {
        let path =
            place == "disk"
            ? try TemporaryDirectory.shared.newPath("upload")
            : "\(place)/h2-upload-\(getpid())-\(version.rawValue.count)"
        defer { unlink(path) }
        let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
        let file = open(path, O_RDWR | O_CREAT, 0o644)
        #expect(write(file, bytes, bytes.count) == bytes.count)
        fsync(file)
        posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED)
        close(file)
        try await withOrigin(version) { client, base in
            let whole = try await client.post("\(base)/echo", body: .file(path))
            #expect(whole.body == bytes)
        }
    }
}
