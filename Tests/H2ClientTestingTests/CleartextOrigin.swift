import H2ClientTesting

extension OriginServer {
    /// An origin without TLS, for peers made of sockets.
    static func cleartext(_ change: (inout Configuration) -> Void = { _ in }) throws -> OriginServer {
        var configuration = Configuration()
        configuration.security = .cleartext
        change(&configuration)
        return try start(configuration)
    }
}
