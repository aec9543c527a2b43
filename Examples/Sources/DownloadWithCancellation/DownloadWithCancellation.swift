import Foundation
import H2Client
import HTTPTypes

/// Downloads to a file that is renamed when it is complete, and gives up after a number of seconds.
@main
enum DownloadWithCancellation {
    static func main() async {
        let arguments = Array(CommandLine.arguments.dropFirst())
        guard arguments.count >= 3, let seconds = Double(arguments[2]) else {
            fail("usage: DownloadWithCancellation URL FILE SECONDS [CA-FILE]")
        }
        let (url, file, caFile) = (arguments[0], arguments[1], arguments.dropFirst(3).first)

        let download = Task { try await save(url, as: file, caFile: caFile) }
        // Any task can cancel the download: a button, a signal, or here a clock.
        let alarm = Task {
            try await Task.sleep(for: .seconds(seconds))
            download.cancel()
        }
        do {
            print("\(try await download.value) bytes in \(file)")
            alarm.cancel()
        } catch is CancellationError {
            fail("cancelled after \(seconds) s; nothing is left behind")
        } catch {
            fail("\(error)")
        }
    }

    static func save(_ url: String, as file: String, caFile: String?) async throws -> Int {
        let target = try RequestTarget(url)
        var configuration = ConnectionConfiguration()
        configuration.tls.caFile = caFile
        let request = HTTPRequest(method: .get, scheme: nil, authority: nil, path: target.path)

        let part = "\(file).part"
        guard FileManager.default.createFile(atPath: part, contents: nil),
            let output = FileHandle(forWritingAtPath: part)
        else { throw CocoaError(.fileWriteUnknown, userInfo: [NSFilePathErrorKey: part]) }
        do {
            let size = try await HTTP2Connection.withConnection(
                to: target.origin, configuration: configuration
            ) { connection in
                let response = try await connection.send(request)
                guard response.status == .ok else { throw UnexpectedStatus(status: response.status) }
                // Cancellation makes this throw and resets the stream, so the server stops sending. It returns only if the
                // server ended the body properly and its length is the announced one.
                return try await response.body.write(to: output.fileDescriptor)
            }
            try output.close()
            guard rename(part, file) == 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
            return size
        } catch {
            try? output.close()
            try? FileManager.default.removeItem(atPath: part)
            throw error
        }
    }

    struct UnexpectedStatus: Error { var status: HTTPResponse.Status }

    static func fail(_ message: String) -> Never {
        FileHandle.standardError.write(Data("\(message)\n".utf8))
        exit(1)
    }
}
