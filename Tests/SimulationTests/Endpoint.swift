import H2TestSupport
import HTTPTypes

@testable import H2Client

/// The server's end of one connection, and what goes wrong with it.
final class Endpoint {
    private unowned let network: FaultyNetwork
    private var world: SimulatedWorld { network.world }
    let site: Int
    let number: Int
    let wire: SimulatedWire
    let http2: SimulatedServer?
    let http1: SimulatedHTTP1Server?
    /// A response's head was sent, or GOAWAY said that there will be one.
    private(set) var hasServed = false
    /// The server has ended the connection, or something between has.
    private(set) var hasEnded = false
    /// What was under way may be lost, in both directions.
    private(set) var isBroken = false
    /// GOAWAY said HTTP_1_1_REQUIRED: what is idempotent may be sent again over that.
    private(set) var requiresHTTP1 = false
    private(set) var requests = 0
    private var isGoingAway = false
    private var lastAnswered: Int32 = 0
    private var streams: [Int32: FaultyNetwork.Arrival] = [:]
    private var idleSince = 0

    init(_ network: FaultyNetwork, _ site: Int, _ wire: SimulatedWire, speaksHTTP2: Bool, number: Int) {
        (self.network, self.site, self.wire, self.number) = (network, site, wire, number)
        if speaksHTTP2 {
            var settings = SimulatedServer.Settings()
            settings.maxConcurrentStreams = network.sites[site].maxConcurrentStreams
            http2 = SimulatedServer(network.world, wire, settings: settings, seed: network.random.next())
            http1 = nil
        } else {
            http1 = SimulatedHTTP1Server(wire)
            http2 = nil
        }
        http2?.onRequest = { [unowned self] in began($0) }
        http2?.onRequestEnd = { [unowned self] in ended($0) }
        http2?.onAnswerEnd = { [unowned self] stream in
            if let arrival = streams[stream.id] { network.over(arrival) }
        }
        http1?.onRequest = { [unowned self] in began($0) }
        http1?.onRequestEnd = { [unowned self] in ended($0) }
        http1?.onAnswerEnd = { [unowned self] _ in answered() }
        let close = wire.onClose
        wire.onClose = { [unowned self] in
            close()
            dropEverything()
        }
        if network.isFaulty { planCalamities() }
    }

    // MARK: - Calamities

    private func planCalamities() {
        let network = network
        func later() -> UInt64 { UInt64(network.random.int(0...150_000_000)) }
        if network.random.oneIn(4) {
            let from = later()
            world.after(from) { [self] in wire.isStalled = true }
            world.after(from + UInt64(network.random.int(0...60_000_000))) { [self] in wire.isStalled = false }
        }
        if let http2, network.random.oneIn(4) {
            for _ in 0..<network.random.int(1...2) {
                var settings = SimulatedServer.Settings()
                settings.maxConcurrentStreams = network.random.int(0...10)
                world.after(later()) { http2.announce(settings) }
            }
            var last = SimulatedServer.Settings()
            last.maxConcurrentStreams = network.random.int(5...50)
            world.after(160_000_000) { http2.announce(last) }
        }
        guard network.random.oneIn(3) else { return }
        let code = network.random.oneIn(2) ? UInt32(0) : [2, 11, 13].randomElement(using: &network.random)!
        let kind = network.random.int(0...4)
        world.after(later()) { [self] in
            switch kind {
            case 0: end()
            case 1: breakOff()
            case 2: drain()
            default: goAway(code)
            }
        }
    }

    /// All that was asked here and is not answered is lost.
    private func dropEverything() {
        hasEnded = true
        for arrival in network.open where arrival.endpoint === self { network.over(arrival) }
    }

    func end() {
        guard !hasEnded else { return }
        dropEverything()
        if let http1 { http1.end() } else { wire.end() }
    }

    func breakOff() {
        guard !hasEnded else { return }
        dropEverything()
        isBroken = true
        wire.breakOff()
    }

    /// Without a fault: what has come is served.
    private func drain() {
        guard !hasEnded, !isGoingAway else { return }
        isGoingAway = true
        guard let http2 else { return }
        http2.announceGoAway()
        world.after(5_000_000) { [self] in
            guard !hasEnded else { return }
            if http2.lastStreamID > 0 { hasServed = true }
            http2.goAway()
        }
    }

    /// Part of what has come is not processed.
    private func goAway(_ code: UInt32) {
        guard !hasEnded, !isGoingAway else { return }
        guard let http2 else { return end() }
        isGoingAway = true
        let least = lastAnswered
        let chosen = Int32(network.random.int(Int(least)...Int(max(least, http2.lastStreamID))))
        let last = chosen == 0 ? 0 : chosen | 1
        for (id, arrival) in streams where id > last && !arrival.isOver {
            arrival.fate = .unprocessed
            network.over(arrival)
        }
        if last > 0 { hasServed = true }
        requiresHTTP1 = code == H2Error.HTTP2Code.http11Required.rawValue
        http2.goAway(lastStreamID: last, code, debugText: "that is it")
        guard code != 0 else { return }
        // The client leaves at once, and may miss answers that are on their way.
        isBroken = true
        world.after(5_000_000) { [self] in end() }
    }

    // MARK: - Requests

    private func id(_ path: String) -> String { String(path.dropFirst()) }

    private func began(_ stream: SimulatedStream) {
        guard !hasEnded, let (arrival, plan, misdeed) = network.arrived(id(stream.path), on: self) else { return }
        requests += 1
        streams[stream.id] = arrival
        if requests >= network.sites[site].requestsPerConnection, network.isFaulty {
            world.after(0) { [self] in drain() }
        }
        switch misdeed {
        case .reset(let code):
            let isRefusal = code == .refusedStream || code == .http11Required
            if isRefusal { arrival.fate = .unprocessed }
            // Not from inside nghttp2's callback.
            world.after(0) { [self] in
                guard !hasEnded else { return }
                if !isRefusal { arrival.fate = .reset }
                network.over(arrival)
                stream.reset(code.rawValue)
            }
        case .end where plan.index % 2 == 0: world.after(0) { [self] in end() }
        case .breakOff where plan.index % 2 == 0: world.after(0) { [self] in breakOff() }
        default: break
        }
        pending[stream.id] = (arrival, plan, misdeed)
    }

    private var pending: [Int32: (FaultyNetwork.Arrival, ClientPlan, ClientPlan.Misdeed?)] = [:]

    private func ended(_ stream: SimulatedStream) {
        guard let (arrival, plan, misdeed) = pending.removeValue(forKey: stream.id) else { return }
        check(stream.received, plan)
        answer(stream, arrival, plan, misdeed)
    }

    private func began(_ request: SimulatedHTTP1Request) {
        guard !hasEnded, let (arrival, plan, misdeed) = network.arrived(id(request.path), on: self) else { return }
        requests += 1
        idleSince += 1
        pending[0] = (arrival, plan, misdeed)
        switch misdeed {
        case .reset: world.after(0) { [self] in end() }
        case .end where plan.index % 2 == 0: world.after(0) { [self] in end() }
        case .breakOff where plan.index % 2 == 0: world.after(0) { [self] in breakOff() }
        default: break
        }
        // Some answer before they have seen the body.
        if plan.index % 7 == 0, plan.upload.size > 0, !network.isCalm {
            pending[0] = nil
            answer(request, arrival, plan, misdeed)
        }
    }

    private func ended(_ request: SimulatedHTTP1Request) {
        guard let (arrival, plan, misdeed) = pending.removeValue(forKey: 0) else { return }
        check(request.received, plan)
        answer(request, arrival, plan, misdeed)
    }

    private func check(_ received: [UInt8], _ plan: ClientPlan) {
        if received != Plan.bytes(plan.index, 0..<plan.upload.size, salt: Plan.uploadSalt) {
            network.problems.append("request \(plan.index): its body came as \(received.count) bytes; \(plan)")
        }
    }

    // MARK: - Answers

    private func answer(
        _ call: any ServedCall, _ arrival: FaultyNetwork.Arrival, _ plan: ClientPlan, _ misdeed: ClientPlan.Misdeed?
    ) {
        if misdeed == .silence || arrival.isOver { return }
        world.after(plan.answerDelay) { [self] in
            guard !hasEnded, !arrival.isOver, !call.isClosed else { return }
            var (status, size) = (200, plan.bodySize)
            var fields = [("x-id", arrival.id)]
            switch misdeed {
            case .end: return end()
            case .breakOff: return breakOff()
            case .status(let code, let retryAfter):
                status = code
                size = min(size, 30_000)
                if let retryAfter { fields.append(("retry-after", "\(retryAfter)")) }
            default: break
            }
            hasServed = true
            arrival.fate = .answered(status)
            if let stream = call as? SimulatedStream { lastAnswered = max(lastAnswered, stream.id) }
            let site = network.sites[site]
            if let limit = site.idleLimit, site.announcesIdleLimit, http1 != nil {
                fields.append(("keep-alive", "timeout=\(limit / 1_000_000_000)"))
            }
            let isLast = plan.saysClose || requests >= site.requestsPerConnection && network.isFaulty
            call.answer(status, fields, size, plan, closes: isLast)
            // A client that means to ask again may leave the rest.
            if status != 200 { network.over(arrival) }
            send(0, size, call, arrival, plan, misdeed)
        }
    }

    private func send(
        _ piece: Int, _ size: Int, _ call: any ServedCall, _ arrival: FaultyNetwork.Arrival, _ plan: ClientPlan,
        _ misdeed: ClientPlan.Misdeed?
    ) {
        guard !hasEnded, !call.isClosed else { return }
        if piece == plan.pieceCount / 2 {
            if misdeed == .endInBody { return end() }
            if misdeed == .breakOffInBody { return breakOff() }
        }
        if size > 0, plan.method != .head {
            call.write(Plan.bytes(plan.index, size * piece / plan.pieceCount..<size * (piece + 1) / plan.pieceCount))
            // With its last byte the answer is whole.
            if piece + 1 == plan.pieceCount { return finish(call, arrival) }
        } else {
            return finish(call, arrival)
        }
        world.after(plan.pieceDelay) { [self] in send(piece + 1, size, call, arrival, plan, misdeed) }
    }

    private func finish(_ call: any ServedCall, _ arrival: FaultyNetwork.Arrival) {
        network.over(arrival)
        call.finish()
    }

    /// HTTP/1.1: the connection is idle from here.
    private func answered() {
        guard let http1 else { return }
        if let arrival = network.open.first(where: { $0.endpoint === self }) { network.over(arrival) }
        world.after(0) { [self] in if http1.isOver { hasEnded = true } }
        idleSince += 1
        let idle = idleSince
        guard let limit = network.sites[site].idleLimit else { return }
        world.after(limit) { [self] in
            if idleSince == idle { end() }
        }
    }
}

/// A request as a server answers it, whatever is spoken.
protocol ServedCall: AnyObject {
    var isClosed: Bool { get }
    func answer(_ status: Int, _ fields: [(String, String)], _ size: Int, _ plan: ClientPlan, closes: Bool)
    func write(_ bytes: [UInt8])
    func finish()
}

extension SimulatedStream: ServedCall {
    func answer(_ status: Int, _ fields: [(String, String)], _ size: Int, _ plan: ClientPlan, closes: Bool) {
        var fields = fields
        if plan.statesLength { fields.append(("content-length", "\(size)")) }
        respond(status, fields, hasBody: size > 0 && plan.method != .head)
    }

    func finish() { finish(trailers: []) }
}

extension SimulatedHTTP1Request: ServedCall {
    func answer(_ status: Int, _ fields: [(String, String)], _ size: Int, _ plan: ClientPlan, closes: Bool) {
        respond(
            status, fields, length: plan.statesLength ? size : nil, untilClose: plan.endsWithConnection, closes: closes)
    }
}
