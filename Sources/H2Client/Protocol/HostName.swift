import CNghttp2
import H2Platform

/// The hosts of URLs and origins: names, IPv4 and IPv6 addresses (RFC 3986 section 3.2.2).
enum HostName {
    /// Why a host cannot be used, and how to correct it. Neither quotes the host, which may contain a misplaced password.
    struct Problem: Error {
        var why: String
        var remedy: String

        init(_ why: String, _ remedy: String = "write it as https://host[:port]/path") {
            self.why = why
            self.remedy = remedy
        }
    }

    /// Normalises a host to the form used by origins: lowercase, names in ASCII form, IPv6 addresses without brackets and with
    /// their zone after a `%`.
    static func normalized(_ host: [UInt8]) throws(Problem) -> String {
        guard !host.isEmpty else { throw Problem("the URL has no host") }
        guard host.allSatisfy({ $0 < 0x80 }) else { return try normalized(ascii(host)) }
        if host.contains(UInt8(ascii: ":")) { return try address(host) }
        guard host.allSatisfy(isNameByte) else { throw Problem("the host has a character that no host has") }
        return String(decoding: host.map(lowerCase), as: UTF8.self)
    }

    /// Undoes the percent-encoding of a name in a URL.
    static func decoded(_ host: ArraySlice<UInt8>) throws(Problem) -> [UInt8] {
        guard host.contains(UInt8(ascii: "%")) else { return Array(host) }
        guard let bytes = TokenBytes.percentDecoded(host) else {
            throw Problem("a '%' in the host without two hexadecimal digits", "write '%' as %25")
        }
        return bytes
    }

    /// Converts the text between the brackets of a URL to the input of `normalized`. RFC 6874 puts a zone after `%25`; people
    /// write a bare `%`.
    static func bracketed(_ content: ArraySlice<UInt8>) throws(Problem) -> [UInt8] {
        guard let percent = content.firstIndex(of: UInt8(ascii: "%")) else {
            guard content.contains(UInt8(ascii: ":")) else { throw Self.noAddress }
            return Array(content)
        }
        var zone = content[(percent + 1)...]
        if zone.starts(with: "25".utf8) { zone = zone.dropFirst(2) }
        return try Array(content[...percent]) + decoded(zone)
    }

    private static let noAddress = Problem("no IPv6 address between '[' and ']'", "write [::1]:port")

    /// An IPv6 address with an optional zone (RFC 4007 section 11.2). Interface names are case-sensitive.
    private static func address(_ host: [UInt8]) throws(Problem) -> String {
        let percent = host.firstIndex(of: UInt8(ascii: "%")) ?? host.endIndex
        let address = String(decoding: host[..<percent].map(lowerCase), as: UTF8.self)
        var storage = in6_addr()
        guard !host.contains(0), inet_pton(AF_INET6, address, &storage) == 1 else { throw noAddress }
        guard percent < host.endIndex else { return address }
        let zone = host[(percent + 1)...]
        guard !zone.isEmpty, zone.allSatisfy(isNameByte) else {
            throw Problem("a bad zone of an IPv6 address", "write it as [fe80::1%25eth0]")
        }
        return address + "%" + String(decoding: zone, as: UTF8.self)
    }

    /// An internationalised name's ASCII form (UTS 46).
    private static func ascii(_ name: [UInt8]) throws(Problem) -> [UInt8] {
        let remedy = "write the name in its ASCII form (xn--...)"
        // C strings end at NUL.
        guard !name.contains(0), String(validating: name, as: UTF8.self) != nil else {
            throw Problem("the host is not UTF-8", remedy)
        }
        var result = [CChar](repeating: 0, count: 1_024)
        var why: UnsafePointer<CChar>?
        let input = name.map { CChar(bitPattern: $0) } + [0]
        guard ch2_idn_to_ascii(input, &result, result.count, &why) else {
            guard let why else {
                throw Problem("the host is not ASCII, and libidn2, which converts such names, is not installed", remedy)
            }
            throw Problem("the host has no ASCII form: \(String(cString: why))", remedy)
        }
        let bytes = result.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        // The mapped characters (of a full-width slash, say) must be allowed in a host, and disallowed input must not pass
        // through.
        guard !bytes.isEmpty, bytes.allSatisfy(isNameByte) else {
            throw Problem("the host has a character that no host has")
        }
        return bytes
    }

    /// Letters, digits, and the other characters of names and addresses.
    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            true
        default: false
        }
    }

    private static func lowerCase(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }
}
