extension RequestTarget {
    /// The value of an `authorization` field with ``userInfo`` as Basic credentials (RFC 7617); nil if there is none.
    public var basicCredentials: String? { userInfo.map(credentials) }
}

private func credentials(_ userInfo: String) -> String {
    var bytes: [UInt8] = []
    var rest = Array(userInfo.utf8)[...]
    while let byte = rest.popFirst() {
        if byte == UInt8(ascii: "%"), rest.count >= 2, let high = TokenBytes.hexDigit(rest[rest.startIndex]),
            let low = TokenBytes.hexDigit(rest[rest.startIndex + 1])
        {
            bytes.append(high << 4 | low)
            rest = rest.dropFirst(2)
        } else {
            bytes.append(byte)
        }
    }
    if !bytes.contains(UInt8(ascii: ":")) { bytes.append(UInt8(ascii: ":")) }
    return "Basic \(Base64.encode(bytes))"
}
