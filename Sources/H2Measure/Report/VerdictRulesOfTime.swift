/// The rules about time: where requests waited, whether they began when they were to, and how much there is to tell.
extension VerdictRules {
    // MARK: Where requests waited

    func waits() -> [Verdict] {
        var verdicts: [Verdict] = []
        let waits = result.waits
        // All the time that requests were under way: a wait that is less than a twentieth of it explains nothing.
        let total = latency.mean * Double(latency.count)
        func isMuch(_ wait: Double) -> Bool { wait > 0 && wait > 0.05 * total }

        if let limit = result.connections.maxConcurrentStreams, result.connections.http2 > 0, limit < plan.streams,
            waits.slotRequests > 0, !isOpenLoop || isMuch(waits.slot)
        {
            let enough = limit > 0 ? (plan.connections * plan.streams + limit - 1) / limit : plan.connections
            verdicts.append(
                Verdict(
                    .note, .slots,
                    "The server allows \(grouped(limit, "stream")) on a connection, fewer than -m \(plan.streams), and the others waited for "
                        + "theirs (\(timeText(nanoseconds: waits.slot)) in all): use -m \(max(limit, 1)), or spread them with -c \(enough)."
                ))
        } else if result.connections.http1 > 0, plan.streams > 1, !isOpenLoop {
            verdicts.append(
                Verdict(
                    .note, .slots,
                    "HTTP/1.1 has one request at a time on a connection, so that -m \(plan.streams) did nothing: use "
                        + "-c \(plan.connections * plan.streams) for as many in flight."))
        } else if waits.slotRequests > 0, isMuch(waits.slot) {
            verdicts.append(
                Verdict(
                    .note, .slots,
                    "\(grouped(waits.slotRequests, "request")) waited for a free stream (\(timeText(nanoseconds: waits.slot)) in all), "
                        + "which the corrected latency counts and the other does not: use a larger -m or -c."))
        }
        if isMuch(waits.downloadStreamWindow) || isMuch(waits.downloadConnectionWindow) {
            let stream = waits.downloadStreamWindow >= waits.downloadConnectionWindow
            verdicts.append(
                Verdict(
                    .note, .windows,
                    "The server had to wait for our flow-control window of the \(stream ? "stream" : "connection") "
                        + "(\(timeText(nanoseconds: max(waits.downloadStreamWindow, waits.downloadConnectionWindow))) in all), so that the client's "
                        + "setting held the rate down: use a larger \(stream ? "-w" : "-W")."))
        }
        if isMuch(waits.uploadStreamWindow) || isMuch(waits.uploadConnectionWindow) {
            let stream = waits.uploadStreamWindow >= waits.uploadConnectionWindow
            verdicts.append(
                Verdict(
                    .note, .windows,
                    "Uploads waited for the server's flow-control window of the \(stream ? "stream" : "connection") "
                        + "(\(timeText(nanoseconds: max(waits.uploadStreamWindow, waits.uploadConnectionWindow))) in all), which only the server can "
                        + "enlarge\(stream ? "" : ": use more connections with -c")."))
        }
        if isMuch(waits.sendBlocked) {
            verdicts.append(
                Verdict(
                    .note, .sendBlocked,
                    "Requests waited \(timeText(nanoseconds: waits.sendBlocked)) in all for the network or the server to take what was sent, so "
                        + "that latencies contain sending: use \(lighter), or smaller bodies."))
        }
        return verdicts
    }

    // MARK: The pace

    func pace() -> [Verdict] {
        var verdicts = behind()
        let (raw, whole) = (latency.p99, corrected.p99)
        if latency.count >= 100, Double(whole) > 2 * Double(raw), whole > raw + 1_000_000 {
            verdicts.append(
                Verdict(
                    isOpenLoop ? .warning : .note, .coordinatedOmission,
                    "Requests waited to be sent, so that the p99 of \(timeText(raw)) hides what a user would have had, which is "
                        + "\(timeText(whole)): quote the corrected latency."))
        }
        if let (first, second) = halves(), max(first, second) > 1.2 * min(first, second) {
            let remedy =
                plan.warmUp == .zero
                ? "give it a warm-up (--warm-up-time 5s), or measure longer (-D)" : "use a longer --warm-up-time or -D"
            verdicts.append(
                Verdict(
                    .note, .unsteady,
                    "It was not steady, with \(rateText(first)) responses a second in the first half and \(rateText(second)) in the "
                        + "second: \(remedy)."))
        }
        return verdicts
    }

    /// That an open loop fell behind its schedule, and what held it up: the client's own number of streams, the server's
    /// limit on them, or the server.
    private func behind() -> [Verdict] {
        guard let asked = scheduled(), asked > 0 else { return [] }
        let requests = result.requests
        // At random there are more or fewer than the rate has, and only those that never were sent are missing.
        let due = plan.arrivesAtRandom ? Double(requests.sent + requests.dropped) : asked
        let missing = due - Double(requests.sent)
        if missing > max(0.02 * due, 10) {
            let what =
                "Of \(rateText(due / result.elapsed)) requests a second only \(rateText(Double(requests.sent) / result.elapsed)) "
                + "were sent (\(grouped(requests.dropped)) never were)"
            return [Verdict(.warning, .rateMissed, "\(what)\(whyBehind).")]
        }
        guard let (first, last) = growingBacklog() else { return [] }
        let what = "Requests piled up (\(rateText(first)) waited to be sent at first, \(rateText(last)) at the end)"
        return [Verdict(.warning, .backlog, "\(what)\(whyBehind).")]
    }

    /// Requests that waited in the first and the last quarter of the time, where that grew.
    private func growingBacklog() -> (Double, Double)? {
        let quarter = result.timeLine.count / 4
        guard quarter > 0 else { return nil }
        func backlog(_ part: ArraySlice<BenchResult.Interval>) -> Double {
            Double(part.reduce(0) { $0 + $1.backlog }) / Double(part.count)
        }
        let (first, last) = (backlog(result.timeLine.prefix(quarter)), backlog(result.timeLine.suffix(quarter)))
        return last > 2 * first + 10 ? (first, last) : nil
    }

    private var whyBehind: String {
        let isHTTP2 = result.connections.http2 > 0 || result.connections.http1 == 0
        let allowed = isHTTP2 ? result.connections.maxConcurrentStreams ?? .max : 1
        let each = min(plan.streams, max(allowed, 1))
        let half = result.timeLine.suffix((result.timeLine.count + 1) / 2)
        let length = half.reduce(0) { $0 + $1.length }
        let inFlight = length > 0 ? half.reduce(0) { $0 + $1.inFlightMean * $1.length } / length : 0
        // Streams that were free leave no one cause to name.
        guard inFlight > 0.9 * Double(plan.connections) * Double(each) else {
            return ": use more connections or streams (-c, -m), or a lower rate"
        }
        // Where the fastest response was about as slow as the usual one, the server did not mind the load that it had.
        if latency.p50 > 3 * max(latency.min, 1) {
            return
                " because the server cannot keep up (its fastest response took \(timeText(latency.min)), the median one "
                + "\(timeText(latency.p50))): ask for a lower rate"
        }
        let streams = plan.connections * each
        let inUse =
            streams == 1
            ? "the one stream was in use"
            : "all \(grouped(streams)) streams were in use (\(grouped(plan.connections, "connection")) × \(grouped(each)))"
        if isHTTP2, allowed < plan.streams {
            return " because \(inUse), as many as the server allows on a connection: use a larger -c"
        }
        return
            " because \(inUse): use a larger \(isHTTP2 ? "-m or -c" : "-c"), and if that does not help the server is "
            + "the limit"
    }

    /// How many requests an open loop was to begin in the time; nil for a closed one.
    private func scheduled() -> Double? {
        guard result.elapsed > 0 else { return nil }
        let count: Double
        switch plan.pace {
        case .closed: return nil
        case .script(let times):
            count = Double(times.count { Double($0) < result.elapsed * 1e9 }) * Double(plan.connections)
        case .arrivalsPerConnection(let rate): count = rate * Double(plan.connections) * result.elapsed
        case .stages(let stages):
            var (left, sum) = (result.elapsed, 0.0)
            for stage in stages {
                let length = stage.length.inSeconds
                let run = min(left, length)
                let reached = length > 0 ? stage.from + (stage.to - stage.from) * run / length : stage.to
                sum += (stage.from + reached) / 2 * run
                left -= run
            }
            count = sum + (stages.last?.to ?? 0) * left
        case .arrivals(let from, let to, let ramp):
            let length = ramp.inSeconds
            let inRamp = min(result.elapsed, length)
            let reached = length > 0 ? from + (to - from) * inRamp / length : to
            count = (from + reached) / 2 * inRamp + to * (result.elapsed - inRamp)
        }
        if case .requests(let number) = plan.extent { return min(count, Double(number)) }
        return count
    }

    /// Responses a second of each half; nil where the load itself was to change, or there is too little to tell.
    private func halves() -> (Double, Double)? {
        if case .arrivals(let from, let to, let ramp) = plan.pace, from != to, ramp > .zero { return nil }
        if case .stages = plan.pace { return nil }
        if case .script = plan.pace { return nil }
        guard plan.connectionRamp == nil, result.timeLine.count >= 4, latency.count >= 100,
            let first = result.timeLine.first, let last = result.timeLine.last
        else { return nil }
        let middle = (first.start + last.start + last.length) / 2
        func rate(_ intervals: [BenchResult.Interval]) -> Double {
            let length = intervals.reduce(0) { $0 + $1.length }
            return length > 0 ? Double(intervals.reduce(0) { $0 + $1.done }) / length : 0
        }
        return (
            rate(result.timeLine.filter { $0.start + $0.length / 2 < middle }),
            rate(result.timeLine.filter { $0.start + $0.length / 2 >= middle })
        )
    }

    // MARK: The sample

    func sample() -> [Verdict] {
        var verdicts: [Verdict] = []
        if latency.count == 0 {
            return [
                Verdict(
                    .warning, .sample,
                    result.unexpected > 0
                        ? "No response was as expected, so there is nothing to say about latency: check what is expected."
                        : "No request was answered, so there is nothing to say about latency: try one with h2get -v first."
                )
            ]
        }
        if let lacking = Percentile.shown.first(where: { $0.above(of: latency.count) < Percentile.fewest }) {
            let names = Percentile.shown.drop { $0 != lacking }.map(\.name)
            let list = names.count == 1 ? "\(names[0]) means" : "\(names[0]) and above mean"
            let remedy: String
            switch plan.extent {
            case .requests where isScripted: remedy = "more lines or connections"
            case .requests: remedy = "-n \(lacking.needed)"
            case .time:
                let seconds = result.rate > 0 ? (Double(lacking.needed) / result.rate).rounded(.up) : 0
                remedy = seconds > 0 && seconds < 1e9 ? "-D \(fixed(seconds, 0))s" : "a longer -D"
            }
            // p99 is quoted by everybody; p99.99 by those who know what it takes.
            verdicts.append(
                Verdict(
                    lacking.tenThousandthsAbove >= 100 ? .warning : .note, .sample,
                    "\(list) nothing with \(grouped(latency.count, "sample")), of which fewer than \(Percentile.fewest) lie above it: "
                        + "use \(remedy) for \(lacking.name)."))
        }
        if result.elapsed < 1 {
            verdicts.append(
                Verdict(
                    .warning, .shortTime,
                    "Only \(timeText(seconds: result.elapsed)) were measured, in which connecting and warming up weigh much: measure "
                        + "for some seconds (-D 10s --warm-up-time 2s)."))
        }
        return verdicts
    }

    func fine() -> Verdict {
        let busy = result.client.loopBusy.max().map { "its busiest loop had work \(fixed($0 * 100, 0)) % of the time" }
        return Verdict(
            .fine, .nothing,
            "Nothing speaks against these figures: the client was not the limit\(busy.map { " (\($0))" } ?? ""), the sample is large "
                + "enough for every percentile, and no request failed.")
    }
}
