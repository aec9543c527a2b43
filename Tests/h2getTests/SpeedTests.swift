import Foundation
import H2Client
import H2ClientTesting
import H2TestSupport
import Synchronization
import Testing

@testable import h2get

@Suite(.inTurn, .timeLimit(.minutes(5))) struct SpeedTests {
    private func seconds(_ work: () async throws -> Void) async rethrows -> Double {
        let start = ContinuousClock.now
        try await work()
        return (ContinuousClock.now - start) / .seconds(1)
    }

    @Test(arguments: ["--http1.1", "--http2-prior-knowledge"])
    func `--limit-rate holds downloads and uploads back, each for itself`(_ version: String) async throws {
        let served = try Served { $0.security = .cleartext }
        _ = try served.folder.write(String(repeating: "x", count: 30_000), to: "up")
        let down = try await seconds {
            let result = try await served.get(
                version, "--limit-rate", "20K", "-o", "a", "-o", "b", served.url("/bytes/30000"), served.url("/bytes/9")
            )
            #expect(result.status == 0, "\(result.errors)")
        }
        // The last piece, an eighth of a second's, need not be waited for.
        #expect(down > 1.2)
        #expect(try served.folder.data("a") == Served.pattern(30_000))
        for body in [["-T", "up"], ["--data-binary", "@up"], ["-F", "a=@up"]] {
            let up = try await seconds {
                let result = try await served.get([version, "--limit-rate", "20K"] + body + [served.url("/upload")])
                #expect(result.status == 0, "\(result.errors)")
            }
            #expect(up > 1.2, "\(body)")
        }
    }

    @Test(arguments: ["--http1.1", "--http2-prior-knowledge"])
    func `A transfer that is too slow ends with 28 and curl's words`(_ version: String) async throws {
        let served = try Served { $0.security = .cleartext }
        for arguments in [
            ["-Y", "1000", "-y", "1", served.url("/delay/30000")],
            ["-Y", "100K", "-y", "1", "--limit-rate", "5K", "-o", "f", served.url("/bytes/400000")],
            ["-Y", "100K", "-y", "1", "--limit-rate", "5K", "--data-binary", String(repeating: "x", count: 90_000)]
                + [served.url("/upload")],
        ] {
            let result = try await served.get([version] + arguments)
            #expect(result.status == 28, "\(arguments): \(result.errors)")
            #expect(result.errors.contains("Operation too slow. Less than"), "\(result.errors)")
            #expect(result.errors.contains("transferred the last 1 seconds"), "\(result.errors)")
        }
    }

    @Test func `A body that waits for its turn on stdout is not slow`() async throws {
        let served = try Served { $0.security = .cleartext }
        let result = try await served.get(
            "-y", "1", served.url("/delay/2500"), "-y", "4", served.url("/bytes/100000"))
        #expect(result.status == 0, "\(result.errors)")
    }

    @Test func `Options have curl's defaults, and bad values are refused`() throws {
        func settings(_ words: String...) throws -> FetchSettings {
            try FetchSettings(parsed(.fetch, words + ["http://h/"]))
        }
        #expect(try settings("-Y", "10").slowest == .init(bytesPerSecond: 10, seconds: 30))
        #expect(try settings("-y", "7").slowest == .init(bytesPerSecond: 1, seconds: 7))
        #expect(try settings("-Y", "0", "-y", "7").slowest == nil)
        #expect(try settings("--limit-rate", "2M").rateLimit == 2 << 20)
        #expect(try settings("--limit-rate", "0").rateLimit == nil)
        let windows = try settings("--limit-rate", "1K").clientConfiguration().connection.windows
        #expect(windows.stream == 65_535 && windows.maximum == 65_535)
        for words in [["-y", "0"], ["-Y", "-1"], ["--limit-rate", "fast"], ["--retry-all-errors"]] {
            let failure = #expect(throws: Failure.self) {
                _ = try FetchSettings(parsed(.fetch, words + ["http://h/"]))
            }
            #expect(failure?.status == .usage, "\(words)")
        }
    }

    @Test func `Bytes keep their rate on average`() async throws {
        var pace = Pace(limit: 800)
        #expect(pace.pieces(of: Array(repeating: 0, count: 250)).map(\.count) == [100, 100, 50])
        let time = try await seconds {
            for _ in 0..<3 { try await pace.wait(for: 200) }
        }
        // The clock here starts a little after that of the pace.
        #expect(time >= 0.49)
    }

    // MARK: - Connections and retries

    @Test func `--parallel-immediate opens a connection for each transfer`() async throws {
        let served = try Served()
        let urls = Array(repeating: served.url("/delay/300"), count: 3)
        let each = try await served.get(["--parallel-immediate", "--summary", "-o", "/dev/null"] + urls)
        #expect(each.errors.contains("3 requests over 3 connections"), "\(each.errors)")
        let two = try await served.get(
            ["--parallel-immediate", "--connections-per-origin", "2", "--summary", "-o", "/dev/null"] + urls)
        #expect(two.errors.contains("3 requests over 2 connections"), "\(two.errors)")
    }

    @Test(arguments: [[], ["-o", "f"], ["-d", "x"]])
    func `--retry-all-errors retries what --retry leaves`(_ options: [String]) async throws {
        for isCut in [true, false] {
            let folder = try TemporaryFolder()
            let failures = Counter()
            try await ScriptedHTTP1Server.run(
                script: { _ in
                    guard failures.next() < 2 else { return [.readBody, .respond(body: "fine")] }
                    return isCut ? [.readBody, .close] : [.readBody, .respond("404 Not Found")]
                }
            ) { server in
                let words = ["--http1.1", "-f", "--retry", "3", "--retry-delay", "0.01"] + options
                let result = try await Program.run(
                    words + ["--retry-all-errors", "\(server.origin)/"], in: folder.root)
                #expect(result.status == 0, "\(result.errors)")
                #expect(server.requests.count == 3)
                #expect(options.first == "-o" ? try folder.read("f") == "fine" : result.text == "fine")
                // No attempt left a part of a file.
                #expect(folder.names.allSatisfy { !$0.hasSuffix(".part") })
            }
        }
    }

    @Test func `--proxy-header goes to the proxy, and through a tunnel no further`() async throws {
        try await ScriptedHTTP1Server.run(script: { _ in [.readBody, .respond(body: "fine")] }) { server in
            let proxy = ["-x", "\(server.origin)", "--http1.1", "--proxy-header", "X-Proxy: yes"]
            let result = try await Program.run(proxy + ["http://origin.test/a"])
            #expect(result.text == "fine", "\(result.errors)")
            #expect(server.requests.last?.values(of: "x-proxy") == ["yes"])
            let tunnel = try await Program.run(proxy + ["-p", "-m", "1", "http://origin.test/a"])
            #expect(tunnel.status != 0)
            let requests = server.requests.filter { $0.values(of: "x-proxy") == ["yes"] }
            #expect(requests.count >= 2)
        }
        for words in [["-p"], ["--proxy-header", "A: b"]] {
            let failure = #expect(throws: Failure.self) {
                _ = try FetchSettings(parsed(.fetch, words + ["-x", "", "http://h/"]))
            }
            #expect(failure?.message.contains("name it with -x") == true)
        }
    }
}

/// Counts calls from any thread.
private final class Counter: Sendable {
    private let count = Mutex(0)
    func next() -> Int {
        count.withLock { count in
            defer { count += 1 }
            return count
        }
    }
}
