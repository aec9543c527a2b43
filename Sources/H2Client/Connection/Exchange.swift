import HTTPTypes
final class Exchange: Sendable {
    struct Head { var fields: HTTPFields { fatalError("stub") }; func firstValue(of: String) -> String? { fatalError("stub") } }
    enum Destination { case descriptor(CInt), nowhere }
    var head: Head { fatalError("stub") }
    var connectionID: ConnectionID { fatalError("stub") }
    var id: Int32 { fatalError("stub") }
    var isConnectionReused: Bool { fatalError("stub") }
    nonisolated(nonsending) func metrics() async -> ResponseMetrics { fatalError("stub") }
    nonisolated(nonsending) func trailerFields() async -> HTTPFields? { fatalError("stub") }
    nonisolated(nonsending) func writeBody(_ chunk: [UInt8]) async throws { fatalError("stub") }
    nonisolated(nonsending) func readBody() async throws -> [UInt8]? { fatalError("stub") }
    nonisolated(nonsending) func collectBody(upTo limit: Int) async throws -> [UInt8] { fatalError("stub") }
    nonisolated(nonsending) func drainBody(to: Destination) async throws -> Int { fatalError("stub") }
    func abandonBody() { }
}
