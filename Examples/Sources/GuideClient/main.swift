import H2Client

var configuration = HTTPClient.Configuration()
configuration.connection.tls.caFile = "ca.pem"  // nil, the default: the system's authorities
try await withHTTPClient(configuration: configuration) { client in
    let response = try await client.get("https://localhost:8443/bytes/5")
    print(response.status, response.body.count, response.version.rawValue)

    // A hundred at once: over one HTTP/2 connection, or over at most eight of HTTP/1.1.
    try await withThrowingTaskGroup(of: Int.self) { group in
        for number in 1...100 {
            group.addTask { try await client.get("https://localhost:8443/bytes/\(number)").body.count }
        }
        var bytes = 0
        for try await count in group { bytes += count }
        print(bytes)
    }
    let statistics = await client.statistics()
    print(statistics.connectionsOpened, statistics.reuseRatio, statistics.handshakesSaved)
}
