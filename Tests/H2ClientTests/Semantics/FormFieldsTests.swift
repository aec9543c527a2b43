import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct FormFieldsTests {
    @Test(
        arguments: [
            ([:], ""),
            (["a": "b"], "a=b"),
            (["a": "1", "b": "2", "a": "3"], "a=1&b=2&a=3"),
            (["": ""], "="),
            (["name": "Ada Lovelace"], "name=Ada+Lovelace"),
            (["q": "a&b=c+d%"], "q=a%26b%3Dc%2Bd%25"),
            (["safe": "AZaz09*-._"], "safe=AZaz09*-._"),
            (["tilde": "~!'()"], "tilde=%7E%21%27%28%29"),
            (["line": "\r\n\t\0"], "line=%0D%0A%09%00"),
            (["naïve": "€😀"], "na%C3%AFve=%E2%82%AC%F0%9F%98%80"),
        ] as [(FormFields, String)])
    func `Fields are serialised as the URL standard says`(_ fields: FormFields, _ encoded: String) {
        #expect(fields.encoded == encoded)
        #expect(fields.isEmpty == encoded.isEmpty)
    }

    @Test func `A field is added at the end, even if there is one of its name`() {
        var fields: FormFields = ["tag": "a"]
        fields.append("tag", "b")
        #expect(fields.encoded == "tag=a&tag=b")
    }
}
