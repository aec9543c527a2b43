import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct ContentDispositionTests {
    @Test(
        arguments: [
            ("inline", "inline", nil),
            ("Attachment; filename=example.html", "attachment", "example.html"),
            ("INLINE; FILENAME= \"an example.html\"", "inline", "an example.html"),
            ("attachment; filename*= UTF-8''%e2%82%ac%20rates", "attachment", "€ rates"),
            ("attachment; filename=\"EURO rates\"; filename*=utf-8''%e2%82%ac%20rates", "attachment", "€ rates"),
            ("attachment; filename*=utf-8''%e2%82%ac%20rates; filename=\"EURO rates\"", "attachment", "€ rates"),
            ("attachment; filename*=iso-8859-1'en'%A3%20rates", "attachment", "£ rates"),
            // If filename* is malformed or unknown, the other one is used.
            ("attachment; filename=a.txt; filename*=utf-8''%ff", "attachment", "a.txt"),
            ("attachment; filename=a.txt; filename*=utf-8''%2", "attachment", "a.txt"),
            ("attachment; filename=a.txt; filename*=koi8-r''%c1", "attachment", "a.txt"),
            ("attachment; filename=a.txt; filename*=a", "attachment", "a.txt"),
            (#"attachment; filename="a\"b\\c.txt""#, "attachment", #"a"b\c.txt"#),
            ("attachment; filename=\"\"", "attachment", ""),
            ("attachment; filename=my report.pdf ; x=y", "attachment", "my report.pdf"),
            ("attachment;;; filename=a.txt;", "attachment", "a.txt"),
            ("attachment; x=\"; filename=no.txt\"; filename=yes.txt", "attachment", "yes.txt"),
            ("attachment; filename=first; filename=second", "attachment", "first"),
            ("attachment; filename=\"unclosed", "attachment", nil),
            ("attachment; filename", "attachment", nil),
            ("attachment; =x; filename=a", "attachment", nil),
            ("attachment; filename=%41.txt", "attachment", "%41.txt"),
        ] as [(String, String, String?)])
    func `A field's type and file name are found`(_ value: String, _ type: String, _ name: String?) {
        let parsed = ContentDisposition(value)
        #expect(parsed?.type == type)
        #expect(parsed?.fileName == name)
    }

    @Test(arguments: ["", " ", ";", "; filename=a", "=", "\"attachment\"; filename=a"])
    func `A value without a type is refused`(_ value: String) {
        #expect(ContentDisposition(value) == nil)
    }

    @Test func `A quoted name that is not UTF-8 is Latin-1`() {
        let latin1 = Array("attachment; filename=\"na".utf8) + [0xef] + Array("ve\"".utf8)
        #expect(ContentDisposition(latin1)?.fileName == "naïve")
        #expect(ContentDisposition("attachment; filename=\"naïve\"")?.fileName == "naïve")
    }

    @Test(
        arguments: [
            ("report.pdf", "report.pdf"),
            ("../../.bashrc", "bashrc"), ("/etc/passwd", "passwd"), (#"C:\Windows\system32\a.dll"#, "a.dll"),
            ("..", nil), (".", nil), ("", nil), ("/", nil), ("a/", nil), ("...", nil), (" . . ", nil),
            (".hidden", "hidden"), ("a. . ", "a"), ("  a b  ", "a b"), ("a\0b\nc\u{7f}\u{9b}.txt", "abc.txt"),
            ("..%2f..%2fetc", "%2f..%2fetc"),
            ("-rf", "_rf"), ("a:b*c?\"<>|", "a_b_c_____"),
            ("invoice\u{202e}fdp.exe", "invoicefdp.exe"), ("\u{feff}a\u{200e}\u{2066}b", "ab"),
            ("prn .txt", "_prn .txt"), ("prn" + String(repeating: " ", count: 300) + "x", "_prn"), ("CON", "_CON"),
            ("con.txt", "_con.txt"), ("Aux.tar.gz", "_Aux.tar.gz"), ("com1", "_com1"),
            ("LPT².x", "_LPT².x"),
            ("console.txt", "console.txt"), ("com", "com"), ("com10", "com10"), ("nul", "_nul"),
            ("naïve €.txt", "naïve €.txt"), ("\u{a0}\u{3000}", nil),
        ] as [(String, String?)])
    func `A name is made safe`(_ name: String, _ safe: String?) {
        #expect(ContentDisposition.safe(name) == safe)
    }

    @Test func `A long name is cut at a character and keeps its extension`() throws {
        let name = String(repeating: "ä", count: 300) + ".tar.gz"
        let safe = try #require(ContentDisposition.safe(name))
        #expect(safe.utf8.count <= 255 && safe.utf8.count > 250)
        #expect(safe.hasSuffix("ä.gz"))
        let endless = try #require(ContentDisposition.safe("a." + String(repeating: "b", count: 400)))
        #expect(endless.utf8.count == 255)
        #expect(ContentDisposition.safe("a" + String(repeating: "\u{301}", count: 500)) == nil)
        #expect(
            ContentDisposition.safe(String(repeating: "x", count: 240) + String(repeating: ".", count: 40) + "y")?
                .utf8.count ?? 0 <= 255)
    }
}
