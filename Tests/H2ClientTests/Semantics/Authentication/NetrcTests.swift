import H2Platform
import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct NetrcTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let file: String
        let host: String
        var user: String?
        let login: String?
        var testDescription: String { "\(file.debugDescription) for \(host) \(user ?? "")" }

        init(_ file: String, _ host: String, user: String? = nil, is login: String?) {
            self.file = file
            self.host = host
            self.user = user
            self.login = login
        }
    }

    private static let several = """
        machine a.test login one password 1
        machine a.test login two password 2
        machine b.test password only
        default login anyone password any
        """

    @Test(arguments: [
        Case("machine a.test login u password p", "a.test", is: "u:p"),
        Case("machine a.test login u password p", "b.test", is: nil),
        Case("machine a.test login u password p", "sub.a.test", is: nil),
        Case("machine A.Test login u password p", "a.test", is: "u:p"),
        Case("machine a.test\n\tlogin u\r\n\tpassword p\r\n", "a.test", is: "u:p"),
        Case("machine a.test password p login u", "a.test", is: "u:p"),
        Case("MACHINE a.test LOGIN u Password p", "a.test", is: "u:p"),
        Case("machine ::1 login u password p", "::1", is: "u:p"),
        Case("\u{feff}machine a.test login u password p", "a.test", is: "u:p"),
        Case("machine a.test login u account x password p", "a.test", is: "u:p"),
        Case("machine a.test login u", "a.test", is: "u:"),
        Case("machine a.test", "a.test", is: nil),
        Case("machine", "a.test", is: nil),
        Case("machine a.test login", "a.test", is: nil),
        Case("login u password p", "a.test", is: nil),
        Case("", "a.test", is: nil),
        Case("unknown words machine a.test more login u words password p", "a.test", is: "u:p"),
        // Quotes.
        Case(#"machine a.test login "u v" password "p\"q\\r""#, "a.test", is: #"u v:p"q\r"#),
        Case(#"machine a.test login u password "a\tb\nc\rd\ze""#, "a.test", is: "u:a\tb\nc\rdze"),
        Case(#"machine a.test login u password """#, "a.test", is: "u:"),
        Case(#"machine a.test login u password p"q"#, "a.test", is: #"u:p"q"#),
        Case(#"machine a.test login u password p\q"#, "a.test", is: #"u:p\q"#),
        Case(#"machine a.test login "machine" password "login""#, "a.test", is: "machine:login"),
        Case(##"machine a.test login u password "#p""##, "a.test", is: "u:#p"),
        // Comments.
        Case("# machine a.test login x password y\nmachine a.test login u password p # q", "a.test", is: "u:p"),
        Case("machine a.test login u password p#q", "a.test", is: "u:p#q"),
        Case("machine a.test # login x\nlogin u password p", "a.test", is: "u:p"),
        // Macros.
        Case(
            "macdef init\nmachine a.test login x password y\n\nmachine a.test login u password p", "a.test", is: "u:p"),
        Case("macdef init\r\nmachine a.test login x\r\n\r\nmachine a.test login u password p", "a.test", is: "u:p"),
        Case("macdef init\nmachine a.test login x password y", "a.test", is: nil),
        Case("macdef", "a.test", is: nil),
        Case("macdef init\n\nmachine a.test login u password p", "a.test", is: "u:p"),
        // Several entries.
        Case(several, "a.test", is: "one:1"),
        Case(several, "a.test", user: "two", is: "two:2"),
        Case(several, "a.test", user: "three", is: nil),
        Case(several, "b.test", user: "three", is: "three:only"),
        Case(several, "b.test", is: ":only"),
        Case(several, "c.test", is: "anyone:any"),
        Case(several, "c.test", user: "anyone", is: "anyone:any"),
        Case("default login d password e machine a.test login u password p", "a.test", is: "u:p"),
    ])
    func `Entries are found`(_ test: Case) throws {
        let entries = try NetrcEntries(Array(test.file.utf8))
        let login = entries.login(for: test.host, user: test.user, usesDefault: true)
        #expect(login.map { "\($0.user):\($0.password)" } == test.login)
    }

    @Test func `The default entry can be left out`() throws {
        let entries = try NetrcEntries(Array(Self.several.utf8))
        #expect(entries.login(for: "c.test", usesDefault: false) == nil)
        #expect(entries.login(for: "a.test", usesDefault: false)?.user == "one")
    }

    @Test(arguments: [
        (#"machine a.test login "u"#, 1), ("machine a.test\nlogin u\npassword \"p\nq\"", 3), (#"""#, 1), (#""\"#, 1),
    ])
    func `A quote that does not end is a fault`(_ text: String, _ line: Int) {
        let fault = #expect(throws: NetrcEntries.Fault.self) { try NetrcEntries(Array(text.utf8)) }
        #expect(fault?.line == line)
    }

    @Test func `Length, words and entries are limited`() throws {
        typealias Limits = NetrcEntries.Limits
        #expect(throws: NetrcEntries.Fault.self) {
            try NetrcEntries([UInt8](repeating: UInt8(ascii: " "), count: Limits.length + 1))
        }
        let word = String(repeating: "x", count: Limits.word)
        #expect(try NetrcEntries(Array("machine a.test login \(word)".utf8)).entries.count == 1)
        for text in ["login \(word)x", "login \"\(word)x\"", "# \(word)\n\(word)x"] {
            let fault = #expect(throws: NetrcEntries.Fault.self) { try NetrcEntries(Array(text.utf8)) }
            #expect(fault?.reason.contains("xxx") == false)
        }
        let many = String(repeating: "machine a ", count: Limits.entries)
        #expect(try NetrcEntries(Array(many.utf8)).entries.count == Limits.entries)
        #expect(throws: NetrcEntries.Fault.self) { try NetrcEntries(Array((many + "default").utf8)) }
    }

    @Test func `Random bytes are parsed without a fault of the program`() {
        var random = SplitMix64(seed: 3)
        let pieces = [
            "machine ", "login ", "password ", "macdef ", "default ", "\"", "\\", "\n", "\r\n", "#", "\u{0}", "\t",
        ]
        for _ in 0..<20_000 {
            var file: [UInt8] = []
            for _ in 0..<Int.random(in: 0...12, using: &random) {
                if Bool.random(using: &random) {
                    file += Array(pieces.randomElement(using: &random)!.utf8)
                } else {
                    file.append(UInt8.random(in: 0...255, using: &random))
                }
            }
            _ = try? NetrcEntries(file).login(for: "a", usesDefault: true)
        }
    }

    // MARK: - Files

    private func file(_ text: String) throws -> String {
        let path = try TemporaryDirectory.shared.newFolder("netrc") + "/netrc"
        try writeText(text, to: path)
        return path
    }

    @Test func `The named file is read`() throws {
        let path = try file("machine a.test login u password p")
        let entries = try NetrcFile.read(path) { _ in nil }
        #expect(entries.login(for: "a.test", usesDefault: true)?.user == "u")
    }

    @Test func `Without a name, NETRC and then HOME say where the file is`() throws {
        let path = try file("machine a.test login u password p")
        let folder = String(path.dropLast("/netrc".count))
        try writeText("machine a.test login home password p", to: folder + "/.netrc")
        let named = try NetrcFile.read(nil) { ["NETRC": path, "HOME": folder][$0] }
        #expect(named.entries.first?.login == "u")
        let home = try NetrcFile.read(nil) { ["NETRC": "", "HOME": folder][$0] }
        #expect(home.entries.first?.login == "home")
    }

    @Test func `Only a named file has to exist`() throws {
        #expect(try NetrcFile.read(nil) { _ in nil }.entries.isEmpty)
        #expect(try NetrcFile.read(nil) { _ in "/nowhere" }.entries.isEmpty)
        let error = #expect(throws: H2Error.self) { try NetrcFile.read("/nowhere/netrc") { _ in nil } }
        #expect(error?.code == .localIO)
        #expect(error?.cause == .errno(ENOENT))
        #expect(throws: H2Error.self) { try NetrcFile.read("/") { _ in nil } }
    }

    @Test func `A fault names the line and nothing of the file`() throws {
        let path = try file("machine a.test\nlogin u password \"secret\n")
        let error = #expect(throws: H2Error.self) { try NetrcFile.read(path) { _ in nil } }
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.message.contains("line 2") == true)
        #expect(error?.description.contains("secret") == false)
    }

    @Test func `A file without an end is not read for ever`() throws {
        #expect(throws: H2Error.self) { try NetrcFile.read("/dev/zero") { _ in nil } }
    }
}
