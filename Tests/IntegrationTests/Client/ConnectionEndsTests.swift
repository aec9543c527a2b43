import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Synchronization
import Testing

/// Where a client's connections originate, and where they may go.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct ConnectionEndsTests {
    private func with(
        _ change: (inout HTTPClient.Configuration) -> Void, versions: OriginServer.Versions = .both,
        _ body: (HTTPClient, OriginServer) async throws -> Void
    ) async throws {
        var configuration = OriginServer.Configuration()
        configuration.versions = versions
        try await OriginServer.withServer(configuration) { server in
            var client = server.clientConfiguration()
            change(&client)
            try await withHTTPClient(configuration: client) { try await body($0, server) }
        }
    }

    private func error(_ client: HTTPClient, _ url: String) async -> H2Error? {
        await #expect(throws: H2Error.self) { _ = try await client.get(url) }
    }

    // MARK: - This end

    @Test func `A connection leaves from the address and a port of the range`() async throws {
        try await with({ $0.connection.local = .init(address: "127.0.0.9", ports: 9_000...9_400) }) {
            client, server in
            let whole = try await client.get("\(server.url)/bytes/1")
            let address = whole.response.connectionInfo.localAddress
            let port = try #require(Int(address.split(separator: ":").last ?? ""))
            #expect(address.hasPrefix("127.0.0.9:"))
            #expect((9_000...9_400).contains(port))
        }
    }

    @Test func `Ports that are taken are passed over, until there are none`() async throws {
        // The system gives connections without a port of their own none of these.
        let ports = 9_500...9_502
        try await with({
            $0.connection.local.ports = ports
            $0.versions = .http1Only
        }) { client, server in
            let origin = server.origin
            try await client.withConnection(to: origin) { _ in
                try await client.withConnection(to: origin) { _ in
                    try await client.withConnection(to: origin) { _ in
                        let error = await error(client, "\(server.url)/bytes/1")
                        #expect(error?.code == .connectFailed)
                        #expect(error?.message.contains("port 9500 to 9502") == true, "\(error?.message ?? "")")
                        #expect(error?.message.contains("all of these ports are taken") == true)
                    }
                }
            }
        }
    }

    @Test func `A connection leaves through the interface that is named, or says why not`() async throws {
        try await with({ $0.connection.local.interface = "lo" }) { client, server in
            let whole = try await client.get("\(server.url)/bytes/1")
            #expect(whole.body == [0])
        }
        try await with({ $0.connection.local.interface = "no-such-one" }) { client, server in
            let error = await error(client, server.url)
            #expect(error?.code == .connectFailed)
            #expect(error?.message.contains("there is no such interface") == true, "\(error?.message ?? "")")
        }
    }

    @Test func `Only addresses of the family are used`() async throws {
        let both = HostResolver.overriding(["localhost": ["::1", "127.0.0.1"]])
        try await with({
            $0.connection.resolver = both
            $0.connection.local.family = .ipv4
        }) { client, server in
            let whole = try await client.get("https://localhost:\(server.port)/bytes/1")
            #expect(whole.response.connectionInfo.remoteAddress.hasPrefix("127.0.0.1:"))
        }
        try await with({
            $0.connection.resolver = .overriding(["localhost": ["127.0.0.1"]])
            $0.connection.local.family = .ipv6
        }) { client, server in
            let error = await error(client, "https://localhost:\(server.port)/")
            #expect(error?.code == .connectFailed)
            #expect(error?.message.contains("has no IPv6 address") == true)
        }
    }

    @Test func `A mark on the packets does no harm`() async throws {
        try await with({ $0.connection.local.trafficClass = 184 }) { client, server in
            let whole = try await client.get("\(server.url)/bytes/2")
            #expect(whole.body.count == 2)
        }
    }

    @Test(arguments: [
        (ConnectionConfiguration.Local(address: "localhost"), "local.address"),
        (ConnectionConfiguration.Local(interface: ""), "local.interface"),
        (ConnectionConfiguration.Local(interface: "a-name-that-is-too-long"), "local.interface"),
        (ConnectionConfiguration.Local(ports: 0...10), "local.ports"),
        (ConnectionConfiguration.Local(ports: 1...65_536), "local.ports"),
        (ConnectionConfiguration.Local(trafficClass: 256), "local.trafficClass"),
    ])
    func `Values that cannot be are named`(_ local: ConnectionConfiguration.Local, _ name: String) {
        var configuration = ConnectionConfiguration()
        configuration.local = local
        let error = #expect(throws: H2Error.self) { try configuration.validate() }
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.message.contains(name) == true)
    }

    // MARK: - The other end

    @Test func `The filter sees the address, whatever name leads there`() async throws {
        try await with({
            $0.connection.addressFilter = .publicInternet
            $0.connection.resolver = .overriding(["evil.test": ["127.0.0.1", "::1", "169.254.169.254"]])
        }) { client, server in
            for url in [
                "https://evil.test:\(server.port)/", server.url, "http://[::1]:\(server.port)/", "http://0.0.0.0/",
            ] {
                let error = await error(client, url)
                #expect(error?.code == .addressRefused, "\(url)")
                #expect(error?.message.contains("is allowed") == true)
            }
            #expect(server.statistics.connectionsAccepted == 0)
        }
    }

    @Test func `A redirect does not get around the filter`() async throws {
        var configuration = OriginServer.Configuration()
        configuration.routes["/away"] = { _ in
            .init(status: .found, headerFields: [.location: "https://127.0.0.2:1/"])
        }
        try await OriginServer.withServer(configuration) { server in
            var own = server.clientConfiguration()
            own.connection.addressFilter = AddressFilter { $0.description == "127.0.0.1" }
            try await withHTTPClient(configuration: own) { client in
                let error = await error(client, "\(server.url)/away")
                #expect(error?.code == .addressRefused)
                #expect(error?.message.contains("127.0.0.2") == true)
            }
        }
    }

    @Test func `Addresses that are not allowed are left out, and the others used`() async throws {
        try await with({
            $0.connection.resolver = .overriding(["localhost": ["127.0.0.2", "127.0.0.1"]])
            $0.connection.addressFilter = AddressFilter { $0.description != "127.0.0.2" }
        }) { client, server in
            let whole = try await client.get("https://localhost:\(server.port)/bytes/1")
            #expect(whole.response.connectionInfo.remoteAddress.hasPrefix("127.0.0.1:"))
        }
    }

    @Test func `A resolver of the user's own is asked for each connection, within the time limit`() async throws {
        let asked = Mutex<[String]>([])
        try await with({
            $0.connection.timeouts.resolve = .milliseconds(200)
            $0.connection.resolver = HostResolver { host in
                asked.withLock { $0.append(host) }
                if host == "slow.test" { try await Task.sleep(for: .seconds(3_600)) }
                return HostResolver.Answer(addresses: ["127.0.0.1"])
            }
        }) { client, server in
            for _ in 0..<3 { _ = try await client.get("https://localhost:\(server.port)/bytes/1") }
            #expect(asked.withLock { $0 } == ["localhost"])
            let error = await error(client, "https://slow.test:\(server.port)/")
            #expect(error?.code == .timeout)
        }
    }

    // MARK: - Ahead of time

    @Test func `Connections are opened ahead, and used`() async throws {
        try await with({ $0.pool.http1ConnectionsPerOrigin = 4 }, versions: .http1) { client, server in
            try await client.preconnect(to: server.origin, count: 3)
            #expect(await client.statistics().connectionsOpen == 3)
            // Existing connections count, and there is a limit.
            try await client.preconnect(to: server.origin, count: 3)
            #expect(await client.statistics().connectionsOpened == 3)
            try await client.preconnect(to: server.origin, count: 100)
            #expect(await client.statistics().connectionsOpened == 4)
            let whole = try await client.get("\(server.url)/bytes/1")
            #expect(whole.response.connectionInfo.localAddress.isEmpty == false)
            #expect(await client.statistics().connectionsOpened == 4)
        }
    }

    @Test func `An HTTP 2 origin gets one connection ahead`() async throws {
        try await with({ _ in }, versions: .http2) { client, server in
            try await client.preconnect(to: server.origin, count: 3)
            #expect(await client.statistics().connectionsOpened == 1)
            _ = try await client.get("\(server.url)/bytes/1")
            #expect(await client.statistics().connectionsOpened == 1)
        }
    }

    @Test func `A connection ahead of time that fails says why`() async throws {
        try await withHTTPClient { client in
            let origin = try Origin("http://127.0.0.1:1")
            let error = await #expect(throws: H2Error.self) { try await client.preconnect(to: origin, count: 2) }
            #expect(error?.code == .connectFailed)
        }
    }
}
