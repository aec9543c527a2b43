import H2Platform
internal import Histogram

/// Counts of times, in the layout of an HdrHistogram of three significant digits. They are filled while a measurement runs, and
/// become a `TimeHistogram` when it is over.
///
/// hdrhistogram-swift records as fast, but its other functions are not specialised outside of its module: adding, clearing or
/// asking for a percentile takes about a million instructions, ten times a second on each loop. Here each looks only at the
/// counts between the smallest and the largest time.
///
/// Not safe for concurrent use.
final class LatencyCounts {
    private static let halfBits = 10
    private static let half = 1 << halfBits
    private static let size = index(of: TimeHistogram.longest) + 1

    private let counts: UnsafeMutablePointer<UInt64>
    private(set) var total: UInt64 = 0
    /// In nanoseconds; `minimum` is above `maximum` while there are none.
    private(set) var minimum = UInt64.max
    private(set) var maximum: UInt64 = 0

    init() {
        // Pages from the system are already zero, and use memory only once written to: a worker has many of these.
        guard let memory = calloc(Self.size, MemoryLayout<UInt64>.stride) else { fatalError("no memory for counts") }
        counts = memory.bindMemory(to: UInt64.self, capacity: Self.size)
    }

    deinit { free(counts) }

    /// Times below 2,048 ns have a count each; from there on each doubling has 1,024 counts.
    @inline(__always)
    fileprivate static func index(of value: UInt64) -> Int {
        let bucket = 64 - halfBits - 1 - (value | UInt64(2 * half - 1)).leadingZeroBitCount
        return bucket << halfBits + Int(value >> UInt64(bucket))
    }

    fileprivate static func values(at index: Int) -> ClosedRange<UInt64> {
        let bucket = max(index >> halfBits - 1, 0)
        let minimum = UInt64(index - bucket << halfBits) << UInt64(bucket)
        return minimum...(minimum + (1 << UInt64(bucket)) - 1)
    }

    /// Counts a time; anything above an hour counts as an hour.
    @inline(__always)
    func record(_ nanoseconds: UInt64) {
        let value = min(nanoseconds, TimeHistogram.longest)
        counts[Self.index(of: value)] &+= 1
        total &+= 1
        if value < minimum { minimum = value }
        if value > maximum { maximum = value }
    }

    private var touched: Range<Int> {
        total == 0 ? 0..<0 : Self.index(of: minimum)..<(Self.index(of: maximum) + 1)
    }

    func reset() {
        let touched = touched
        (counts + touched.lowerBound).update(repeating: 0, count: touched.count)
        total = 0
        minimum = .max
        maximum = 0
    }

    func add(_ other: LatencyCounts) {
        for index in other.touched { counts[index] &+= other.counts[index] }
        total &+= other.total
        minimum = min(minimum, other.minimum)
        maximum = max(maximum, other.maximum)
    }

    /// The largest time within the given percentage of times; 0 if there are none.
    func percentile(_ percent: Double) -> UInt64 {
        let wanted = max(UInt64((Double(total) * percent / 100).rounded(.up)), 1)
        var count: UInt64 = 0
        for index in touched {
            count &+= counts[index]
            if count >= wanted { return min(Self.values(at: index).upperBound, maximum) }
        }
        return maximum
    }

    /// - Parameter highest: the largest time that it can hold.
    func histogram(upTo highest: UInt64 = TimeHistogram.longest) -> TimeHistogram {
        var histogram = TimeHistogram(
            lowestDiscernibleValue: 1, highestTrackableValue: max(highest, 2), numberOfSignificantValueDigits: .three)
        for index in touched where counts[index] > 0 {
            // The smallest and the largest time are exact.
            let values = Self.values(at: index)
            let value = values.contains(maximum) ? maximum : max(values.lowerBound, minimum)
            histogram.record(value, count: counts[index])
        }
        return histogram
    }

    /// The counts that are not zero.
    func sparse() -> SparseCounts {
        var sparse = SparseCounts(minimum: minimum, maximum: maximum)
        for index in touched where counts[index] > 0 { sparse.append(index, counts[index]) }
        return sparse
    }

    func add(_ other: SparseCounts) {
        for (index, count) in other.entries {
            counts[index] &+= count
            total &+= count
        }
        minimum = min(minimum, other.minimum)
        maximum = max(maximum, other.maximum)
    }
}

/// Counts of few different times, to be kept: a tenth of the size of a histogram.
struct SparseCounts: Sendable {
    private(set) var minimum: UInt64
    private(set) var maximum: UInt64
    private var indexes: [UInt16] = []
    private var counts: [UInt64] = []

    init(minimum: UInt64, maximum: UInt64) { (self.minimum, self.maximum) = (minimum, maximum) }

    /// - Parameter histogram: in the layout that all of ours have.
    init(_ histogram: TimeHistogram) {
        self.init(minimum: histogram.totalCount > 0 ? histogram.min : .max, maximum: histogram.maxRecorded)
        for (value, count) in histogram.recorded() {
            append(LatencyCounts.index(of: min(value, TimeHistogram.longest)), count)
        }
    }

    var isEmpty: Bool { indexes.isEmpty }
    var entries: some Sequence<(Int, UInt64)> { zip(indexes.lazy.map { Int($0) }, counts) }

    mutating func append(_ index: Int, _ count: UInt64) {
        indexes.append(UInt16(index))
        counts.append(count)
    }

    /// A histogram just large enough for these counts.
    func histogram() -> TimeHistogram {
        var histogram = TimeHistogram(
            lowestDiscernibleValue: 1, highestTrackableValue: max(maximum, 2), numberOfSignificantValueDigits: .three)
        for (index, count) in entries {
            // The smallest and the largest time are exact.
            let values = LatencyCounts.values(at: index)
            let value = values.contains(maximum) ? maximum : max(values.lowerBound, minimum)
            histogram.record(value, count: count)
        }
        return histogram
    }
}

extension TimeHistogram {
    /// The recorded values and their counts, in order; each value is the largest of those that share a count. The package's own
    /// iterators (`recordedValues()`, `mean`) also sum the values, and trap if a long measurement's sum does not fit into 64
    /// bits.
    package func recorded() -> [(value: UInt64, count: UInt64)] {
        guard totalCount > 0 else { return [] }
        var recorded: [(value: UInt64, count: UInt64)] = []
        var value = lowestEquivalentForValue(min)
        while value <= maxRecorded {
            if case let count = countForValue(value), count > 0 {
                recorded.append((highestEquivalentForValue(value), count))
            }
            value = nextNonEquivalentForValue(value)
        }
        return recorded
    }

    /// The mean of the recorded values; 0 if there are none.
    package var average: Double {
        let sum = recorded().reduce(0) { $0 + Double(medianEquivalentForValue($1.value)) * Double($1.count) }
        return totalCount > 0 ? sum / Double(totalCount) : 0
    }
}
