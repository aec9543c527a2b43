internal import H2Client
import HTTPTypes

/// How far this machine's clock is ahead of a server's, by the Date fields of its responses (RFC 9110 section 6.6.1).
///
/// A Date has whole seconds. But each response says that the server's clock was within a second of time while it was under way,
/// and responses around the change of a second leave little of that: about 30 requests in 3 s, until a hundredth of a second
/// is left, or the round trip.
package struct ServerClock: Sendable, Equatable {
    /// Bounds of the offset, in seconds.
    private(set) var least = -Double.infinity
    private(set) var most = Double.infinity
    /// The shortest round trip.
    private(set) var roundTrip = Double.infinity
    /// How often responses contradicted each other.
    private(set) var contradictions = 0

    /// Seconds between the bounds.
    var width: Double { most - least }
    /// Whether asking again would help.
    private var isPrecise: Bool { width < max(0.02, 2 * roundTrip) }

    init() {}

    /// A response: this machine's time when its request was sent and when it came, and the server's in whole seconds.
    mutating func add(sentAt: Double, receivedAt: Double, date: Double) {
        roundTrip = min(roundTrip, receivedAt - sentAt)
        let (low, high) = (sentAt - date - 1, receivedAt - date)
        guard low < most, high > least else {
            // A clock that was set meanwhile, or several servers: this is what the last one says.
            (least, most) = (low, high)
            contradictions += 1
            return
        }
        (least, most) = (max(least, low), min(most, high))
    }

    package var notes: HistogramLogNotes.Clock {
        HistogramLogNotes.Clock(offset: (least + most) / 2, uncertainty: width / 2)
    }

    /// Asks the server of a plan for the time, with HEAD requests for its first URL.
    /// - Throws: `H2Error`, also if the server sends no Date (`protocolViolation`); `CancellationError`.
    package static func measure(_ plan: BenchPlan) async throws -> ServerClock {
        var configuration = HTTPClient.Configuration()
        configuration.connection = plan.configuration
        switch plan.protocols {
        case .tls(let names): configuration.versions = names == ["http/1.1"] ? .http1Only : .automatic
        case .cleartextHTTP2: configuration.versions = .http2Only
        case .cleartextHTTP1: configuration.versions = .http1Only
        }
        let client = HTTPClient(configuration: configuration)
        var request = plan.requests[0].request
        request.method = .head
        var clock = ServerClock()
        // The first one also opens the connection.
        for _ in 0..<2 { try await clock.ask(client, request) }
        for _ in 0..<3 where !clock.isPrecise {
            // The times at which the server's second may change, in order.
            let (first, step) = (clock.least, clock.width / 11)
            for index in 1...10 {
                let moment = first + step * Double(index)
                let now = ProcessClocks.wallSeconds
                let next = moment + (now - moment).rounded(.up)
                // The next change of a second lies ahead of all ten, or the later ones would come in the second after it.
                try await Task.sleep(for: .seconds(max(next - now - clock.roundTrip / 2, 0)))
                try await clock.ask(client, request)
            }
        }
        guard clock.contradictions <= 1, clock.width < 0.9 else {
            throw H2Error(
                .protocolViolation, message: "the dates of the server's responses contradict each other",
                remedy: "they may come from a cache or from several servers: leave out --align-clock")
        }
        return clock
    }

    private mutating func ask(_ client: HTTPClient, _ request: HTTPRequest) async throws {
        let sentAt = ProcessClocks.wallSeconds
        let response = try await client.collect(request, upTo: 0)
        let receivedAt = ProcessClocks.wallSeconds
        guard let text = response.headerFields[.date], let date = HTTPDate.seconds(text, now: Int(receivedAt)) else {
            throw H2Error(
                .protocolViolation, message: "the server's responses have no date", remedy: "leave out --align-clock")
        }
        add(sentAt: sentAt, receivedAt: receivedAt, date: Double(date))
    }
}
