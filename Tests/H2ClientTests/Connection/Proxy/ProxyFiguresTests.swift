import Testing

@testable import H2Client

struct ProxyFiguresTests {
    @Test func `A proxy in use is not forgotten, however many there are`() {
        let figures = ProxyFigures()
        figures.change("used") { $0.active = 1 }
        for number in 0..<5_000 { figures.change("unused \(number)") { $0.connectionsOpened += 1 } }
        #expect(figures.all["used"]?.active == 1)
        #expect(figures.all.count <= 1_001)
    }

    @Test func `A connection counts in one state at a time`() throws {
        let figures = ProxyFigures()
        let proxy = try HTTPClient.Proxy("https://me:secret@proxy.test")
        let report = ProxyReport(figures, proxy, nil)
        typealias Counts = ProxyFigures.Counts
        let steps: [(ProxyReport.Standing, Counts)] = [
            (.idle, Counts(idle: 1)), (.active, Counts(active: 1)), (.active, Counts(active: 1)),
            (.idle, Counts(idle: 1)), (.draining, Counts(draining: 1)), (.none, Counts()), (.none, Counts()),
        ]
        for (standing, counts) in steps {
            report.become(standing)
            #expect(figures.all == ["https://proxy.test:443": counts])
        }
    }
}
