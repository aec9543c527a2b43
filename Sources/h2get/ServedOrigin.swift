/// The origin that `h2get serve` runs.
final class ServedOrigin: Sendable {
    static let routes = ""
    let port: Int = 0
    let url: String = ""
    let fingerprint: String? = nil
    let caPEM: String? = nil

    init(_ command: ServeCommand) throws { throw Failure.usage("not merged yet") }

    func stop() async {}
}
