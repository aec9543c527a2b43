@testable import H2Client
import HTTPTypes
import H2TestSupport
import Testing

@testable import h2get

@Suite(.inTurn) struct TextTests {
    @Test(arguments: [
        ("https://u:p@host/a@b", "https://***@host/a@b"), ("https://host/a@b", "https://host/a@b"),
        ("https://u@v:p@host?x", "https://***@host?x"), ("no url", "no url"), ("", ""),
        // What is no URL has no place for them that is known.
        ("user:s3cret@h", "***@h"), ("http:user:s3cret@h/", "***@h/"), ("//user:s3cret@h/", "***@h/"),
        ("http://user:s3/cret@h/", "http://***@h/"), ("http://user:s3#cret@h/", "http://***@h/"),
    ])
    func `Passwords in URLs are not shown`(_ url: String, _ expected: String) {
        #expect(withoutUserInfo(url) == expected)
    }

    @Test(arguments: [
        ("https://h/?access_token=s3cret&b=1", "https://h/?access_token=***&b=1"),
        ("https://h/#access_token=s3cret&b=1", "https://h/#access_token=***&b=1"),
        ("https://h/?a=1&X-Amz-Signature=s3cret#f", "https://h/?a=1&X-Amz-Signature=***#f"),
        ("https://h/?key=s3=cret;sid=x", "https://h/?key=***;sid=***"),
        ("https://h/?design=1&keyboard=2&code=404", "https://h/?design=1&keyboard=2&code=404"),
        ("https://u:s3cret@h/?PASSWORD=s3cret&b", "https://***@h/?PASSWORD=***&b"), ("h/?a", "h/?a"), ("?=&=", "?=&="),
    ])
    func `Secrets in the parameters of URLs are not shown`(_ url: String, _ expected: String) {
        #expect(withoutSecrets(url) == expected)
    }

    @Test(arguments: [
        ("cannot serve 'http://u:s3cret@h/'; try", "cannot serve 'http://***@h/'; try"),
        ("http://u:s3/cret@h/x: no such file", "http://***@h/x: no such file"),
        ("see https://h/a@b, then mail me@h", "see https://h/a@b, then mail me@h"), ("", ""), ("@", "@"),
        (" two  spaces@ ", " two  spaces@ "),
    ])
    func `Credentials in a message are not shown`(_ message: String, _ expected: String) {
        #expect(withoutCredentials(message) == expected)
    }

    @Test(arguments: [
        ("PUT", "PUT"), ("Bearer s3cret", "***"), ("u:s3cret@h", "***@h"), ("a\nb", "***"), ("0..1K:30s", "0..1K:30s"),
    ])
    func `An argument is repeated without what may be a secret`(_ argument: String, _ expected: String) {
        #expect(shown(argument) == expected)
    }

    @Test func `Durations have two decimals`() {
        #expect(Duration.microseconds(1500).brief == "1.50 ms")
        #expect(Duration.milliseconds(2500).brief == "2.50 s")
    }

    @Test func `A frame's line has its windows and is printable`() {
        let frame = FrameRecord(
            direction: .received, connectionID: ConnectionID(number: 1), type: "GOAWAY", flags: ["A", "B"], streamID: 0,
            length: 12, detail: "debug \u{1b}[2J", receiveWindow: .init(stream: nil, connection: 10),
            sendWindow: .init(stream: 5, connection: 20), time: .microseconds(1500))
        #expect(Verbose.line(frame) == "1.50 ms #1 < GOAWAY stream 0, 12 B, A+B, debug \\x1b[2J [10 | 5/20]")
    }

    @Test func `Credentials of a URL become Basic, percent-decoded`() throws {
        #expect(try RequestTarget("http://user:p%40ss@h").basicCredentials == "Basic dXNlcjpwQHNz")
        #expect(
            try RequestTarget("http://Aladdin:open%20sesame@h").basicCredentials == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        )
        #expect(try RequestTarget("http://a@h").basicCredentials == "Basic YTo=")
    }

    @Test func `A file's name in a URL is percent-encoded`() {
        #expect(uploadName("dir/a b.txt") == "a%20b.txt")
    }
}
