import CNghttp2

/// The public suffix list: domains such as `com` and `co.uk`, below which hosts belong to different owners
/// (<https://publicsuffix.org>).
enum PublicSuffix {
    /// Whether cookies for all hosts below a domain must be refused.
    ///
    /// libpsl and its list are loaded at the first call. Without them (not installed, or without the package trait
    /// `PublicSuffixes`), only single-label domains are public suffixes.
    /// - Parameter domain: in lower case and in ASCII form, without dots at its ends.
    static func contains(_ domain: String) -> Bool {
        guard domain.utf8.contains(UInt8(ascii: ".")) else { return true }
        #if PublicSuffixes
            return ch2_is_public_suffix(domain)
        #else
            return false
        #endif
    }
}
