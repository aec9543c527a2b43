import H2Platform
import Testing

@testable import H2Client

struct ReceivedRangesTests {
    @Test func `Ranges are joined in any order`() {
        var ranges = ReceivedRanges()
        for range in [10..<20, 0..<5, 30..<40, 20..<22, 5..<10, 35..<50, 60..<60, 3..<4] { ranges.add(range) }
        #expect(ranges.ranges == [0..<22, 30..<50])
        #expect(ranges.prefix == 22 && ranges.byteCount == 42)
        #expect(ranges.missing(of: 60) == [22..<30, 50..<60])
        ranges.add(0..<60)
        #expect(ranges.ranges == [0..<60] && ranges.missing(of: 60).isEmpty)
    }

    @Test(arguments: 0..<200) func `Pieces cover just what is missing`(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let total = Int.random(in: 1...1_000, using: &random)
        var ranges = ReceivedRanges()
        var model = [Bool](repeating: false, count: total)
        for _ in 0..<Int.random(in: 0...8, using: &random) {
            let start = Int.random(in: 0..<total, using: &random)
            let range = start..<Int.random(in: start...total, using: &random)
            ranges.add(range)
            for index in range { model[index] = true }
        }
        #expect(ranges.byteCount == model.count { $0 })
        let minimum = Int.random(in: 1...100, using: &random)
        let count = Int.random(in: 1...10, using: &random)
        let pieces = ranges.pieces(of: total, count: count, minimum: minimum)
        for piece in pieces {
            for index in piece {
                #expect(!model[index], "seed \(seed)")
                model[index] = true
            }
        }
        #expect(!model.contains(false), "seed \(seed)")
        #expect(pieces.allSatisfy { !$0.isEmpty } && pieces.count <= count + ranges.ranges.count + 1, "seed \(seed)")
    }

    @Test func `A state with ranges is written and read, and is no state of bytes in a row`() {
        var state = DownloadState(request: "ab", validator: .entityTag("\"1\""), total: 100)
        state.received = ReceivedRanges([0..<10, 20..<30])
        #expect(DownloadState(Array(state.text.utf8)) == state)
        #expect(state.text.hasPrefix("h2client-download 2\n") && state.text.contains("range 20-29\n"))
        for (old, new) in [
            ("20-29", "20-100"), ("20-29", "29-20"), ("range 0-9", "range -1-9"), ("end\n", ""), ("0-9", "9"),
        ] {
            #expect(DownloadState(Array(state.text.replacing(old, with: new).utf8)) == nil, "\(old) → \(new)")
        }
        #expect(DownloadState(Array(state.text.replacing("download 2", with: "download 1").utf8)) == nil)
        state.received = ReceivedRanges()
        #expect(DownloadState(Array(state.text.utf8)) == state)
    }
}
