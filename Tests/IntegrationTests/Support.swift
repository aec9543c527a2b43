import H2Client
import H2Platform
import H2TestSupport
import HTTPTypes
import Testing

extension RunningServer {
    /// A verified TLS connection to the server.
    func withConnection<R>(
        _ body: nonisolated(nonsending) (HTTP2Connection) async throws -> R
    ) async throws -> R {
        try await HTTP2Connection.withConnection(to: origin, configuration: configuration, body)
    }
}

extension HTTPRequest {
    /// The connection's origin fills in the rest.
    static func get(_ path: String) -> HTTPRequest { make(.get, path) }

    static func make(_ method: HTTPRequest.Method, _ path: String, _ fields: HTTPFields = [:]) -> HTTPRequest {
        HTTPRequest(method: method, scheme: nil, authority: nil, path: path, headerFields: fields)
    }
}

extension StreamedResponse {
    /// The body as text; 1 MiB at most.
    nonisolated(nonsending) func text() async throws -> String {
        String(decoding: try await body.collect(upTo: 1 << 20), as: UTF8.self)
    }

    /// Writes the body to a file, and returns its length and SHA-256.
    nonisolated(nonsending) func hashed() async throws -> (size: Int, sha256: String) {
        let path = try TemporaryDirectory.shared.newPath("body")
        let file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw ProcessFailure("cannot make \(path)") }
        defer {
            close(file)
            unlink(path)
        }
        let size = try await body.write(to: file)
        return (size, try sha256(ofFile: path))
    }
}

/// One more request over a connection, which has to be answered.
nonisolated(nonsending) func expectService(
    over connection: HTTP2Connection, sourceLocation: SourceLocation = #_sourceLocation
) async throws {
    let response = try await connection.send(.get("/small.txt"))
    #expect(response.status == .ok, sourceLocation: sourceLocation)
    let text = try await response.text()
    #expect(text == "abc", sourceLocation: sourceLocation)
}

/// Runs `operation`, which has to fail with an `H2Error`, and returns that.
func h2Error<R>(
    _ comment: String = "", sourceLocation: SourceLocation = #_sourceLocation,
    _ operation: nonisolated(nonsending) () async throws -> R
) async throws -> H2Error {
    do {
        _ = try await operation()
    } catch let error as H2Error {
        return error
    } catch {
        Issue.record("\(comment) threw \(error), which is no H2Error", sourceLocation: sourceLocation)
        throw error
    }
    Issue.record("\(comment) did not fail", sourceLocation: sourceLocation)
    throw ProcessFailure("no error")
}

/// Runs curl, which has to succeed, with trust in the tests' authority.
@discardableResult
func curl(_ arguments: [String], sourceLocation: SourceLocation = #_sourceLocation) async throws -> Program.Outcome {
    let outcome = try await curlOutcome(["--fail"] + arguments)
    #expect(outcome.exitCode == 0, "\(outcome.output)", sourceLocation: sourceLocation)
    return outcome
}

/// Runs curl, with trust in the tests' authority.
func curlOutcome(_ arguments: [String]) async throws -> Program.Outcome {
    let always = ["-sS", "--max-time", "20", "--cacert", try TestCertificates.shared.caFile]
    return try await Program.finish("curl", always + arguments)
}

/// What curl tells of a transfer.
struct CurlTransfer: Equatable {
    var status: Int
    /// `1.1` or `2`.
    var version: String
    /// 0 where a connection was used again.
    var connects: Int
}

/// Runs curl on one URL, which may stand for many (`[1-100]`), one transfer after another; it has to succeed.
func curlTransfers(
    _ arguments: [String], sourceLocation: SourceLocation = #_sourceLocation
) async throws -> [CurlTransfer] {
    let report = ["-o", "/dev/null", "-w", "%{http_code} %{http_version} %{num_connects}\n"]
    let outcome = try await curlOutcome(report + arguments)
    #expect(outcome.exitCode == 0, "\(outcome.output)", sourceLocation: sourceLocation)
    return outcome.output.split(separator: "\n").compactMap { line in
        let words = line.split(separator: " ")
        guard words.count == 3, let status = Int(words[0]), let connects = Int(words[2]) else { return nil }
        return CurlTransfer(status: status, version: String(words[1]), connects: connects)
    }
}
