import H2Client
import H2ClientTesting
import H2Platform
import H2TestSupport
import HTTPTypes
import Testing

/// Where connections lead to and come from.
@Suite(.inTurn, .timeLimit(.minutes(2)))
struct ConnectionTests {
    private static let routes: [String: OriginServer.Handler] = ["/": { _ in .init(text: "hello") }]

    @Test func `A Unix domain socket is connected to`() async throws {
        try await Guide.run { guide in
            let folder = guide.folder
            let server = try UnixServer(path: "\(folder)/engine.sock")
            defer { server.stop() }
            RawThread.start { server.serve("1.47") }
            var configuration = HTTPClient.Configuration()
            // example: unix-socket
            configuration.connection.unixSocketPath = "\(folder)/engine.sock"
            let client = HTTPClient(configuration: configuration)
            let version = try await client.get("http://localhost/version")
            // end
            #expect(version.text == "1.47")
        }
    }

    @Test func `A connection leaves from a chosen address`() async throws {
        try await Guide.run(Self.routes) { guide in
            var configuration = guide.configuration
            // example: local
            configuration.connection.local.address = "127.0.0.2"  // or .interface = "eth1"
            configuration.connection.local.ports = 40_000...40_999
            configuration.connection.local.family = .ipv4
            let client = HTTPClient(configuration: configuration)
            let page = try await client.get("https://example.com/")
            print(page.response.connectionInfo.localAddress)
            // end
            #expect(guide.printed.count == 1 && guide.printed[0].hasPrefix("127.0.0.2"))
        }
    }

    @Test func `A closure finds addresses`() async throws {
        try await Guide.run(["/": { _ in .init(text: "127.0.0.1\n") }]) { guide in
            var configuration = guide.configuration
            let (directory, port) = (guide.client, guide.secure.port)
            // Leaves the look-up of the name to the resolver.
            configuration.connectTo = { ConnectionConfiguration.Endpoint(host: $0.host, port: port) }
            // example: resolver
            configuration.connection.resolver = HostResolver { host in
                let list = try await directory.get("https://names.example.com/\(host)").text
                return HostResolver.Answer(
                    addresses: list.split(separator: "\n").map(String.init), timeToLive: .seconds(30))
            }
            let client = HTTPClient(configuration: configuration)
            let page = try await client.get("https://api.example.com/")
            // end
            #expect(page.status == .ok)
            #expect(guide.requests.map(\.path) == ["/api.example.com", "/"])
        }
    }

    @Test func `Hosts have fixed addresses`() async throws {
        try await Guide.run(Self.routes) { guide in
            var configuration = guide.configuration
            let port = guide.secure.port
            configuration.connectTo = { ConnectionConfiguration.Endpoint(host: $0.host, port: port) }
            // example: resolver-overriding
            configuration.connection.resolver = .overriding(["api.example.com": ["127.0.0.1", "::1"]])
            let client = HTTPClient(configuration: configuration)
            let page = try await client.get("https://api.example.com/")
            // end
            #expect(page.status == .ok)
        }
    }

    @Test func `Private addresses are refused`() async throws {
        try await Guide.run(Self.routes) { guide in
            var configuration = guide.configuration
            let strangersURL = "https://www.example.com/"
            // example: address-filter
            configuration.connection.addressFilter = .publicInternet
            let client = HTTPClient(configuration: configuration)
            do {
                _ = try await client.get(strangersURL)  // a name that leads to 127.0.0.1, or a redirect to one
            } catch let error as H2Error where error.code == .addressRefused {
                print(error.message)
            }
            // end
            #expect(guide.printed.count == 1)
        }
    }

    @Test func `Connections are opened ahead of requests`() async throws {
        try await Guide.run(Self.routes) { guide in
            let client = guide.client
            // example: preconnect
            try await client.preconnect(to: Origin("https://example.com"))
            let page = try await client.get("https://example.com/")  // waits for no handshake
            print(page.status.code, await client.statistics().connectionsOpened)
            // end
            #expect(guide.printed == ["200 1"])
        }
    }
}
