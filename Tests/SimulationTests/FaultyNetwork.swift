import H2TestSupport
import HTTPTypes

@testable import H2Client

/// The servers of a simulated client, the ways to them, and the log of what they were asked.
///
/// Invariant behind `@unchecked Sendable`: all of it runs on its world's loop, which is one thread.
final class FaultyNetwork: SimulatedNetwork, @unchecked Sendable {
    /// One request as a server saw it.
    final class Arrival {
        enum Fate: Equatable {
            case underWay
            /// The server has said that it did not process it.
            case unprocessed
            case answered(Int)
            /// RST_STREAM, with a code that does not say that.
            case reset
        }

        let id: String
        let endpoint: Endpoint
        let order: Int
        var fate = Fate.underWay
        var hasAnswerBegun: Bool { if case .answered = fate { true } else { false } }
        /// Nothing is left to do for it.
        var isOver = false

        init(_ id: String, _ endpoint: Endpoint, _ order: Int) {
            (self.id, self.endpoint, self.order) = (id, endpoint, order)
        }
    }

    let world: SimulatedWorld
    let sites: [SitePlan]
    let plans: [ClientPlan]
    let isCalm: Bool
    /// From then on nothing goes wrong.
    let calmAt: UInt64
    var random: SeededGenerator
    private let shapes: SimulatedWire.Shape
    private(set) var endpoints: [Endpoint] = []
    private(set) var arrivals: [String: [Arrival]] = [:]
    private var arrivalCount = 0
    /// Requests that were not sent on lent connections, by site.
    private(set) var ordinaryArrivals: [Int: Int] = [:]
    /// Those that a server is at.
    var open: [Arrival] = []
    /// Dials that are under way, by origin.
    private var dials: [Int: Int] = [:]
    private var lastDial = 0
    private(set) var failedDials = 0
    var problems: [String] = []
    var onArrival: (Arrival) -> Void = { _ in }

    init(
        _ world: SimulatedWorld, sites: [SitePlan], plans: [ClientPlan], isCalm: Bool, calmAt: UInt64,
        random: SeededGenerator, shape: SimulatedWire.Shape
    ) {
        (self.world, self.sites, self.plans, self.isCalm, self.calmAt) = (world, sites, plans, isCalm, calmAt)
        (self.random, shapes) = (random, shape)
    }

    var isFaulty: Bool { !isCalm && world.now < calmAt }

    var generator: any RandomNumberGenerator { SeededGenerator(seed: random.next()) }

    // MARK: - Dialling

    func connect(
        to origin: Origin, offering offer: ProtocolOffer,
        completion: @escaping (Result<Dialer.Connected, H2Error>) -> Void
    ) -> () -> Void {
        let site = sites.firstIndex { $0.origin == origin }!
        lastDial += 1
        let dial = lastDial
        dials[dial] = site
        var time = UInt64(random.int(0...5_000_000))
        if isFaulty, random.oneIn(6) { time = UInt64(random.int(0...300_000_000)) }
        world.after(time) { [self] in
            guard dials.removeValue(forKey: dial) != nil else { return }
            completion(arrive(site, offer))
        }
        return { [self] in dials[dial] = nil }
    }

    private func arrive(_ site: Int, _ offer: ProtocolOffer) -> Result<Dialer.Connected, H2Error> {
        let plan = sites[site]
        if isFaulty, random.oneIn(6) {
            failedDials += 1
            return .failure(
                H2Error(
                    .connectFailed, scope: .connection, initiator: .remote, cause: .errno(111),
                    message: "cannot connect to \(plan.origin): Connection refused", isRetryable: true))
        }
        var protocols = plan.protocols
        if plan.isFickle, isFaulty, random.oneIn(3) { protocols = protocols.reversed() }
        let choice: ProtocolChoice =
            offer.protocols.isEmpty
            ? .cleartext : protocols.first { offer.protocols.contains($0) }.map { .chosen($0) } ?? .nothing
        let speaksHTTP2 =
            switch (offer, choice) {
            case (.priorKnowledge, _), (_, .chosen("h2")): true
            default: false
            }
        let wire = SimulatedWire(world, shape: shapes, seed: random.next())
        endpoints.append(Endpoint(self, site, wire, speaksHTTP2: speaksHTTP2, number: endpoints.count))
        return .success(
            Dialer.Connected(
                wire: wire, info: .simulated(plan.origin), remoteAddress: SocketAddress(bytes: [], family: 0),
                applicationProtocol: choice))
    }

    // MARK: - The log

    func arrived(_ id: String, on endpoint: Endpoint) -> (Arrival, ClientPlan, ClientPlan.Misdeed?)? {
        guard let index = id.split(separator: ".").first.flatMap({ Int($0) }), plans.indices.contains(index) else {
            problems.append("a server was asked for '\(id)'")
            return nil
        }
        arrivalCount += 1
        let arrival = Arrival(id, endpoint, arrivalCount)
        let before = arrivals[id]?.count ?? 0
        arrivals[id, default: []].append(arrival)
        open.append(arrival)
        if plans[index].lent == nil { ordinaryArrivals[endpoint.site, default: 0] += 1 }
        onArrival(arrival)
        let plan = plans[index]
        if plan.origin != endpoint.site { problems.append("request \(id) came to site \(endpoint.site)") }
        let misdeed = before < plan.misdeeds.count && isFaulty ? plan.misdeeds[before] : nil
        return (arrival, plan, misdeed)
    }

    func over(_ arrival: Arrival) {
        guard !arrival.isOver else { return }
        arrival.isOver = true
        open.removeAll { $0 === arrival }
    }

    /// Connections that the client has, those in the making included.
    var livingConnections: Int { dials.count + endpoints.reduce(0) { $0 + ($1.wire.isClosed ? 0 : 1) } }

    func livingHTTP1(_ site: Int) -> Int {
        endpoints.reduce(0) {
            $0 + ($1.site == site && $1.http1 != nil && !$1.wire.isClosed && $1.requests > 0 ? 1 : 0)
        }
    }

    var isEverythingClosed: Bool { livingConnections == 0 }

    var complaints: [String] {
        endpoints.flatMap { endpoint in
            ((endpoint.http2?.complaints ?? []) + (endpoint.http1?.complaints ?? []))
                // Limits that a client does not know yet meet requests that are under way.
                .filter { !$0.hasSuffix("Stream was refused") && !$0.hasSuffix("Stream was closed or does not exist") }
                .map { "connection \(endpoint.number): \($0)" }
        }
    }
}
