import CNghttp2
import H2Platform

/// The certificate authorities named by a configuration or the environment.
///
/// All but the additional ones replace the system's trust, and each must load: falling back to other trust would fail open.
struct TrustSources {
    private(set) var files: [String] = []
    private(set) var folders: [String] = []
    /// The source of the names, for errors: empty, or " that SSL_CERT_FILE names".
    private(set) var origin = ""

    /// Whether nothing is named in place of the system's trust, which is then used.
    private(set) var isSystem = false
    /// Roots, in place of or beside the system's.
    let values: [ConnectionConfiguration.TLS.Source]

    /// - Parameter environment: returns the value of a variable. For tests.
    init(
        _ configuration: ConnectionConfiguration.TLS,
        environment: (String) -> String? = { getenv($0).map { String(cString: $0) } }
    ) {
        values = configuration.roots + configuration.additionalRoots
        if configuration.caFile != nil || configuration.caDirectory != nil || !configuration.roots.isEmpty {
            files = [configuration.caFile].compactMap { $0 }
            folders = [configuration.caDirectory].compactMap { $0 }
            return
        }
        files = Self.list(environment("SSL_CERT_FILE"))
        folders = Self.list(environment("SSL_CERT_DIR"))
        origin = [files.isEmpty ? nil : "SSL_CERT_FILE", folders.isEmpty ? nil : "SSL_CERT_DIR"].compactMap { $0 }
            .joined(separator: " or ")
        if !origin.isEmpty { origin = " (named by \(origin))" }
        isSystem = files.isEmpty && folders.isEmpty
    }

    /// The paths of an environment variable, separated by colons. If the whole value exists as a path, it is not split.
    private static func list(_ value: String?) -> [String] {
        guard let value, !value.isEmpty else { return [] }
        if access(value, F_OK) == 0 { return [value] }
        let paths = value.split(separator: ":").map(String.init)
        // Separators alone name nothing that could be loaded, and must not select the system's trust.
        return paths.isEmpty ? [value] : paths
    }

    /// The names in a folder; nil with errno if it cannot be read.
    static func names(in folder: String) -> [String]? {
        guard let opened = opendir(folder) else { return nil }
        defer { closedir(opened) }
        var names: [String] = []
        while let entry = readdir(opened) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    /// Whether a name has the form of the links that `openssl rehash` creates: `1d3472b9.0`.
    static func isHash(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        return bytes.count > 9 && bytes[8] == UInt8(ascii: ".")
            && bytes[..<8].allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
            && bytes[9...].allSatisfy { (0x30...0x39).contains($0) }
    }
}
