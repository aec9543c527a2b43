import Foundation
import Testing

/// Which seeds a simulation runs with.
enum Seeds {
    /// What `H2_SEEDS=from..to` says, if anything.
    static func chosen(usually usual: ClosedRange<UInt64>) -> ClosedRange<UInt64> {
        guard let text = ProcessInfo.processInfo.environment["H2_SEEDS"] else { return usual }
        let bounds = text.split(separator: ".").compactMap { UInt64($0) }
        guard let first = bounds.first, let last = bounds.last, first <= last else {
            Issue.record("H2_SEEDS is '\(text)', not from..to")
            return 1...1
        }
        return first...last
    }
}
