import Foundation
import H2Client
import HTTPTypes

/// Sends the same requests in several ways of reusing connections, from no reuse to one shared connection. docs/reuse.md says
/// when to choose which.
@main
enum WaysOfReuse {
    static func main() async {
        let arguments = CommandLine.arguments.dropFirst()
        guard let url = arguments.first, let count = arguments.dropFirst().first.flatMap({ Int($0) }), count > 0 else {
            fail("usage: WaysOfReuse URL COUNT [CA-FILE]")
        }
        do {
            try await compare(url, count, caFile: arguments.dropFirst(2).first)
        } catch {
            fail("\(error)")
        }
    }

    static func compare(_ url: String, _ count: Int, caFile: String?) async throws {
        var plain = HTTPClient.Configuration()
        plain.connection.tls.caFile = caFile

        try await afresh(url, count, plain.connection)

        var http1 = plain
        http1.versions = .http1Only
        try await report("HTTP/1.1, one connection by hand", http1) { try await byHand($0, url, count) }

        http1.pool.http1ConnectionsPerOrigin = 4
        try await report("HTTP/1.1, a pool of 4", http1) { try await atOnce($0, url, count) }

        try await report("one connection by hand", plain) { try await byHand($0, url, count) }
        try await report("multiplexed", plain) { try await atOnce($0, url, count) }

        var several = plain
        several.pool.streamsPerConnection = 10
        several.pool.whenSaturated = .openConnection(upTo: 3)
        try await report("up to 3 connections", several) { try await atOnce($0, url, count) }
    }

    /// No reuse: a connection for each request.
    static func afresh(_ url: String, _ count: Int, _ configuration: ConnectionConfiguration) async throws {
        let start = ContinuousClock.now
        let request = try RequestTarget(url).request()
        let origin = try Origin(url)
        for _ in 0..<count {
            try await HTTP1Connection.withConnection(to: origin, configuration: configuration) { connection in
                let response = try await connection.send(request)
                try check(response.status)
                try await response.body.discard()
            }
        }
        print("a connection for each request: \(count) connections, \(count) handshakes,", start.duration(to: .now))
    }

    /// All requests at once, over as few connections as the configuration allows.
    static func atOnce(_ client: HTTPClient, _ url: String, _ count: Int) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<count {
                group.addTask { try check(await client.get(url).status) }
            }
            try await group.waitForAll()
        }
    }

    /// One request after another on one connection, which only this function uses. Takes another connection when the server
    /// has announced that it will close this one.
    static func byHand(_ client: HTTPClient, _ url: String, _ count: Int) async throws {
        let request = try RequestTarget(url).request()
        let origin = try Origin(url)
        var left = count
        while left > 0 {
            left = try await client.withConnection(to: origin) { connection in
                var left = left
                repeat {
                    let response = try await connection.send(request)
                    try check(response.status)
                    // A body that is not read to its end would end an HTTP/1.1 connection.
                    try await response.body.discard()
                    left -= 1
                } while left > 0 && !connection.isDraining
                return left
            }
        }
    }

    static func report(
        _ way: String, _ configuration: HTTPClient.Configuration, _ body: (HTTPClient) async throws -> Void
    ) async throws {
        let start = ContinuousClock.now
        // Closes the client's connections in any case.
        let statistics = try await withHTTPClient(configuration: configuration) { client in
            try await body(client)
            return await client.statistics()
        }
        print(
            "\(way): \(statistics.connectionsOpened) connections, \(statistics.handshakes) handshakes,",
            "\(statistics.handshakesResumed) resumed, \(start.duration(to: .now))")
    }

    static func check(_ status: HTTPResponse.Status) throws {
        guard status == .ok else { throw UnexpectedStatus(status: status) }
    }

    struct UnexpectedStatus: Error { var status: HTTPResponse.Status }

    static func fail(_ message: String) -> Never {
        FileHandle.standardError.write(Data("\(message)\n".utf8))
        exit(1)
    }
}
