import H2Client
import H2TestSupport
import HTTPTypes

/// What one request of a simulation does, and what the server does with it; all of it follows from the seed.
struct Plan: Sendable {
    enum Upload: Sendable {
        case none
        case bytes(Int)
        /// Pieces, a pause before each.
        case pieces([Int], pause: UInt64)
        /// As above, and then the writer throws.
        case piecesThenError([Int], pause: UInt64)
        /// Says another length than it has.
        case wrongLength(stated: Int, real: Int)
    }

    enum Reading: Sendable, Equatable {
        case collect
        case collectAtMost(Int)
        case pieces(pause: UInt64)
        case discard
        /// Drops the response as soon as its head is there, or after one piece.
        case drop(afterPieces: Int)
        /// One piece, a pause, then the rest at once.
        case pieceThenDiscard(pause: UInt64)
    }

    enum Misdeed: Sendable, Equatable {
        case none
        case resetBeforeHead(UInt32)
        case resetInBody(UInt32)
        case noAnswer
        /// Says another content-length than the body has.
        case wrongContentLength(Int)
        /// Ends the request's upload with NO_ERROR once its own answer is whole (RFC 9113 section 8.1).
        case resetAfterAnswer
    }

    var index: Int
    var startAt: UInt64
    var method = HTTPRequest.Method.get
    var upload = Upload.none
    var uploadTrailers = false
    var isFullDuplex = false
    var timeout: Duration?
    var queueTimeout: Duration?
    var firstByteTimeout: Duration?
    var bodyProgressTimeout: Duration?
    var expectContinue: Duration?
    var cancelAfter: UInt64?
    var reading = Reading.collect

    var informational: [Int] = []
    var answersEarly = false
    var answerDelay: UInt64 = 0
    var status = 200
    var pieces: [Int] = []
    var pieceDelay: UInt64 = 0
    var statesLength = false
    var hasTrailers = false
    var misdeed = Misdeed.none

    init(index: Int, _ random: inout SeededGenerator, isCrowd: Bool) {
        self.index = index
        startAt = UInt64(random.int(0...(isCrowd ? 3_000_000 : 30_000_000)))
        planUpload(&random)
        planAnswer(&random)
        planReading(&random)
        if random.oneIn(12) { misdeed = Self.misdeed(&random) }
        if random.oneIn(8) { cancelAfter = UInt64(random.int(0...60_000_000)) }
        if random.oneIn(12) { timeout = .milliseconds(random.int(0...80)) }
        if random.oneIn(12) { queueTimeout = .milliseconds(random.int(0...20)) }
        if random.oneIn(12) { firstByteTimeout = .milliseconds(random.int(1...40)) }
        if random.oneIn(12) { bodyProgressTimeout = .milliseconds(random.int(1...40)) }
        // Whatever else happens, nobody waits for ever for a server that says nothing.
        if misdeed == .noAnswer, timeout == nil, firstByteTimeout == nil { timeout = .milliseconds(500) }
    }

    private mutating func planUpload(_ random: inout SeededGenerator) {
        guard random.oneIn(3) else {
            if random.oneIn(10) { method = .head }
            return
        }
        method = .post
        let pieces = (0..<random.int(0...8)).map { _ in random.size(upTo: 40_000) }
        let pause = random.oneIn(2) ? 0 : UInt64(random.int(0...5_000_000))
        switch random.int(0...9) {
        case 0...3: upload = .bytes(random.size(upTo: 200_000))
        case 4...7: upload = .pieces(pieces, pause: pause)
        case 8: upload = .piecesThenError(pieces, pause: pause)
        default:
            let real = random.size(upTo: 50_000)
            upload = .wrongLength(stated: random.oneIn(2) ? real + 1 : max(0, real - 1), real: real)
        }
        uploadTrailers = random.oneIn(6)
        isFullDuplex = random.oneIn(3)
        answersEarly = random.oneIn(3)
        if random.oneIn(4) { expectContinue = .milliseconds(random.int(1...30)) }
    }

    private mutating func planAnswer(_ random: inout SeededGenerator) {
        if random.oneIn(5) { informational = (0..<random.int(1...3)).map { _ in random.oneIn(2) ? 100 : 103 } }
        answerDelay = random.oneIn(2) ? 0 : UInt64(random.int(0...20_000_000))
        status = random.oneIn(8) ? 404 : 200
        if random.oneIn(30) { status = 204 }
        pieces = method == .head || status == 204 ? [] : (0..<random.int(0...6)).map { _ in random.size(upTo: 60_000) }
        pieceDelay = random.oneIn(2) ? 0 : UInt64(random.int(0...4_000_000))
        statesLength = random.oneIn(2) && status != 204
        hasTrailers = random.oneIn(5) && method != .head && status != 204
    }

    private mutating func planReading(_ random: inout SeededGenerator) {
        let pause = UInt64(random.int(0...6_000_000))
        reading =
            switch random.int(0...11) {
            case 0...3: .collect
            case 4...6: .pieces(pause: random.oneIn(2) ? 0 : pause)
            case 7...8: .discard
            case 9: .pieceThenDiscard(pause: pause)
            case 10: .drop(afterPieces: random.int(0...2))
            default: .collectAtMost(random.size(upTo: 60_000))
            }
    }

    private static func misdeed(_ random: inout SeededGenerator) -> Misdeed {
        switch random.int(0...5) {
        case 0: .resetBeforeHead(random.oneIn(2) ? 7 : UInt32(random.int(0...13)))
        case 1: .resetInBody(UInt32(random.int(0...13)))
        case 2: .noAnswer
        case 3: .wrongContentLength(random.int(1...100))
        default: .resetAfterAnswer
        }
    }

    // MARK: - What follows

    var path: String { "/\(index)" }

    var bodySize: Int { pieces.reduce(0, +) }

    var uploadSize: Int {
        switch upload {
        case .none: 0
        case .bytes(let count): count
        case .pieces(let pieces, _), .piecesThenError(let pieces, _): pieces.reduce(0, +)
        case .wrongLength(_, let real): real
        }
    }

    /// Nothing in the plan itself can keep the request from its whole response.
    var isClean: Bool {
        if cancelAfter != nil || timeout != nil || queueTimeout != nil || firstByteTimeout != nil { return false }
        if bodyProgressTimeout != nil { return false }
        switch misdeed {
        case .none, .resetAfterAnswer: break
        default: return false
        }
        switch upload {
        case .piecesThenError, .wrongLength: return false
        default: break
        }
        if case .collectAtMost(let limit) = reading { return bodySize <= limit }
        return true
    }

    var readsToTheEnd: Bool { if case .drop = reading { false } else { true } }

    /// A part of the response's body, or, with another salt, of the request's.
    static func bytes(_ index: Int, _ range: Range<Int>, salt: Int = 0) -> [UInt8] {
        // An array made with no capacity is one that all share, and its count would be written from several threads.
        guard !range.isEmpty else { return [] }
        // Most of a simulation's time would go into `map` and subscripts, which nobody inlines in a debug build.
        return [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
            count = range.count
            guard var at = buffer.baseAddress else { return }
            var offset = range.lowerBound
            while offset < range.upperBound {
                at.pointee = UInt8(truncatingIfNeeded: offset &* 31 &+ index &* 7 &+ offset >> 8 &+ salt)
                at += 1
                offset &+= 1
            }
        }
    }

    static let uploadSalt = 101
}
