/// Decides which copy of a request counts: the complete rule, without time, budget or connections.
///
/// Copies are numbered in the order they are sent; 0 is the first.
struct HedgeRace: Sendable {
    /// How a copy ended.
    enum Ending: Sendable, Hashable, CaseIterable {
        /// With a response that is not retried.
        case answer
        /// With a response that may be retried.
        case refusal
        case failure
    }

    /// How each copy ended; nil for copies in progress.
    private(set) var endings: [Ending?] = [nil]
    /// The copy whose outcome counts for all, once that is decided.
    private(set) var result: Int?
    /// A server asked for a pause: nothing more is sent.
    private(set) var isHeldBack = false

    var isOver: Bool { result != nil }
    var maySend: Bool { result == nil && !isHeldBack }
    var running: [Int] { endings.indices.filter { endings[$0] == nil } }

    /// Begins another copy. Returns its number; nil if it must not be sent.
    mutating func begin() -> Int? {
        guard maySend else { return nil }
        endings.append(nil)
        return endings.count - 1
    }

    mutating func holdBack() { isHeldBack = true }

    /// Ends a copy. The first answer wins. If there is none, the race is decided when the last copy ends: the first
    /// refusal counts, which says more than a failure; if there is no refusal, the failure of the first copy counts.
    mutating func end(_ copy: Int, _ ending: Ending) {
        guard result == nil else { return }
        endings[copy] = ending
        if ending == .answer {
            result = copy
        } else if endings.allSatisfy({ $0 != nil }) {
            result = endings.firstIndex(of: .refusal) ?? 0
        }
    }

    /// Nobody needs an answer any more.
    mutating func giveUp() { if result == nil { result = 0 } }
}
