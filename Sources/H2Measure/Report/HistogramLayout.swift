/// The layout of an HdrHistogram's counts: which values share one.
///
/// Values up to 2 × 10^digits units have a count each; above that the width of a count doubles with the value, so that it never
/// exceeds one part in 10^digits of the value. A unit is the largest power of two not above the lowest discernible value.
struct HistogramLayout: Equatable {
    let lowest: UInt64
    let highest: UInt64
    let digits: Int
    /// A unit is 2 to this power.
    private let unitBits: Int
    /// Half the counts of the first bucket, and all counts of each other bucket, are 2 to this power.
    private let halfBits: Int
    /// The number of counts.
    let count: Int
    /// In HdrHistogram's terms: the ranges of one width each, and the number of counts in the first of them.
    var bucketCount: Int { count >> halfBits - 1 }
    var subBucketCount: Int { 2 << halfBits }

    /// The layout of this module's histograms.
    static let nanoseconds = HistogramLayout(lowest: 1, highest: TimeHistogram.longest, digits: 3)!

    /// Nil if no histogram has such a layout.
    init?(lowest: UInt64, highest: UInt64, digits: Int) {
        guard (0...5).contains(digits), lowest >= 1, highest <= UInt64(Int64.max), lowest <= highest / 2 else {
            return nil
        }
        var resolved = 2
        for _ in 0..<digits { resolved *= 10 }
        let bits = Int.bitWidth - (resolved - 1).leadingZeroBitCount
        unitBits = 63 - lowest.leadingZeroBitCount
        halfBits = max(bits, 1) - 1
        guard unitBits + halfBits <= 61 else { return nil }
        // The first bucket ends here; each further one doubles the range. Since highest is below 2^63 this cannot overflow.
        var (end, buckets) = (UInt64(1) << UInt64(halfBits + 1 + unitBits), 1)
        while end <= highest {
            buckets += 1
            if end >= 1 << 63 { break }
            end <<= 1
        }
        (self.lowest, self.highest, self.digits) = (lowest, highest, digits)
        count = (buckets + 1) << halfBits
    }

    /// The index of the count that a value belongs to.
    func index(of value: UInt64) -> Int {
        let mask = (UInt64(2) << UInt64(halfBits) - 1) << UInt64(unitBits)
        let bucket = 63 - unitBits - halfBits - (value | mask).leadingZeroBitCount
        let inBucket = Int(value >> UInt64(bucket + unitBits))
        return bucket << halfBits + inBucket
    }

    /// The values that share a count.
    func values(at index: Int) -> ClosedRange<UInt64> {
        let half = 1 << halfBits
        let (bucket, inBucket) = index < 2 * half ? (0, index) : (index >> halfBits - 1, index & (half - 1) + half)
        let shift = UInt64(bucket + unitBits)
        let first = UInt64(inBucket) << shift
        return first...(first + (1 << shift - 1))
    }
}
