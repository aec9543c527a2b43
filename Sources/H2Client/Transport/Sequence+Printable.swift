extension Sequence<UInt8> {
    /// The peer's bytes as text that is safe to print.
    var printable: String {
        var text = ""
        for byte in self {
            if (0x20..<0x7f).contains(byte) {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                text += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return text
    }
}
