package import H2Platform

/// A file's identity, independent of the name, link or mount by which it is reached.
package enum FileIdentity: Hashable, Sendable {
    /// A file that exists.
    case file(device: UInt64, number: UInt64)
    /// A name in a folder, whether or not the file exists. Names are bytes: a composed and a decomposed letter, which are
    /// equal as Swift strings, are different names.
    case entry(device: UInt64, folder: UInt64, name: [UInt8])

    package init(_ status: stat) {
        self = .file(
            device: UInt64(truncatingIfNeeded: status.st_dev), number: UInt64(truncatingIfNeeded: status.st_ino))
    }

    /// - Parameter path: a path whose last component is not a link. If its folder does not exist, the path is compared
    ///   as written.
    package init(entry path: FilePath) {
        let (folder, name) = path.parts
        var status = stat()
        guard stat(folder.c, &status) == 0 else {
            self = .entry(device: 0, folder: 0, name: path.bytes)
            return
        }
        self = .entry(
            device: UInt64(truncatingIfNeeded: status.st_dev), folder: UInt64(truncatingIfNeeded: status.st_ino),
            name: Array(name))
    }

    /// The file at `path`, with links followed; nil if there is none.
    package init?(path: String) { self.init(FilePath(path)) }

    package init?(_ path: FilePath) {
        var status = stat()
        guard stat(path.c, &status) == 0 else { return nil }
        self.init(status)
    }

    /// The file that is open as `descriptor`; nil if it is not open.
    package init?(descriptor: CInt) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return nil }
        self.init(status)
    }
}

/// A path as bytes, which need not be UTF-8.
package struct FilePath: Sendable, Equatable {
    package let bytes: [UInt8]

    package init(_ bytes: [UInt8]) { self.bytes = bytes }

    package init(_ text: String) { bytes = Array(text.utf8) }

    /// The path for system calls.
    package var c: [CChar] { bytes.map { CChar(bitPattern: $0) } + [0] }

    /// The path for messages.
    package var text: String { String(decoding: bytes, as: UTF8.self) }

    /// The folder (`.` if the path names none) and the last component.
    package var parts: (folder: FilePath, name: ArraySlice<UInt8>) {
        guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return (FilePath("."), bytes[...]) }
        return (slash == 0 ? FilePath("/") : FilePath(Array(bytes[..<slash])), bytes[(slash + 1)...])
    }
}

/// The bytes of the symbolic link at `path`; nil if it is not a link.
package func linkTarget(_ path: FilePath) -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = buffer.withUnsafeMutableBytes {
        readlink(path.c, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
    }
    return count > 0 ? Array(buffer.prefix(count)) : nil
}
