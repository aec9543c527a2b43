extension RequestTarget {
    /// The value of an `authorization` field with ``userInfo`` as Basic credentials (RFC 7617); nil if there is none.
    public var basicCredentials: String? { userInfo.map(credentials) }
}

private func credentials(_ userInfo: String) -> String {
    var bytes: [UInt8] = []
    var rest = Array(userInfo.utf8)[...]
    while let byte = rest.popFirst() {
        if byte == UInt8(ascii: "%"), rest.count >= 2, let high = HostName.hexDigit(rest[rest.startIndex]),
            let low = HostName.hexDigit(rest[rest.startIndex + 1])
        {
            bytes.append(high << 4 | low)
            rest = rest.dropFirst(2)
        } else {
            bytes.append(byte)
        }
    }
    if !bytes.contains(UInt8(ascii: ":")) { bytes.append(UInt8(ascii: ":")) }
    return "Basic \(base64(bytes))"
}

private func base64(_ bytes: [UInt8]) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var out: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
        let group = bytes[start..<min(start + 3, bytes.count)]
        let value = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
        for place in 0..<4 {
            out.append(place <= group.count ? alphabet[value >> (18 - 6 * place) & 63] : UInt8(ascii: "="))
        }
    }
    return String(decoding: out, as: UTF8.self)
}
