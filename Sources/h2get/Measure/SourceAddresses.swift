import H2Client

/// The value of `--source`: addresses of this machine.
struct SourceAddresses: Sendable, Equatable {
    static let maximumCount = 65_536
    private(set) var addresses: [String] = []

    /// Parses `127.0.0.2`, `127.0.0.2,127.0.0.7`, `127.0.0.2-127.0.1.9` or `::1`.
    @Sendable init(text: String) throws {
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
            if ends.count == 1, Resolver.isAddress(ends[0]) {
                addresses.append(ends[0])
            } else if ends.count == 2, let first = Self.number(ends[0]), let last = Self.number(ends[1]), first <= last
            {
                guard last - first < UInt32(Self.maximumCount) else {
                    throw BadValue("use \(Self.maximumCount) addresses at most")
                }
                addresses += (first...last).map(Self.text)
            } else {
                throw BadValue("write addresses such as 127.0.0.2 or ::1, or a range of IPv4, with commas between")
            }
        }
        guard addresses.count <= Self.maximumCount else { throw BadValue("use \(Self.maximumCount) addresses at most") }
    }

    private static func number(_ text: String) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
        guard parts.count == 4, Resolver.isAddress(text) else { return nil }
        var number: UInt32 = 0
        for part in parts {
            guard let part else { return nil }
            number = number << 8 | UInt32(part)
        }
        return number
    }

    private static func text(_ number: UInt32) -> String {
        stride(from: 24, through: 0, by: -8).map { "\(number >> UInt32($0) & 255)" }.joined(separator: ".")
    }
}
