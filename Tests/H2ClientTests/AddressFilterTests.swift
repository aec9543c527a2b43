import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn) struct AddressFilterTests {
    @Test(arguments: [
        "8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.1", "192.0.3.1",
        "192.167.1.1",
        "198.17.0.1", "198.20.0.1", "223.255.255.255", "2606:4700::1111", "2a00::1", "2001:4860::8888",
        "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1",
    ])
    func `Addresses of the public internet are global`(_ text: String) throws {
        let address = try #require(AddressFilter.Address(text))
        #expect(address.isGlobal)
        #expect(AddressFilter.publicInternet.allows(address))
        #expect(!address.isLoopback && !address.isPrivate && !address.isLinkLocal)
    }

    @Test(arguments: [
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "127.0.0.1", "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.168.0.1", "198.18.0.1", "198.51.100.7", "203.0.113.7",
        "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "febf::1", "fc00::1",
        "fdff::1",
        "ff02::1", "2001:db8::1", "2001::1", "100::1", "fec0::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:c0a8:1::1", "::127.0.0.1",
        "::ffff:0:127.0.0.1", "64:ff9b:1::1", "5f00::1", "3fff::1", "fe80::1%lo",
    ])
    func `Others are not`(_ text: String) throws {
        let address = try #require(AddressFilter.Address(text))
        #expect(!address.isGlobal)
        #expect(!AddressFilter.publicInternet.allows(address))
    }

    @Test func `Kinds of addresses are told apart`() throws {
        #expect(try #require(AddressFilter.Address("127.3.2.1")).isLoopback)
        #expect(try #require(AddressFilter.Address("::1")).isLoopback)
        #expect(try #require(AddressFilter.Address("172.20.0.1")).isPrivate)
        #expect(try #require(AddressFilter.Address("fd12::1")).isPrivate)
        #expect(try #require(AddressFilter.Address("169.254.0.1")).isLinkLocal)
        #expect(try #require(AddressFilter.Address("fe80::1")).isLinkLocal)
    }

    @Test func `An address is its bytes, and its text the usual one`() throws {
        #expect(AddressFilter.Address("1.2.3.4")?.bytes == [1, 2, 3, 4])
        #expect(AddressFilter.Address(bytes: [1, 2, 3, 4])?.description == "1.2.3.4")
        #expect(AddressFilter.Address("0:0::1")?.description == "::1")
        #expect(AddressFilter.Address(bytes: [1, 2, 3]) == nil)
        for text in ["", "localhost", "1.2.3", "1.2.3.4.5", "0x7f.1", "127.1", "[::1]", "1.2.3.4 "] {
            #expect(AddressFilter.Address(text) == nil, "\(text)")
        }
    }
}
