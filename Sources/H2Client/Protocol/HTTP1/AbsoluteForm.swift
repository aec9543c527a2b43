/// Has requests written for a proxy that forwards them: with the whole URL (RFC 9112 section 3.2.2).
final class AbsoluteForm: Sendable {
    /// The value of `proxy-authorization` for requests that have none of their own.
    let authorization: String?

    init(authorization: String?) { self.authorization = authorization }
}
