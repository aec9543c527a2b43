import Foundation
import H2Client
import HTTPTypes

/// Fetches a URL many times at once, over one connection.
@main
enum ParallelFetch {
    static func main() async {
        let arguments = CommandLine.arguments.dropFirst()
        guard let url = arguments.first, let count = arguments.dropFirst().first.flatMap({ Int($0) }), count > 0 else {
            fail("usage: ParallelFetch URL COUNT [CA-FILE]")
        }
        do {
            try await fetch(url, count: count, caFile: arguments.dropFirst(2).first)
        } catch {
            fail("\(error)")
        }
    }

    static func fetch(_ url: String, count: Int, caFile: String?) async throws {
        let target = try RequestTarget(url)
        var configuration = ConnectionConfiguration()
        configuration.tls.caFile = caFile
        let request = HTTPRequest(method: .get, scheme: nil, authority: nil, path: target.path)

        try await HTTP2Connection.withConnection(to: target.origin, configuration: configuration) { connection in
            // Tasks that prefer the connection's executor run on its event loop, which saves a change of threads at each
            // step. Without this the code does the same, at a higher cost per request.
            let sizes = try await withTaskExecutorPreference(connection.executor) {
                try await withThrowingTaskGroup(of: Int.self) { group in
                    for _ in 0..<count {
                        group.addTask {
                            let response = try await connection.send(request)
                            guard response.status == .ok else { throw UnexpectedStatus(status: response.status) }
                            return try await response.body.discard()
                        }
                    }
                    // The first failure cancels the others, and each cancelled one resets its stream.
                    return try await group.reduce(into: [Int]()) { $0.append($1) }
                }
            }
            let snapshot = await connection.snapshot()
            print(
                "\(sizes.count) responses, \(sizes.reduce(0, +)) bytes, \(snapshot.requests) streams,",
                "connection \(connection.info.id) to \(connection.info.remoteAddress)")
        }
    }

    struct UnexpectedStatus: Error { var status: HTTPResponse.Status }

    static func fail(_ message: String) -> Never {
        FileHandle.standardError.write(Data("\(message)\n".utf8))
        exit(1)
    }
}
