import H2TestSupport
import Testing

@testable import H2Client

@Suite(.inTurn)
struct WindowWatchTests {
    @Test
    func `A peer that had room left did not wait for the window`() {
        var watch = WindowWatch(window: 1_000)
        #expect(watch.arrived(400, now: 100, roundTrip: 50) == 0)
        #expect(watch.arrived(400, now: 900, roundTrip: 50) == 0)
    }

    @Test
    func `A window that was used up is why nothing came until it was widened`() {
        var watch = WindowWatch(window: 1_000)
        #expect(watch.arrived(1_000, now: 100, roundTrip: 50) == 0)
        watch.granted(1_000, now: 100)
        // One round trip later at the soonest.
        #expect(watch.arrived(500, now: 150, roundTrip: 50) == 50)
        #expect(watch.arrived(500, now: 160, roundTrip: 50) == 0)
    }

    @Test
    func `What was granted a round trip ago is known to the peer`() {
        var watch = WindowWatch(window: 1_000)
        #expect(watch.arrived(500, now: 100, roundTrip: 50) == 0)
        watch.granted(500, now: 100)
        #expect(watch.arrived(500, now: 200, roundTrip: 50) == 0)
        // By 200 the peer knew of 1,500, and had sent 1,000.
        #expect(watch.arrived(500, now: 400, roundTrip: 50) == 0)
        #expect(watch.arrived(1, now: 500, roundTrip: 50) == 100)
    }
}
