import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn)
struct SOCKSDialogueTests {
    private func socks5(
        _ host: String = "origin.example", port: Int = 443, at address: String? = nil,
        proxy: String = "socks5h://proxy.example"
    ) throws -> DialogueRig {
        DialogueRig(
            try SOCKS5Dialogue(
                to: TunnelTarget(host: host, port: port), at: address.flatMap { NumericAddress($0) },
                through: HTTPClient.Proxy(proxy)))
    }

    private func socks4(
        _ host: String, at address: String? = nil, port: Int = 80, proxy: String = "socks4a://proxy.example"
    ) throws -> DialogueRig {
        DialogueRig(
            try SOCKS4Dialogue(
                to: TunnelTarget(host: host, port: port), at: address.flatMap { NumericAddress($0) },
                through: HTTPClient.Proxy(proxy)))
    }

    private static let name: [UInt8] = [5, 1, 0, 3, 14] + Array("origin.example".utf8) + [1, 187]

    // MARK: - SOCKS 5

    @Test(arguments: [1, 2, .max])
    func `A name is sent to the proxy`(_ piece: Int) throws {
        var rig = try socks5()
        #expect(rig.sent == [5, 1, 0])
        rig.forgetSent()
        try rig.receive([5, 0], atATime: piece)
        #expect(rig.sent == Self.name)
        try rig.receive([5, 0, 0, 1, 10, 0, 0, 1, 4, 56, 22, 3, 1], atATime: piece)
        #expect(rig.dialogue.isOpen)
        #expect(rig.left == [22, 3, 1])
    }

    @Test(
        arguments: [
            ("10.1.2.3", nil, [1, 10, 1, 2, 3]),
            ("::1", nil, [4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
            ("origin.example", "10.1.2.3", [1, 10, 1, 2, 3]),
            ("origin.example", "::2", [4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]),
        ] as [(String, String?, [UInt8])])
    func `An address is sent as such`(_ host: String, _ resolved: String?, _ address: [UInt8]) throws {
        var rig = try socks5(host, port: 258, at: resolved)
        rig.forgetSent()
        try rig.receive([5, 0])
        #expect(rig.sent == [5, 1, 0] + address + [1, 2])
    }

    @Test(
        arguments: [
            [1, 0, 0, 0, 0, 0, 0], [4] + [UInt8](repeating: 9, count: 18), [3, 0, 1, 2], [3, 3, 97, 98, 99, 1, 2],
        ] as [[UInt8]])
    func `A reply with any kind of address opens the tunnel`(_ address: [UInt8]) throws {
        var rig = try socks5()
        try rig.receive([5, 0] + [5, 0, 0] + address + [1, 2, 3], atATime: 1)
        #expect(rig.dialogue.isOpen)
        #expect(rig.left == [1, 2, 3])
    }

    @Test func `User name and password are sent if the proxy wants them`() throws {
        var rig = try socks5(proxy: "socks5h://me:top-secret@proxy.example")
        #expect(rig.sent == [5, 2, 0, 2])
        rig.forgetSent()
        try rig.receive([5, 2])
        #expect(rig.sent == [1, 2] + Array("me".utf8) + [10] + Array("top-secret".utf8))
        rig.forgetSent()
        try rig.receive([1, 0])
        #expect(rig.sent == Self.name)

        var unasked = try socks5(proxy: "socks5h://me:top-secret@proxy.example")
        unasked.forgetSent()
        try unasked.receive([5, 0])
        #expect(unasked.sent == Self.name)
    }

    @Test(
        arguments: [
            ([5, 0xff], "wants a user name"), ([5, 2], "was not offered"), ([5, 1], "was not offered"),
            ([72, 84, 84, 80], "does not speak SOCKS"), ([4, 0], "does not speak SOCKS"), ([0], "does not speak SOCKS"),
            ([5, 0, 5, 1], "general failure"), ([5, 0, 5, 2], "rules"), ([5, 0, 5, 3], "network"),
            ([5, 0, 5, 4], "host"),
            ([5, 0, 5, 5], "refused"), ([5, 0, 5, 6], "time to live"), ([5, 0, 5, 7], "CONNECT"),
            ([5, 0, 5, 8], "type"),
            ([5, 0, 5, 99], "code 99"), ([5, 0, 5, 0, 0, 2, 0, 0], "unknown type 2"),
            ([5, 0, 1], "does not speak SOCKS"),
        ] as [([UInt8], String)])
    func `Refusals and garbage are told in words`(_ answer: [UInt8], _ words: String) throws {
        for piece in [1, Int.max] {
            var rig = try socks5()
            let error = #expect(throws: H2Error.self) { try rig.receive(answer, atATime: piece) }
            #expect(error?.code == .proxyFailed)
            #expect(error?.message.contains(words) == true, "\(error as Any)")
            #expect(error?.message.contains("origin.example:443") == true)
            #expect(error?.remedy.isEmpty == false)
        }
    }

    @Test func `Wrong credentials are told without them`() throws {
        var rig = try socks5(proxy: "socks5://me:top-secret@proxy.example")
        let error = #expect(throws: H2Error.self) { try rig.receive([5, 2, 1, 1]) }
        #expect(error?.message.contains("credentials") == true)
        #expect("\(error as Any)".contains("secret") == false)
    }

    @Test func `A name that SOCKS cannot carry is refused`() throws {
        let long = (0..<8).map { _ in String(repeating: "x", count: 40) }.joined(separator: ".")
        let error = #expect(throws: H2Error.self) { try socks5(long) }
        #expect(error?.code == .proxyFailed)
    }

    // MARK: - SOCKS 4A

    @Test(arguments: [1, .max])
    func `SOCKS 4A sends a name behind an address that cannot be`(_ piece: Int) throws {
        var rig = try socks4("origin.example", port: 443, proxy: "socks4a://me@proxy.example")
        #expect(rig.sent == [4, 1, 1, 187, 0, 0, 0, 1] + Array("me".utf8) + [0] + Array("origin.example".utf8) + [0])
        try rig.receive([0, 90, 0, 0, 0, 0, 0, 0, 22, 3], atATime: piece)
        #expect(rig.dialogue.isOpen)
        #expect(rig.left == [22, 3])
    }

    @Test func `SOCKS 4A sends an IPv4 address, and has no IPv6`() throws {
        #expect(try socks4("10.1.2.3").sent == [4, 1, 0, 80, 10, 1, 2, 3, 0])
        let error = #expect(throws: H2Error.self) { try socks4("::1") }
        #expect(error?.message.contains("IPv6") == true)
    }

    @Test func `SOCKS 4 sends the address of a name`() throws {
        var rig = try socks4("origin.example", at: "10.1.2.3", port: 443, proxy: "socks4://me@proxy.example")
        #expect(rig.sent == [4, 1, 1, 187, 10, 1, 2, 3] + Array("me".utf8) + [0])
        try rig.receive([0, 90, 0, 0, 0, 0, 0, 0])
        #expect(rig.dialogue.isOpen)
    }

    @Test(
        arguments: [
            ([0, 91], "rejected"), ([0, 92], "user name"), ([0, 93], "user name"), ([0, 1], "unknown code"),
            ([5, 0], "does not speak SOCKS"), ([72, 84], "does not speak SOCKS"),
        ] as [([UInt8], String)])
    func `SOCKS 4 refusals are told in words`(_ answer: [UInt8], _ words: String) throws {
        var rig = try socks4("origin.example")
        let error = #expect(throws: H2Error.self) { try rig.receive(answer + [0, 0, 0, 0, 0, 0], atATime: 1) }
        #expect(error?.code == .proxyFailed)
        #expect(error?.message.contains(words) == true, "\(error as Any)")
    }
}
