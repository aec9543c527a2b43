import H2Client
import H2TestSupport
import HTTPTypes
import Testing

extension RealServers {
    @Suite(.timeLimit(.minutes(5)))
    struct TransferTests {
        @Test(arguments: RealServer.all)
        func `A file of 100 MB arrives byte for byte`(_ server: RealServer) async throws {
            let file = try StaticSite.shared.hundredMiB
            try await server.run { running in
                try await running.withConnection { connection in
                    let response = try await connection.send(.get("/\(file.name)"))
                    #expect(response.status == .ok)
                    let (size, hash) = try await response.hashed()
                    #expect(size == file.size)
                    #expect(hash == file.sha256)
                }
            }
        }

        @Test(arguments: RealServer.all)
        func `A body can be read chunk by chunk`(_ server: RealServer) async throws {
            let expected = try readBytes("\(StaticSite.shared.folder)/1m.bin")
            try await server.run { running in
                try await running.withConnection { connection in
                    let response = try await connection.send(.get("/1m.bin"))
                    var got: [UInt8] = []
                    for try await chunk in response.body {
                        #expect(!chunk.isEmpty)
                        got += chunk
                    }
                    #expect(got == expected)
                }
            }
        }

        @Test(arguments: RealServer.all)
        func `1,000 streams run over one connection`(_ server: RealServer) async throws {
            let expected = try readBytes("\(StaticSite.shared.folder)/1k.bin")
            var options = RealServer.Options()
            options.streamLimit = 1_000
            try await server.run(options) { running in
                try await running.withConnection { connection in
                    // The server's limit is known from here on.
                    _ = try await connection.ping()
                    let whole = try await parallel(1_000) {
                        let response = try await connection.send(.get("/1k.bin"))
                        #expect(response.connectionID == connection.info.id)
                        let body = try await response.body.collect(upTo: 1 << 10)
                        return response.status == .ok && body == expected
                    }
                    #expect(whole == 1_000)
                    let snapshot = await connection.snapshot()
                    #expect(snapshot.requests == 1_000)
                    #expect(snapshot.openStreams == 0)
                    #expect(snapshot.waitingRequests == 0)
                    #expect(snapshot.unreadBytes == 0)
                }
            }
        }

        @Test(arguments: RealServer.all.filter { $0.fixedStreamLimit == nil })
        func `500 requests wait their turn where 10 streams are allowed`(_ server: RealServer) async throws {
            var options = RealServer.Options()
            options.streamLimit = 10
            try await server.run(options) { running in
                try await running.withConnection { connection in
                    _ = try await connection.ping()
                    #expect(await connection.snapshot().remoteSettings.maxConcurrentStreams == 10)
                    let mostAtOnce = Counter()
                    let whole = try await parallel(500) {
                        let response = try await connection.send(.get("/100k.bin"))
                        let open = await connection.snapshot().openStreams
                        if open > 10 { mostAtOnce.increment() }
                        let size = try await response.body.discard()
                        return response.status == .ok && size == 100 << 10
                    }
                    #expect(whole == 500)
                    #expect(mostAtOnce.value == 0)
                    #expect(await connection.snapshot().requests == 500)
                }
            }
        }

        @Test(arguments: RealServer.all)
        func `A file of 10 MB is uploaded byte for byte`(_ server: RealServer) async throws {
            let path = try StaticSite.shared.uploadPath
            try await server.run { running in
                try await running.withConnection { connection in
                    try await upload(.file(path), to: server, over: connection)
                }
            }
        }

        @Test(arguments: RealServer.all)
        func `10 MB are uploaded from a writer that does not know their length`(_ server: RealServer) async throws {
            let bytes = try readBytes(StaticSite.shared.uploadPath)
            try await server.run { running in
                try await running.withConnection { connection in
                    let body = HTTPRequestBody.writer { writer in
                        for start in stride(from: 0, to: bytes.count, by: 50_000) {
                            try await writer.write(Array(bytes[start..<min(start + 50_000, bytes.count)]))
                        }
                    }
                    try await upload(body, to: server, over: connection)
                }
            }
        }

        @Test(arguments: RealServer.all)
        func `A cancelled download leaves its siblings alone`(_ server: RealServer) async throws {
            let (long, file) = try (StaticSite.shared.hundredMiB, StaticSite.shared.oneMiB)
            try await server.run { running in
                try await running.withConnection { connection in
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        // Two that go on, one before and one after it, and one that ends in the middle.
                        let reading = Counter()
                        let doomed = Task {
                            let response = try await connection.send(.get("/\(long.name)"))
                            for try await chunk in response.body { reading.increment(by: chunk.count) }
                        }
                        try await eventually("the download is under way") { reading.value > 0 }
                        for _ in 0..<2 {
                            group.addTask {
                                let response = try await connection.send(.get("/\(file.name)"))
                                let (size, hash) = try await response.hashed()
                                #expect(size == file.size)
                                #expect(hash == file.sha256)
                            }
                        }
                        doomed.cancel()
                        await #expect(throws: CancellationError.self) { try await doomed.value }
                        #expect(reading.value < long.size)
                        try await group.waitForAll()
                    }
                    let snapshot = await connection.snapshot()
                    #expect(snapshot.state == .active)
                    #expect(snapshot.openStreams == 0)
                    #expect(snapshot.unreadBytes == 0)
                    try await expectService(over: connection)
                }
            }
        }

        @Test(arguments: RealServer.all)
        func `A body that is dropped unread cancels its stream`(_ server: RealServer) async throws {
            try await server.run { running in
                try await running.withConnection { connection in
                    for _ in 0..<20 { #expect(try await connection.send(.get("/100m.bin")).status == .ok) }
                    try await eventually("every stream is closed") { await connection.snapshot().openStreams == 0 }
                    try await expectService(over: connection)
                    #expect(await connection.snapshot().unreadBytes == 0)
                }
            }
        }

        /// Sends the site's upload and compares what the server got.
        private nonisolated(nonsending) func upload(
            _ body: HTTPRequestBody, to server: RealServer, over connection: HTTP2Connection
        ) async throws {
            let file = try StaticSite.shared.upload
            switch server.upload {
            case .echo:
                let response = try await connection.send(.make(.post, "/echo"), body: body)
                #expect(response.status == .ok)
                let (size, hash) = try await response.hashed()
                #expect(size == file.size)
                #expect(hash == file.sha256)
            case .put:
                let stored = try await connection.send(.make(.put, "/up/stored.bin"), body: body)
                #expect(stored.status == .created)
                try await stored.body.discard()
                let (size, hash) = try await connection.send(.get("/up/stored.bin")).hashed()
                #expect(size == file.size)
                #expect(hash == file.sha256)
            }
        }

        /// Runs an operation so many times at once; how many of them were true.
        private func parallel(
            _ count: Int, _ operation: @escaping @Sendable () async throws -> Bool
        ) async throws -> Int {
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<count { group.addTask { try await operation() } }
                return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
        }
    }
}
