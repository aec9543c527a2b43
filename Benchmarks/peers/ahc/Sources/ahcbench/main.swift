// The same work as h2bench, done with AsyncHTTPClient: one connection, async/await callers, bodies pulled and dropped.
import AsyncHTTPClient
import NIOCore
import NIOPosix
import NIOSSL

var url = ""
var requests = 1_000
var callers = 1
var caFile: String?

var arguments = CommandLine.arguments.dropFirst()
while let argument = arguments.popFirst() {
    switch argument {
    case "-n": requests = arguments.popFirst().flatMap { Int($0) } ?? requests
    case "-m": callers = arguments.popFirst().flatMap { Int($0) } ?? callers
    case "--cacert": caFile = arguments.popFirst()
    default: url = argument
    }
}

func call(_ client: HTTPClient, _ url: String, _ count: Int) async throws -> (good: Int, bytes: Int) {
    var tally = (good: 0, bytes: 0)
    for _ in 0..<count {
        let response = try await client.execute(HTTPClientRequest(url: url), timeout: .seconds(60))
        for try await chunk in response.body { tally.bytes += chunk.readableBytes }
        if response.status == .ok && response.version.major == 2 { tally.good += 1 }
    }
    return tally
}

var tls = TLSConfiguration.makeClientConfiguration()
if let caFile { tls.trustRoots = .file(caFile) } else { tls.certificateVerification = .none }
var configuration = HTTPClient.Configuration(tlsConfiguration: tls)
configuration.httpVersion = .automatic
let client = HTTPClient(eventLoopGroup: MultiThreadedEventLoopGroup.singleton, configuration: configuration)

// One request alone opens the connection that all others then share.
let first = try await call(client, url, 1)
let total = try await withThrowingTaskGroup(of: (good: Int, bytes: Int).self) { [url, requests, callers] group in
    for index in 0..<callers {
        let share = (requests - 1) / callers + (index < (requests - 1) % callers ? 1 : 0)
        group.addTask { try await call(client, url, share) }
    }
    return try await group.reduce(first) { ($0.good + $1.good, $0.bytes + $1.bytes) }
}
try await client.shutdown()
print("ok=\(total.good) of=\(requests) bytes=\(total.bytes)")
precondition(total.good == requests, "every answer is a 200 over HTTP/2")
