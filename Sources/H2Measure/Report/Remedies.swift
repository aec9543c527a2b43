import H2Client
import Histogram

/// Remedies for a finding, in terms of the options of `h2get bench`.
///
/// Each is derived from the plan, and nil if it would not change the plan, or not in a direction that helps. So no sentence
/// suggests "use a smaller -c" for a run with one connection.
struct Remedies {
    let plan: BenchPlan
    let result: BenchResult

    /// A sentence made of a finding and the available remedies.
    static func sentence(_ finding: String, _ remedies: String?...) -> String {
        let known = remedies.compactMap { $0 }
        return known.isEmpty ? "\(finding)." : "\(finding): \(known.joined(separator: ", or "))."
    }

    // MARK: - The load

    /// Whether only HTTP/1.1 was used, whose connections have one request at a time.
    var isHTTP1: Bool { result.connections.http1 > 0 && result.connections.http2 == 0 }

    var isScripted: Bool { if case .script = plan.pace { true } else { false } }

    /// The number of requests that could be in flight on one connection, given the plan, the version and the server's limit.
    var streamsOnEach: Int {
        isHTTP1 ? 1 : min(plan.streams, max(result.connections.maxConcurrentStreams ?? .max, 1))
    }

    var lessLoad: String? {
        guard plan.pace == .closed else {
            // There is nothing below one request at a time.
            if result.timeLine.map(\.peakInFlight).max() == 1 { return nil }
            return isScripted ? "use a script with more time between its lines" : "ask for a lower rate"
        }
        if plan.users != nil { return "ask for fewer users" }
        if streamsOnEach > 1 { return "use a smaller -m" }
        return plan.connections > 1 ? "use a smaller -c" : nil
    }

    /// More requests at once.
    var moreStreams: String {
        if plan.users != nil { return "use a smaller --users-per-connection" }
        if isHTTP1 { return "use a larger -c" }
        if let limit = result.connections.maxConcurrentStreams, limit <= plan.streams { return "use a larger -c" }
        return "use a larger -m or -c"
    }

    var slowerConnecting: String? {
        guard plan.connections > 1, plan.users == nil else { return nil }
        guard let ramp = plan.connectionRamp else { return "open them more slowly with -r" }
        return ramp.count > 1 ? "open them more slowly with a smaller -r" : nil
    }

    var fewerConnections: String? { plan.connections > 1 && plan.users == nil ? "use a smaller -c" : nil }

    var smallerBodies: String? { plan.requests.contains { !$0.body.isEmpty } ? "use smaller bodies" : nil }

    // MARK: - The time

    /// A short form, such as `1 s`.
    static func brief(_ duration: Duration) -> String { ChartUnit.seconds.short(duration.inSeconds) }

    var longerRun: String {
        if result.end == .interrupted { return "let it run to its end" }
        if isScripted { return "use a longer script" }
        return switch plan.extent {
        case .requests: "use a larger -n"
        case .time: "use a longer -D"
        case .untilStopped: "let it run longer"
        }
    }

    /// Nil for a number of requests, since all of them are waited for.
    var longerDrain: String? {
        guard case .time = plan.extent else { return nil }
        return plan.drain > .zero ? "use a longer --drain than \(Self.brief(plan.drain))" : "wait for them with --drain"
    }

    /// The plan's time limits of connections.
    var timeLimits: String {
        [plan.activeTimeout.map { _ in "-T" }, plan.inactivityTimeout.map { _ in "-N" }].compactMap { $0 }
            .joined(separator: " or ")
    }

    var steadier: String {
        let longer = longerRun
        guard plan.warmUp < .seconds(5) else { return longer }
        return plan.warmUp == .zero
            ? "give it a warm-up (--warm-up-time 5s), or \(longer)" : "use a longer --warm-up-time, or \(longer)"
    }

    /// A run of some seconds, after a warm-up.
    var someSeconds: String {
        if result.end == .interrupted || isScripted { return longerRun }
        return "measure for some seconds (-D 10s\(plan.warmUp < .seconds(1) ? " --warm-up-time 2s" : ""))"
    }

    /// More time or requests, so that enough responses lie above the percentile at the same rate of answers.
    func moreSamples(for percentile: Percentile) -> String? {
        let count = Int(clamping: result.latency.totalCount)
        guard count > 0 else { return nil }
        if result.end == .interrupted { return longerRun }
        if isScripted { return "use a longer script, or a larger -c, for \(percentile.name)" }
        func scaled(_ value: Double) -> Double { (value * Double(percentile.needed) / Double(count)).rounded(.up) }
        switch plan.extent {
        case .requests(let number):
            // More are needed, since a part of them is not answered.
            let wanted = max(Double(percentile.needed), scaled(Double(number)))
            guard wanted > Double(number), wanted < 1e15 else { return nil }
            return "use -n \(Int(wanted)) for \(percentile.name)"
        case .time(let time):
            var seconds = scaled(max(result.elapsed, time.inSeconds))
            // The first request of an open loop is due at once, which weighs more than its share if there are few.
            if let due = plan.arrivalsEachSecond, due > 0 {
                seconds = max(seconds, (Double(percentile.needed) / due).rounded(.up))
            }
            // With think time, a stream sends one request per think time plus latency.
            if plan.thinkTime > .zero, plan.pace == .closed {
                let streams = Double(plan.connections * streamsOnEach)
                let each = plan.thinkTime.inSeconds + result.latency.average / 1e9
                seconds = max(seconds, ((Double(percentile.needed) / streams).rounded(.up) * each).rounded(.up))
            }
            guard seconds > time.inSeconds else { return nil }
            // Nobody waits for days: if the load is that small, change the load.
            guard seconds <= 86_400 else {
                let more = plan.pace == .closed ? "use a larger -m or -c" : "ask for a higher rate"
                return "\(more), or use a longer -D, for \(percentile.name)"
            }
            return "use -D \(Self.optionTime(seconds)) for \(percentile.name)"
        case .untilStopped: return "let it run longer for \(percentile.name)"
        }
    }

    /// Whole seconds, minutes or hours, in the form that -D takes.
    private static func optionTime(_ seconds: Double) -> String {
        let whole = Int(seconds)
        if whole <= 600 { return "\(whole)s" }
        return whole <= 7_200 ? "\((whole + 59) / 60)m" : "\((whole + 3_599) / 3_600)h"
    }

    // MARK: - Connections

    /// A larger receive window of the client; nil if it is already the largest.
    func largerWindow(ofStream: Bool) -> String? {
        let windows = plan.configuration.windows
        let largest = 1 << 30 - 1
        let window = ofStream ? max(windows.stream, windows.maximum) : windows.connection
        return window < largest ? "use a larger \(ofStream ? "-w" : "-W")" : nil
    }

    var rotation: String? {
        plan.requestsPerConnection == nil
            ? "use --requests-per-connection to have as many reconnects in every run" : nil
    }
}

extension BenchPlan {
    /// The final rate of an open loop, in requests per second; nil for a closed loop.
    fileprivate var arrivalsEachSecond: Double? {
        switch pace {
        case .closed, .script: nil
        case .arrivals(_, let to, _): to
        case .arrivalsPerConnection(let rate): rate * Double(connections)
        case .stages(let stages): stages.last?.to
        }
    }
}
