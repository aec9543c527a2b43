import H2ClientTesting
import H2TestSupport

extension OriginServer {
    /// An origin without TLS, for peers made of sockets.
    static func cleartext(_ change: (inout Configuration) -> Void = { _ in }) throws -> OriginServer {
        var configuration = Configuration()
        configuration.security = .cleartext
        change(&configuration)
        return try start(configuration)
    }
}

extension RawPeer {
    /// The error code of the GOAWAY on which the connection ends.
    var endCode: UInt32? { rest().last { $0.type == goAway }?.number(at: 4) }
}
