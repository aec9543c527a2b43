/// How many requests at once an origin takes, found by additive increase and multiplicative decrease.
struct AdaptiveLimit: Sendable {
    enum Answer: Sendable, Hashable {
        case good
        /// 429, 503, REFUSED_STREAM, ENHANCE_YOUR_CALM; to be left alone until then (monotonic nanoseconds).
        case overloaded(retryAfter: UInt64?)
        case neutral
    }

    private let options: HTTPClient.Politeness.Adaptive
    private var value: Double
    private(set) var pausedUntil: UInt64 = 0

    init(_ options: HTTPClient.Politeness.Adaptive) {
        self.options = options
        value = Double(max(options.initial, 1))
    }

    var limit: Int { Int(value) }

    mutating func answered(_ answer: Answer, latency: UInt64, inFlight: Int, now: UInt64) {
        switch answer {
        case .good: value = min(value + 1 / value, Double(options.maximum))
        case .overloaded(let until):
            value = max(value * options.decrease, Double(max(options.minimum, 1)))
            if let until { pausedUntil = max(pausedUntil, until) }
        case .neutral: break
        }
    }
}
