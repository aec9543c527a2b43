import Foundation
import H2Client
import HTTPTypes

/// Sends standard input as it arrives, and writes the response's body to standard output, possibly while the upload is still
/// in progress.
@main
enum StreamingUpload {
    static func main() async {
        let arguments = CommandLine.arguments.dropFirst()
        guard let url = arguments.first else { fail("usage: StreamingUpload URL [CA-FILE] <FILE") }
        do {
            try await upload(to: url, caFile: arguments.dropFirst().first)
        } catch {
            fail("\(error)")
        }
    }

    static func upload(to url: String, caFile: String?) async throws {
        let target = try RequestTarget(url)
        var configuration = ConnectionConfiguration()
        configuration.tls.caFile = caFile
        let request = HTTPRequest(method: .post, scheme: nil, authority: nil, path: target.path)

        // `write` suspends while the server's windows are full, so at most one chunk is in memory, however fast the
        // input and however slow the server. The length need not be known.
        let body = HTTPRequestBody.writer { writer in
            while let chunk = try FileHandle.standardInput.read(upToCount: 64 << 10), !chunk.isEmpty {
                try await writer.write(chunk)
            }
        }
        try await HTTP2Connection.withConnection(to: target.origin, configuration: configuration) { connection in
            let (status, size) = try await connection.send(request, body: body) { response in
                var size = 0
                for try await chunk in response.body {
                    try FileHandle.standardOutput.write(contentsOf: Data(chunk))
                    size += chunk.count
                }
                return (response.status, size)
            }
            log("\(status.code): \(size) bytes came back")
        }
    }

    static func log(_ message: String) { FileHandle.standardError.write(Data("\(message)\n".utf8)) }

    static func fail(_ message: String) -> Never {
        log(message)
        exit(1)
    }
}
