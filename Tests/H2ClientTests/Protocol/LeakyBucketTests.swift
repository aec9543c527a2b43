import H2Client
import H2TestSupport
import Testing

@Suite(.inTurn) struct LeakyBucketTests {
    @Test(arguments: [Int.max, 1 << 40, 0, -1, Int.min]) func `A bucket may be of any size and rate`(size: Int) {
        for rate in [Int.max, 1 << 40, 0, -1, Int.min] {
            var bucket = LeakyBucket(limit: size, perSecond: rate)
            for now in [0, 1, 1_000_000_000, UInt64.max] {
                let fits = [bucket.add(.max, now: now), bucket.add(1, now: now)]
                #expect(fits == [true, true] || size < .max)
                bucket.drain(.max, floor: -5)
            }
        }
    }

    @Test func `Whatever a bucket holds drains at its rate`() {
        var bucket = LeakyBucket(limit: 2, perSecond: 10)
        let fits = [(2, 0), (1, 0), (0, 100_000_000), (1, 100_000_000)].map { bucket.add($0.0, now: $0.1) }
        #expect(fits == [true, false, true, false])
    }
}
