import H2Platform

/// The folder of files that each real server serves, made once in a test process.
public struct StaticSite: Sendable {
    /// One file of the site.
    public struct File: Sendable, CustomStringConvertible {
        public let name: String
        public let size: Int
        public let sha256: String
        public var description: String { name }
    }

    public let folder: String
    /// `abc`.
    public let small: File
    public let oneKiB: File
    public let hundredKiB: File
    public let oneMiB: File
    public let hundredMiB: File
    /// 1 MB of lines that become much shorter when compressed.
    public let text: File
    /// 10 MiB to send; not in the folder that is served.
    public let upload: File
    public let uploadPath: String

    /// The site of this process.
    /// - Throws: `ProcessFailure` where a tool that makes it is missing.
    public static var shared: StaticSite { get throws { try made.get() } }

    private static let made = Result { try StaticSite() }

    private init() throws {
        let folder = try TemporaryDirectory.shared.newFolder("site")
        self.folder = folder
        // A cipher's output does not compress and repeats nowhere, so that a lost, doubled or moved piece shows.
        func make(_ path: String, _ size: Int) throws -> File {
            try Program.run(
                "sh",
                ["-c", "head -c \(size) /dev/zero | openssl enc -aes-128-ctr -K 0123 -iv 4567 >'\(path)' 2>/dev/null"])
            chmod(path, 0o644)
            return File(
                name: String(path.split(separator: "/").last!), size: size,
                sha256: try H2TestSupport.sha256(ofFile: path))
        }
        try writeText("abc", to: "\(folder)/small.txt")
        small = File(name: "small.txt", size: 3, sha256: try H2TestSupport.sha256(ofFile: "\(folder)/small.txt"))
        oneKiB = try make("\(folder)/1k.bin", 1 << 10)
        hundredKiB = try make("\(folder)/100k.bin", 100 << 10)
        oneMiB = try make("\(folder)/1m.bin", 1 << 20)
        hundredMiB = try make("\(folder)/100m.bin", 100 << 20)
        let lines = (0..<45_000).map { "line \($0) of a long text\n" }.joined()
        try writeText(lines, to: "\(folder)/text.txt")
        text = File(
            name: "text.txt", size: lines.utf8.count,
            sha256: try H2TestSupport.sha256(ofFile: "\(folder)/text.txt"))
        uploadPath = try TemporaryDirectory.shared.newPath("upload")
        upload = try make(uploadPath, 10 << 20)
    }
}
