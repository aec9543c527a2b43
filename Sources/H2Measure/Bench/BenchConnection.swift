internal import H2Client

/// A connection as a worker sees it, whichever API its requests use.
///
/// Use it only on the loop's thread.
protocol BenchConnection: AnyObject {
    var connection: Connection { get }
    /// Why we ended it with requests under way; nil if we did not.
    var cutOff: CutOff? { get set }
    func closeNow(because why: String)
}

extension BenchConnection {
    var info: ConnectionInfo { connection.info }
    var version: HTTPProtocolVersion { connection.version }
    var figures: DirectFigures { connection.figures }
    var openStreams: Int { connection.openStreamCount }
    var isDraining: Bool { connection.isDraining }
    /// Whether it takes no new requests because it has run out of stream identifiers.
    var isUsedUp: Bool { connection.isUsedUp }
    /// When the last byte arrived, in the loop's time.
    var lastByteAt: UInt64 { connection.lastInputAt }
    /// The server's SETTINGS_MAX_CONCURRENT_STREAMS; nil while it is not known, for no limit, and for HTTP/1.1.
    var announcedStreamLimit: Int? { connection.announcedStreamLimit }
    /// The error code of the server's GOAWAY, if there was one.
    var goAwayCode: H2Error.HTTP2Code? { connection.goAwayCode }
}

/// Why the plan had a connection ended with requests under way.
enum CutOff: Int {
    /// It has reached its maximum lifetime (-T): its requests are not at fault.
    case expired = 1
    /// No byte arrived for too long (-N): its requests have failed.
    case silent = 2
}

extension DirectConnection: BenchConnection {
    /// Whether it ends on purpose.
    var isMeant: Bool {
        get { tag & 1 != 0 }
        set { tag = tag & ~1 | (newValue ? 1 : 0) }
    }

    var cutOff: CutOff? {
        get { CutOff(rawValue: tag >> 1) }
        set { tag = tag & 1 | (newValue?.rawValue ?? 0) << 1 }
    }
}

/// One of the library's actors, with what its slot knows of it.
///
/// Invariant behind `@unchecked Sendable`: only the tasks of its loop use it.
final class AsyncConnection: BenchConnection, @unchecked Sendable {
    private let owned: any OwnedConnection
    let connection: Connection
    /// Requests that began on it.
    var requests = 0
    /// Tasks that send or read a request on it.
    var tasks = 0
    /// Why it was lost, once its slot has left it.
    var lossCause: String?
    /// Whether a response was completed.
    var hasCompletedResponse = false
    var cutOff: CutOff?

    init(_ owned: any OwnedConnection) {
        self.owned = owned
        connection = owned.connection
    }

    /// Whether another request may be under way.
    var hasFreeStream: Bool { !isDraining && tasks < connection.maxConcurrentStreams }
    var knowsStreamLimit: Bool { connection.knowsStreamLimit }
    func onStreamLimit(_ body: @escaping () -> Void) { connection.streamLimitWatcher = body }

    func closeNow(because why: String) { owned.closeNow() }

    nonisolated(nonsending) func close() async { await owned.close() }

    nonisolated(nonsending) func send(_ request: BenchPlan.Request) async throws -> StreamedResponse {
        try await owned.send(request.request, body: request.body.isEmpty ? .empty : .bytes(request.body))
    }
}
