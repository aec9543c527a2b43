import H2Client
import H2TestSupport
import HTTPTypes
import Testing

extension RealServers {
    @Suite(.timeLimit(.minutes(5)))
    struct RequestTests {
        @Test(arguments: RealServer.all)
        func `A small file arrives over verified TLS`(_ server: RealServer) async throws {
            try await server.run { running in
                try await running.withConnection { connection in
                    #expect(connection.info.isPeerVerified)
                    #expect(connection.info.tlsVersion == "TLSv1.3")
                    let response = try await connection.send(.get("/small.txt"))
                    #expect(response.status == .ok)
                    #expect(response.headerFields[.contentLength] == "3")
                    #expect(response.firstValue(of: .contentLength) == "3")
                    #expect(response.streamID == 1)
                    #expect(!response.isConnectionReused)
                    #expect(try await response.text() == "abc")
                    let metrics = await response.metrics()
                    #expect(metrics.bodyBytesReceived == 3)
                    #expect(metrics.lastByte != nil)

                    let second = try await connection.send(.get("/small.txt"))
                    #expect(second.isConnectionReused)
                    #expect(second.connectionID == response.connectionID)
                    #expect(try await second.text() == "abc")
                }
            }
        }

        @Test(arguments: RealServer.all)
        func `Cleartext works by prior knowledge`(_ server: RealServer) async throws {
            try await server.run { running in
                try await HTTP2Connection.withConnection(to: running.cleartextOrigin) { connection in
                    #expect(connection.info.tlsVersion == nil)
                    #expect(!connection.info.isPeerVerified)
                    let response = try await connection.send(.get("/small.txt"))
                    #expect(response.status == .ok)
                    #expect(try await response.text() == "abc")
                }
            }
        }

        @Test(arguments: RealServer.all)
        func `HEAD has the length of a body and no body`(_ server: RealServer) async throws {
            try await server.run { running in
                try await running.withConnection { connection in
                    let response = try await connection.send(.make(.head, "/1m.bin"))
                    #expect(response.status == .ok)
                    #expect(response.headerFields[.contentLength] == "1048576")
                    #expect(try await response.body.collect(upTo: 0).isEmpty)
                    // The stream is over, so the connection serves the next.
                    try await expectService(over: connection)
                }
            }
        }

        @Test(arguments: RealServer.all)
        func `A missing file is a 404 and no error`(_ server: RealServer) async throws {
            try await server.run { running in
                try await running.withConnection { connection in
                    let response = try await connection.send(.get("/missing.txt"))
                    #expect(response.status == .notFound)
                    try await response.body.discard()
                    try await expectService(over: connection)
                }
            }
        }

        @Test(arguments: RealServer.all)
        func `An unchanged file is a 304 without a body`(_ server: RealServer) async throws {
            try await server.run { running in
                try await running.withConnection { connection in
                    let first = try await connection.send(.get("/small.txt"))
                    let modified = try #require(first.headerFields[.lastModified], "\(first.headerFields)")
                    try await first.body.discard()
                    let second = try await connection.send(.make(.get, "/small.txt", [.ifModifiedSince: modified]))
                    #expect(second.status == .notModified)
                    #expect(try await second.body.collect(upTo: 0).isEmpty)
                }
            }
        }

        @Test(arguments: RealServer.all.filter(\.sendsTrailers))
        func `Trailer fields arrive after the body`(_ server: RealServer) async throws {
            try await server.run { running in
                try await running.withConnection { connection in
                    let response = try await connection.send(.get("/100k.bin"))
                    #expect(try await response.body.discard() == 100 << 10)
                    let trailers = try #require(await response.trailerFields())
                    #expect(trailers[try #require(HTTPField.Name("x-trailer"))] == "yes")
                }
            }
        }

        @Test(arguments: RealServer.all)
        func `PING is answered, and the settings of both sides are known`(_ server: RealServer) async throws {
            var options = RealServer.Options()
            options.streamLimit = 77
            try await server.run(options) { running in
                try await running.withConnection { connection in
                    let time = try await connection.ping()
                    #expect(time > .zero && time < .seconds(15))
                    let snapshot = await connection.snapshot()
                    #expect(snapshot.state == .active)
                    #expect(snapshot.remoteSettings.maxConcurrentStreams == server.fixedStreamLimit ?? 77)
                    #expect(snapshot.localSettings.initialWindowSize == ConnectionConfiguration().windows.stream)
                    #expect(snapshot.roundTripTime == time)
                    #expect(snapshot.openStreams == 0)
                }
            }
        }

        @Test
        func `An address in the URL is verified against the certificate's addresses`() async throws {
            try await RealServer.nghttpd.run { running in
                let origin = try Origin(scheme: .https, host: "127.0.0.1", port: running.origin.port)
                try await HTTP2Connection.withConnection(to: origin, configuration: running.configuration) {
                    connection in
                    #expect(connection.info.isPeerVerified)
                    #expect(connection.info.remoteAddress == "127.0.0.1:\(origin.port)")
                    try await expectService(over: connection)
                }
            }
        }
    }
}
