import H2Client
import H2Measure
import H2Platform

/// The checksum that a file must have.
struct Checksum: Sendable, Equatable {
    enum Algorithm: String, Sendable, CaseIterable {
        case md5
        case sha1 = "sha-1"
        case sha256 = "sha-256"
        case sha512 = "sha-512"

        /// - Parameter name: with or without its hyphen, in any case.
        init?(name: some StringProtocol) {
            let name = name.lowercased().filter { $0 != "-" }
            guard let algorithm = Self.allCases.first(where: { $0.rawValue.filter { $0 != "-" } == name }) else {
                return nil
            }
            self = algorithm
        }

        var function: BodyDigest.Algorithm {
            switch self {
            case .md5: .md5
            case .sha1: .sha1
            case .sha256: .sha256
            case .sha512: .sha512
            }
        }
    }

    let algorithm: Algorithm
    let digest: [UInt8]

    init?(_ algorithm: Algorithm, hex: some StringProtocol) {
        guard let digest = Self.bytes(hex.utf8), digest.count == algorithm.function.byteCount else { return nil }
        (self.algorithm, self.digest) = (algorithm, digest)
    }

    /// Parses `sha-256:HEX`, or `sha-256=HEX` as aria2 has it.
    /// - Throws: `BadValue`.
    @Sendable init(text: String) throws {
        guard let end = text.firstIndex(where: { $0 == ":" || $0 == "=" }) else {
            throw BadValue("write ALGORITHM:HEX, such as sha-256: and 64 hexadecimal digits")
        }
        let name = text[..<end]
        guard let algorithm = Algorithm(name: name) else {
            throw BadValue("'\(shown(String(name)))' is not known here; use sha-256, sha-512, sha-1 or md5")
        }
        let hex = text[text.index(after: end)...]
        guard let checksum = Checksum(algorithm, hex: hex) else {
            let count = algorithm.function.byteCount * 2
            throw BadValue(
                "a checksum of \(algorithm.rawValue) has \(count) hexadecimal digits, and \(hex.utf8.count) characters "
                    + "are here")
        }
        self = checksum
    }

    private static func bytes(_ hex: some Collection<UInt8>) -> [UInt8]? {
        func value(_ digit: UInt8) -> UInt8? {
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
            default: nil
            }
        }
        let digits = Array(hex)
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = value(digits[index]), let low = value(digits[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    /// `sha-256 0a1b…`, for messages.
    func text(_ digest: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        let hex = digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        return "\(algorithm.rawValue) \(String(decoding: hex, as: UTF8.self))"
    }

    // MARK: - Files

    /// Compares a file with the checksum. Blocks.
    /// - Throws: `Failure` (`checksumMismatch`; `readFailed` if it cannot be read).
    func verify(fileAt path: FilePath, _ name: String) throws {
        let descriptor = open(path.c, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.unreadable(name, errno) }
        defer { close(descriptor) }
        try verify(descriptor, name)
    }

    /// Compares the file that is open as `descriptor`, from its beginning to its end. Blocks.
    /// - Throws: `Failure` (`checksumMismatch`; `readFailed` if it cannot be read).
    func verify(_ descriptor: CInt, _ name: String) throws {
        let found = BodyDigest(algorithm.function)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
        defer { buffer.deallocate() }
        var offset: off_t = 0
        while true {
            let count = pread(descriptor, buffer.baseAddress, buffer.count, offset)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Self.unreadable(name, errno) }
            if count == 0 { break }
            found.add(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            offset += off_t(count)
        }
        guard let result = found.finish() else {
            throw Failure(
                .checksumMismatch,
                "OpenSSL computes no \(algorithm.rawValue) here, so \(name) cannot be checked; use sha-256")
        }
        guard result == digest else {
            throw Failure(
                .checksumMismatch,
                "the \(counted(Int(offset), "byte")) of \(name) have the checksum \(text(result)), and should have "
                    + text(digest))
        }
    }

    private static func unreadable(_ name: String, _ code: CInt) -> Failure {
        Failure(.readFailed, "cannot read \(name) to check it: \(errnoText(code))")
    }
}

/// The checksums of files by their names, as sha256sum, sha512sum, sha1sum and md5sum write them.
struct ChecksumFile: Sendable, Equatable {
    /// As it was named.
    let path: String
    private(set) var checksums: [String: Checksum] = [:]

    /// - Throws: `Failure` (`readFailed`) if it cannot be read, or a line is not a checksum and a name.
    init(path: String) throws {
        self.path = path
        for (index, line) in try readText(path).split(separator: 0x0a, omittingEmptySubsequences: false).enumerated() {
            var line = line
            if line.last == 0x0d { line.removeLast() }
            guard !URLList.trimmed(line).isEmpty, line.first != UInt8(ascii: "#") else { continue }
            guard let (name, checksum) = String(validating: line, as: UTF8.self).flatMap(Self.entry) else {
                throw Failure(
                    .readFailed,
                    "line \(index + 1) of \(printable(shownPath)) is not a checksum and a name; make such a file with "
                        + "sha256sum")
            }
            // A file may have several, the longest of which counts.
            if let known = checksums[name], known.digest.count > checksum.digest.count { continue }
            if let known = checksums[name], known.digest.count == checksum.digest.count, known != checksum {
                throw Failure(
                    .readFailed, "line \(index + 1) of \(printable(shownPath)): \(printable(name)) has two checksums")
            }
            checksums[name] = checksum
        }
        guard !checksums.isEmpty else {
            throw Failure(.readFailed, "\(printable(shownPath)) (--checksum-file) has no checksum")
        }
    }

    private var shownPath: String { path == "-" ? "stdin" : path }

    /// The checksum for an output, and its name here.
    /// - Parameter names: the output's names, the most exact one first.
    func checksum(forAnyOf names: [String]) -> (name: String, checksum: Checksum)? {
        for name in names {
            if let checksum = checksums[Self.plain(name)] { return (Self.plain(name), checksum) }
        }
        return nil
    }

    /// `HEX  NAME`, `HEX *NAME` or `SHA256 (NAME) = HEX`. A backslash before it means that the name has `\n` and `\\`.
    private static func entry(_ line: String) -> (name: String, checksum: Checksum)? {
        var text = line[...]
        let isEscaped = text.utf8.first == UInt8(ascii: "\\")
        if isEscaped { text.removeFirst() }
        let (name, checksum): (Substring, Checksum?)
        if let open = text.utf8.firstIndex(of: UInt8(ascii: "(")), text[..<open].hasSuffix(" "),
            let close = text.utf8.lastIndex(of: UInt8(ascii: ")")), open < close,
            text[close...].hasPrefix(") = ")
        {
            name = text[text.utf8.index(after: open)..<close]
            let hex = text[text.utf8.index(close, offsetBy: 4)...]
            checksum = Checksum.Algorithm(name: text[..<open].dropLast()).flatMap { Checksum($0, hex: hex) }
        } else {
            guard let space = text.utf8.firstIndex(of: 0x20) else { return nil }
            let mark = text.utf8.index(after: space)
            guard mark < text.endIndex, " *".utf8.contains(text.utf8[mark]) else { return nil }
            name = text[text.utf8.index(after: mark)...]
            let hex = text[..<space]
            checksum =
                Checksum.Algorithm.allCases.first { $0.function.byteCount * 2 == hex.utf8.count }
                .flatMap { Checksum($0, hex: hex) }
        }
        guard let checksum, !name.isEmpty else { return nil }
        return (plain(isEscaped ? unescaped(name) : String(name)), checksum)
    }

    private static func unescaped(_ name: Substring) -> String {
        var out: [UInt8] = []
        var isAfterBackslash = false
        for byte in name.utf8 {
            if isAfterBackslash {
                out.append(byte == UInt8(ascii: "n") ? 0x0a : byte == UInt8(ascii: "r") ? 0x0d : byte)
                isAfterBackslash = false
            } else if byte == UInt8(ascii: "\\") {
                isAfterBackslash = true
            } else {
                out.append(byte)
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    private static func plain(_ name: String) -> String { name.hasPrefix("./") ? String(name.dropFirst(2)) : name }
}
