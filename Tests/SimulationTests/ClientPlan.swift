import H2TestSupport
import HTTPTypes

@testable import H2Client

/// What one caller of a simulated client does, and what servers do with its requests; all of it follows from the seed.
struct ClientPlan: Sendable {
    enum Upload: Sendable {
        case none
        case bytes(Int)
        case pieces([Int], pause: UInt64, isReplayable: Bool)

        var size: Int {
            switch self {
            case .none: 0
            case .bytes(let count): count
            case .pieces(let pieces, _, _): pieces.reduce(0, +)
            }
        }
    }

    enum Reading: Sendable { case collect, pieces(pause: UInt64), discard, drop }

    /// What a server does instead of answering well.
    enum Misdeed: Sendable, Hashable {
        /// RST_STREAM before the answer; a server of HTTP/1.1 closes instead.
        case reset(H2Error.HTTP2Code)
        case status(Int, retryAfter: Int?)
        /// The connection ends before the answer, or in the middle of its body.
        case end, endInBody
        case breakOff, breakOffInBody
        case silence
    }

    var index: Int
    var origin: Int
    var startAt: UInt64
    /// The caller is on another thread than the connections.
    var isElsewhere = false
    var method = HTTPRequest.Method.get
    var upload = Upload.none
    var cancelAfter: UInt64?
    var timeout: Duration?
    var queueTimeout: Duration?
    var firstByteTimeout: Duration?
    var reading = Reading.collect
    /// So many requests on a connection that is lent; nil for one in the usual way.
    var lent: Int?
    var pauseWithLoan: UInt64 = 0

    var answerDelay: UInt64 = 0
    var bodySize = 0
    var pieceCount = 1
    var pieceDelay: UInt64 = 0
    /// HTTP/1.1 alone.
    var statesLength = true
    var endsWithConnection = false
    var saysClose = false
    /// For the attempts in the order of their arrival; those after them are served.
    var misdeeds: [Misdeed] = []

    init(index: Int, _ random: inout SeededGenerator, origins: Int, crowd: Int, isCalm: Bool, lends: Bool) {
        self.index = index
        origin = random.int(0...origins - 1)
        startAt = UInt64(random.int(0...crowd))
        switch random.int(0...9) {
        case 0...4: break
        case 5: method = .head
        case 6: (method, upload) = (.put, .bytes(random.size(upTo: 60_000)))
        default:
            method = .post
            upload = .bytes(random.size(upTo: 60_000))
            if random.oneIn(2) {
                let pieces = (0..<random.int(1...4)).map { _ in 1 + random.size(upTo: 20_000) }
                upload = .pieces(
                    pieces, pause: UInt64(random.int(0...5_000_000)), isReplayable: random.oneIn(2))
            }
        }
        answerDelay = random.oneIn(3) ? 0 : UInt64(random.int(0...30_000_000))
        bodySize = random.oneIn(3) ? 0 : random.size(upTo: 100_000)
        pieceCount = random.int(1...4)
        pieceDelay = random.oneIn(2) ? 0 : UInt64(random.int(0...5_000_000))
        statesLength = !random.oneIn(3)
        endsWithConnection = random.oneIn(12)
        saysClose = random.oneIn(12)
        switch random.int(0...9) {
        case 0: reading = .discard
        case 1...2: reading = .pieces(pause: UInt64(random.int(0...3_000_000)))
        case 3: reading = random.oneIn(2) ? .drop : .collect
        default: break
        }
        if random.oneIn(8) { cancelAfter = UInt64(random.int(0...80_000_000)) }
        if random.oneIn(12) { timeout = .milliseconds(random.int(0...150)) }
        if random.oneIn(12) { queueTimeout = .milliseconds(random.int(0...60)) }
        if random.oneIn(12) { firstByteTimeout = .milliseconds(random.int(1...60)) }
        if lends, random.oneIn(8) {
            lent = random.int(0...3)
            pauseWithLoan = UInt64(random.int(0...20_000_000))
        }
        if !isCalm { planMisdeeds(&random) }
        isElsewhere = random.oneIn(3)
    }

    /// A plain GET that is answered well.
    init(index: Int, to origin: Int) {
        (self.index, self.origin, startAt) = (index, origin, 0)
    }

    private mutating func planMisdeeds(_ random: inout SeededGenerator) {
        guard random.oneIn(3) else { return }
        for _ in 0..<random.int(1...3) {
            switch random.int(0...13) {
            case 0...2: misdeeds.append(.reset(.refusedStream))
            case 3: misdeeds.append(.reset(.internalError))
            case 4: misdeeds.append(.reset(.http11Required))
            case 5: misdeeds.append(.reset(.enhanceYourCalm))
            case 6...7: misdeeds.append(.status(503, retryAfter: random.oneIn(2) ? random.int(0...2) : nil))
            case 8: misdeeds.append(.status(random.oneIn(2) ? 429 : 421, retryAfter: nil))
            case 9: misdeeds.append(.end)
            case 10: misdeeds.append(.endInBody)
            case 11: misdeeds.append(.breakOff)
            case 12: misdeeds.append(.breakOffInBody)
            default: misdeeds.append(.silence)
            }
        }
        // Nobody waits for ever for a server that says nothing.
        if misdeeds.contains(.silence), timeout == nil { timeout = .seconds(2) }
    }

    var isReplayable: Bool {
        if case .pieces(_, _, let isReplayable) = upload { isReplayable } else { true }
    }

    var hasTimeLimit: Bool { timeout != nil || queueTimeout != nil || firstByteTimeout != nil }
}

/// An origin of a simulation, and how its servers are.
struct SitePlan: Sendable {
    var origin: Origin
    /// What ALPN may choose, by the server's preference.
    var protocols = ["h2", "http/1.1"]
    var isFickle = false
    var maxConcurrentStreams: Int?
    /// After so many a connection is drained.
    var requestsPerConnection = Int.max
    /// HTTP/1.1: an idle connection is ended after so long, without or with a word.
    var idleLimit: UInt64?
    var announcesIdleLimit = false

    init(_ index: Int, _ random: inout SeededGenerator, isCalm: Bool) {
        origin = try! Origin(scheme: random.oneIn(3) ? .http : .https, host: "site\(index).example")
        switch random.int(0...5) {
        case 0...2: break
        case 3: protocols = ["http/1.1", "h2"]
        case 4: protocols = ["http/1.1"]
        default: protocols = ["h2"]
        }
        guard !isCalm else { return }
        isFickle = random.oneIn(6)
        if random.oneIn(3) { maxConcurrentStreams = random.int(1...20) }
        if random.oneIn(3) { requestsPerConnection = random.int(1...10) }
        if random.oneIn(3) {
            idleLimit = .milliseconds(random.int(1...200))
            announcesIdleLimit = random.oneIn(3)
            if announcesIdleLimit { idleLimit = .seconds(random.int(1...3)) }
        }
    }
}
