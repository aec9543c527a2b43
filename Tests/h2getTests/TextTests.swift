@testable import H2Client
import HTTPTypes
import Testing

@testable import h2get

@Suite struct `Text for people` {
    @Test(arguments: [
        ("plain, ü and 漢", "plain, ü and 漢"), ("a\u{1b}[31mb", "a\\x1b[31mb"), ("a\r\nb\t\0", "a\\x0d\\x0ab\\x09\\x00"),
        ("\u{7f}\u{9b}1m", "\\x7f\\u{9b}1m"), ("a\u{202e}b", "a\\u{202e}b"),
    ])
    func `nothing that a server sends can steer a terminal`(_ text: String, _ expected: String) {
        #expect(printable(text) == expected)
    }

    @Test(arguments: [
        ("https://u:p@host/a@b", "https://***@host/a@b"), ("https://host/a@b", "https://host/a@b"),
        ("https://u@v:p@host?x", "https://***@host?x"), ("no url", "no url"), ("", ""),
    ])
    func `passwords in URLs are not shown`(_ url: String, _ expected: String) {
        #expect(withoutUserInfo(url) == expected)
    }

    @Test(arguments: [
        (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"),
        (123_456_789, "123.5 MB"), (5_000_000_000_000, "5.0 TB"),
    ])
    func `bytes are written in powers of a thousand`(_ count: Int, _ expected: String) {
        #expect(byteCount(count) == expected)
    }

    @Test func `numbers have so many decimals`() {
        #expect(fixed(1.005, 1) == "1.0")
        #expect(fixed(0.0449, 2) == "0.04")
        #expect(fixed(-1.5, 1) == "-1.5")
        #expect(fixed(9.99, 1) == "10.0")
        #expect(fixed(3.7, 0) == "4")
        #expect(fixed(.infinity, 1) == "?")
        #expect(Duration.microseconds(1500).brief == "1.50 ms")
        #expect(Duration.milliseconds(2500).brief == "2.50 s")
    }

    @Test func `a frame's line has its windows and is printable`() {
        let frame = FrameRecord(
            direction: .received, connectionID: ConnectionID(number: 1), type: "GOAWAY", flags: ["A", "B"], streamID: 0,
            length: 12, detail: "debug \u{1b}[2J", receiveWindow: (stream: nil, connection: 10),
            sendWindow: (stream: 5, connection: 20), time: .microseconds(1500))
        #expect(Verbose.line(frame) == "1.50 ms #1 < GOAWAY stream 0, 12 B, A+B, debug \\x1b[2J [10 | 5/20]")
    }

    @Test func `credentials of a URL become Basic, percent-decoded`() throws {
        #expect(try RequestTarget("http://user:p%40ss@h").basicCredentials == "Basic dXNlcjpwQHNz")
        #expect(
            try RequestTarget("http://Aladdin:open%20sesame@h").basicCredentials == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        )
        #expect(try RequestTarget("http://a@h").basicCredentials == "Basic YTo=")
    }

    @Test func `a file's name in a URL is percent-encoded`() {
        #expect(uploadName("dir/a b.txt") == "a%20b.txt")
    }
}
