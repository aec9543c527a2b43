@testable import H2Client
import HTTPTypes
import Testing

@testable import h2get

@Suite struct `Text for people` {
    @Test(arguments: [
        ("https://u:p@host/a@b", "https://***@host/a@b"), ("https://host/a@b", "https://host/a@b"),
        ("https://u@v:p@host?x", "https://***@host?x"), ("no url", "no url"), ("", ""),
        // What is no URL has no place for them that is known.
        ("user:s3cret@h", "***@h"), ("http:user:s3cret@h/", "***@h/"), ("//user:s3cret@h/", "***@h/"),
        ("http://user:s3/cret@h/", "http://***@h/"), ("http://user:s3#cret@h/", "http://***@h/"),
    ])
    func `passwords in URLs are not shown`(_ url: String, _ expected: String) {
        #expect(withoutUserInfo(url) == expected)
    }

    @Test func `durations have two decimals`() {
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
