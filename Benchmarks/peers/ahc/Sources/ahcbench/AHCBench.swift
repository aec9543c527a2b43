// The same work as h2bench, done with AsyncHTTPClient: one connection, async/await callers, bodies pulled and dropped.
import AsyncHTTPClient
import NIOCore
import NIOPosix
import NIOSSL

struct Tally: Sendable {
    var good = 0
    var bytes = 0
}

@main
enum AHCBench {
    static func main() async throws {
        var url = ""
        var requests = 1_000
        var callers = 1
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.certificateVerification = .none
        var arguments = CommandLine.arguments.dropFirst()
        while let argument = arguments.popFirst() {
            switch argument {
            case "-n": requests = arguments.popFirst().flatMap { Int($0) } ?? requests
            case "-m": callers = arguments.popFirst().flatMap { Int($0) } ?? callers
            case "--cacert":
                tls.trustRoots = .file(arguments.popFirst() ?? "")
                tls.certificateVerification = .fullVerification
            default: url = argument
            }
        }
        var configuration = HTTPClient.Configuration(tlsConfiguration: tls)
        configuration.httpVersion = .automatic
        let client = HTTPClient(eventLoopGroup: MultiThreadedEventLoopGroup.singleton, configuration: configuration)

        // One request alone opens the connection that all others then share.
        let first = try await call(client, url, 1)
        let total = try await withThrowingTaskGroup(of: Tally.self) { [url, requests, callers] group in
            for index in 0..<callers {
                let share = (requests - 1) / callers + (index < (requests - 1) % callers ? 1 : 0)
                group.addTask { try await call(client, url, share) }
            }
            var total = first
            for try await tally in group {
                total.good += tally.good
                total.bytes += tally.bytes
            }
            return total
        }
        try await client.shutdown()
        print("ok=\(total.good) of=\(requests) bytes=\(total.bytes)")
        precondition(total.good == requests, "not every answer was a 200 over HTTP/2")
    }

    static func call(_ client: HTTPClient, _ url: String, _ count: Int) async throws -> Tally {
        var tally = Tally()
        for _ in 0..<count {
            let response = try await client.execute(HTTPClientRequest(url: url), timeout: .seconds(60))
            for try await chunk in response.body { tally.bytes += chunk.readableBytes }
            if response.status == .ok && response.version.major == 2 { tally.good += 1 }
        }
        return tally
    }
}
