import Foundation
import H2ClientTesting
import H2TestSupport
import Testing

@testable import h2get

@Suite(.inTurn, .timeLimit(.minutes(5))) struct TraceTests {
    @Test func `Bytes are shown as curl shows them`() {
        let bytes = Array("GET / HTTP/1.1\r\nHost: h\r\n\r\n\u{1}".utf8)
        #expect(
            String(decoding: Trace.dump(bytes, isText: false), as: UTF8.self)
                == "0000: 47 45 54 20 2f 20 48 54 54 50 2f 31 2e 31 0d 0a GET / HTTP/1.1..\n"
                + "0010: 48 6f 73 74 3a 20 68 0d 0a 0d 0a 01             Host: h.....\n")
        #expect(
            String(decoding: Trace.dump(bytes, isText: true), as: UTF8.self)
                == "0000: GET / HTTP/1.1\n0010: Host: h\n0019: \n001b: .\n")
        // No empty line for the CRLF behind a full one.
        let full = Array(repeating: UInt8(ascii: "a"), count: 64) + Array("\r\nb".utf8)
        #expect(String(decoding: Trace.dump(full, isText: true), as: UTF8.self).hasSuffix("a\n0042: b\n"))
        #expect(Trace.dump([], isText: true).isEmpty)
    }

    @Test func `A trace has heads, bodies, connections and frames, and no password`() async throws {
        let served = try Served()
        let result = try await served.get(
            "--trace-ascii", "log", "--trace-time", "--trace-ids", "-o", "f", "-H", "Authorization: Basic c2VjcmV0",
            "-d", "sent text", served.url("/echo"))
        #expect(result.status == 0, "\(result.errors)")
        let log = try served.folder.read("log")
        for text in [
            "=> Send header, ", "POST /echo HTTP", "=> Send data, 9 bytes (0x9)", "0000: sent text",
            "<= Recv header, ",
            "<= Recv data, 9 bytes (0x9)", "== Info: connecting to", "SETTINGS", "(not shown)",
        ] { #expect(log.contains(text), "\(text)\n\(log)") }
        #expect(!log.contains("c2VjcmV0"))
        let pattern = #/\d\d:\d\d:\d\d\.\d{6} \[0-x\] => Send data, 9 bytes/#
        #expect(log.contains(pattern), "\(log)")
        #expect(log.contains(#/\[x-\d+\] == Info/#) && log.contains(#/\[0-\d+\] <= Recv header/#))
    }

    @Test func `A trace goes to stdout or stderr, and times to the lines of -v`() async throws {
        let served = try Served { $0.security = .cleartext }
        let output = try await served.get("--trace", "-", "-o", "f", served.url("/bytes/3"))
        #expect(output.text.contains("<= Recv data, 3 bytes (0x3)\n0000: 00 01 02"), "\(output.text)")
        let errors = try await served.get("--trace", "%", "-o", "f", served.url("/bytes/3"))
        #expect(errors.errors.contains("<= Recv data, 3 bytes (0x3)") && errors.output.isEmpty)
        let verbose = try await served.get("-v", "--trace-time", "-o", "f", served.url("/bytes/3"))
        let lines = verbose.errors.split(separator: "\n")
        #expect(lines.first?.firstMatch(of: #/^\d\d:\d\d:\d\d\.\d{6} > GET/#) != nil, "\(verbose.errors)")
    }

    @Test func `No body replaces the trace, and a trace that cannot be written is an error`() async throws {
        let served = try Served { $0.security = .cleartext }
        let clash = try await served.get("--trace", "3", "-O", served.url("/bytes/3"))
        #expect(clash.status == 23, "\(clash.errors)")
        #expect(try served.folder.data("3") != Served.pattern(3))
        let missing = try await served.get("--trace", "no/folder", served.url("/bytes/3"))
        #expect(missing.status == 23 && missing.errors.contains("(--trace)"), "\(missing.errors)")
        for words in [["--trace-time"], ["--trace-ids"], ["-v", "--trace-ids"], ["--trace", ""]] {
            let failure = #expect(throws: Failure.self) {
                _ = try FetchSettings(parsed(.fetch, words + ["http://h/"]))
            }
            #expect(failure?.status == .usage, "\(words)")
        }
    }
}
