import H2Client
import HTTPTypes

var configuration = ConnectionConfiguration()
configuration.tls.caFile = "ca.pem"
let origin = try Origin("https://localhost:8443")
try await HTTP2Connection.withConnection(to: origin, configuration: configuration) { connection in
    // Tasks that prefer the connection's executor run on its event loop: no change of threads at each step.
    try await withTaskExecutorPreference(connection.executor) {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 1...100 {
                group.addTask {
                    let request = HTTPRequest(method: .get, scheme: nil, authority: nil, path: "/bytes/\(number)")
                    let response = try await connection.send(request)
                    let body = try await response.body.collect(upTo: 1 << 20)
                    print(response.streamID, response.status, body.count)
                }
            }
            try await group.waitForAll()
        }
    }
}
