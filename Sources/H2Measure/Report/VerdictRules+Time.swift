internal import H2Client

/// The rules about time: where requests waited, whether they began on time, and whether the run was long enough.
extension VerdictRules {
    // MARK: Where requests waited

    func waits() -> [Verdict] {
        var verdicts: [Verdict] = []
        let waits = result.waits
        // The total time that requests were under way: a wait of less than a twentieth of it explains nothing.
        let total = latency.mean * Double(latency.count)
        func isMuch(_ wait: Double) -> Bool { wait > 0 && wait > 0.05 * total }

        if plan.users != nil {
            // How many there are is not for an option to say.
        } else if let limit = result.connections.maxConcurrentStreams, result.connections.http2 > 0,
            limit < plan.streams,
            waits.streamRequests > 0, !isOpenLoop || isMuch(waits.stream)
        {
            let enough = limit > 0 ? (plan.connections * plan.streams + limit - 1) / limit : plan.connections
            verdicts.append(
                Verdict(
                    .note, .streams,
                    "The server allows \(grouped(limit, "stream")) on a connection, fewer than -m \(plan.streams), and the others waited for "
                        + "theirs (\(timeText(nanoseconds: waits.stream)) in all): use -m \(max(limit, 1)), or spread them with -c \(enough)."
                ))
        } else if result.connections.http1 > 0, plan.streams > 1, !isOpenLoop {
            verdicts.append(
                Verdict(
                    .note, .streams,
                    "HTTP/1.1 has one request at a time on a connection, so -m \(plan.streams) did nothing: use "
                        + "-c \(plan.connections * plan.streams) for as many in flight."))
        } else if waits.streamRequests > 0, isMuch(waits.stream) {
            verdicts.append(
                Verdict(
                    .note, .streams,
                    "\(grouped(waits.streamRequests, "request")) waited for a free stream (\(timeText(nanoseconds: waits.stream)) in all), "
                        + "which only the corrected latency counts: \(remedies.moreStreams)."))
        }
        if isMuch(waits.downloadStreamWindow) || isMuch(waits.downloadConnectionWindow) {
            let stream = waits.downloadStreamWindow >= waits.downloadConnectionWindow
            verdicts.append(
                Verdict(
                    .note, .windows,
                    Remedies.sentence(
                        "The server had to wait for our flow-control window of the \(stream ? "stream" : "connection") "
                            + "(\(timeText(nanoseconds: max(waits.downloadStreamWindow, waits.downloadConnectionWindow))) in all), "
                            + "so the client's setting held the rate down",
                        remedies.largerWindow(ofStream: stream))))
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
                    Remedies.sentence(
                        "Requests waited \(timeText(nanoseconds: waits.sendBlocked)) in all for the network or the server to take what "
                            + "was sent, so latencies contain sending",
                        remedies.lessLoad, remedies.smallerBodies)))
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
                    "Requests waited to be sent, so the p99 of \(timeText(raw)) hides what a user would have seen, which is "
                        + "\(timeText(whole)): quote the corrected latency."))
        }
        if let stall = result.stall {
            verdicts.append(
                Verdict(
                    .warning, .unsteady,
                    "No response came for \(timeText(seconds: stall.seconds)) from \(timeText(seconds: stall.start)) on, while "
                        + "requests waited: the server or the network stalled."))
        } else if let (first, second) = halves(), max(first, second) > 1.2 * min(first, second) {
            verdicts.append(
                Verdict(
                    .note, .unsteady,
                    "The rate was not steady, with \(rateText(first)) responses a second in the first half and "
                        + "\(rateText(second)) in the second: \(remedies.steadier)."))
        }
        return verdicts
    }

    /// Reports that an open loop fell behind its schedule, and what held it up: the client's own number of streams, the
    /// server's limit on them, or the server.
    private func behind() -> [Verdict] {
        guard let asked = scheduled(), asked > 0 else { return [] }
        let requests = result.requests
        // Random arrivals may be more or fewer than the rate says, so only those never sent count as missing.
        var due = plan.arrivesAtRandom ? Double(requests.sent + requests.dropped) : asked
        var time = result.elapsed
        if case .requests = plan.extent, let last = result.timeLine.last(where: { $0.sent > 0 }) {
            // All of them are sent eventually: the time of the last ones shows whether that was on time.
            time = last.start
            due = scheduled(in: time) ?? due
            if plan.arrivesAtRandom { due -= 3 * due.squareRoot() }
        }
        let missing = due - Double(requests.sent)
        if missing > max(0.02 * due, 10) {
            let what =
                "Of \(rateText(due / time)) requests a second only \(rateText(Double(requests.sent) / time)) "
                + "were sent\(requests.dropped > 0 ? " (\(grouped(requests.dropped)) never were)" : "")"
            return [Verdict(.warning, .rateMissed, "\(what)\(whyBehind).")]
        }
        if let (first, last) = growingBacklog() {
            let what = "Requests piled up (\(rateText(first)) waited to be sent at first, \(rateText(last)) at the end)"
            return [Verdict(.warning, .backlog, "\(what)\(whyBehind).")]
        }
        guard let queue = growingQueue() else { return [] }
        return [
            Verdict(
                .warning, .backlog,
                "The server cannot keep up (of \(rateText(queue.sent)) requests a second it answered "
                    + "\(rateText(queue.answered)), and those in flight grew from \(rateText(queue.first)) to "
                    + "\(rateText(queue.last))): ask for a lower rate.")
        ]
    }

    /// Requests per second in the second half of the time, and the number in flight in the first and the last quarter.
    private struct Queue {
        var sent: Double
        var answered: Double
        var first: Double
        var last: Double
    }

    /// Detects that more requests were sent than answered while streams were free, so that they wait in the server.
    ///
    /// Long latency alone also leaves fewer answered than sent while the first ones are under way. But if a queue grows, each
    /// response is later than the one before, in proportion to the unanswered requests; with long latency alone it stays level.
    /// response is later than the one before, by the part that is not answered; where latency is only long it is level.
    private func growingQueue() -> Queue? {
        let line = result.timeLine
        // A number of requests is all sent before the last of them are answered.
        guard let end = line.lastIndex(where: { $0.sent > 0 }) else { return nil }
        let arriving = line[...end]
        let timed = arriving.filter(\.hasLatencies)
        guard arriving.count >= 4, timed.count >= 4 else { return nil }
        let half = arriving.suffix(arriving.count / 2)
        let (sent, answered) = (half.reduce(0) { $0 + $1.sent }, half.reduce(0) { $0 + $1.done + $1.failed })
        let missing = Double(sent - answered)
        guard missing > max(0.05 * Double(sent), 10) else { return nil }
        func mean(_ part: ArraySlice<BenchResult.Interval>, _ value: (BenchResult.Interval) -> Double) -> Double {
            part.reduce(0) { $0 + value($1) } / Double(max(part.count, 1))
        }
        let (early, late) = (timed.prefix(timed.count / 4), timed.suffix(timed.count / 4))
        let time = mean(late) { $0.start * 1e9 } - mean(early) { $0.start * 1e9 }
        let rise = mean(late) { Double($0.p50) } - mean(early) { Double($0.p50) }
        guard rise > 0.5 * time * missing / Double(sent) else { return nil }
        let length = max(half.reduce(0) { $0 + $1.length }, 1e-9)
        return Queue(
            sent: Double(sent) / length, answered: Double(answered) / length,
            first: mean(arriving.prefix(arriving.count / 4)) { $0.inFlightMean },
            last: mean(arriving.suffix(arriving.count / 4)) { $0.inFlightMean })
    }

    /// The requests that waited in the first and the last quarter of the time, if the number grew.
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
        guard inFlight > 0.9 * Double(plan.connections) * Double(each) else {
            // They may have been free until the server's queue filled them.
            if let queue = growingQueue() {
                return
                    " because the server cannot keep up (it answered \(rateText(queue.answered)) a second): ask for a lower rate"
            }
            // Since streams were free, no single cause can be named.
            return ": \(remedies.moreStreams), or ask for a lower rate"
        }
        // If the fastest response was about as slow as the median, the load did not slow the server down.
        if latency.p50 > 3 * max(latency.min, 1) {
            return
                " because the server cannot keep up (it answered \(rateText(result.rate)) a second; its fastest response took "
                + "\(timeText(latency.min)), the median one \(timeText(latency.p50))): ask for a lower rate"
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

    /// The number of requests that an open loop was to begin in the time; nil for a closed one.
    func scheduled() -> Double? {
        var time = result.elapsed
        // A loop that noticed the end late did not have more to send for that.
        if case .time(let limit) = plan.extent { time = min(time, limit.inSeconds) }
        guard let count = scheduled(in: time) else { return nil }
        if case .requests(let number) = plan.extent { return min(count, Double(number)) }
        return count
    }

    private func scheduled(in elapsed: Double) -> Double? {
        guard elapsed > 0 else { return nil }
        let count: Double
        switch plan.pace {
        case .closed: return nil
        case .script(let times):
            count = Double(times.count { Double($0) < elapsed * 1e9 }) * Double(plan.connections)
        case .arrivalsPerConnection(let rate): count = rate * Double(plan.connections) * elapsed
        case .stages(let stages):
            var (left, sum) = (elapsed, 0.0)
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
            let inRamp = min(elapsed, length)
            let reached = length > 0 ? from + (to - from) * inRamp / length : to
            count = (from + reached) / 2 * inRamp + to * (elapsed - inRamp)
        }
        return count
    }

    /// Responses per second of each half; nil if the load itself was to change, or there is too little data.
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
            // A user who stopped the run knows why.
            if result.end == .interrupted { return [] }
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
            let list = names.count == 1 ? names[0] : "\(names[0]) and above"
            let above = names.count == 1 ? "it" : names[0]
            let few = latency.count == 1 ? "1 sample is" : "\(grouped(latency.count)) samples are"
            // p99 is quoted by everybody; p99.99 only by experts. A run that is too short has a remedy of its own.
            verdicts.append(
                Verdict(
                    lacking.tenThousandthsAbove >= 100 ? .warning : .note, .sample,
                    Remedies.sentence(
                        "\(few) too few for \(list) (fewer than \(Percentile.fewest) lie above \(above))",
                        result.elapsed < 1 ? nil : remedies.moreSamples(for: lacking))))
        }
        if result.elapsed < 1 {
            verdicts.append(
                Verdict(
                    .warning, .shortTime,
                    "Only \(timeText(seconds: result.elapsed)) were measured, of which connecting and warming up are a large part: "
                        + "\(remedies.someSeconds)."))
        }
        return verdicts
    }

    func fine() -> Verdict {
        let busy = result.client.loopBusy.max().map { "its busiest loop was busy \(fixed($0 * 100, 0)) % of the time" }
        return Verdict(
            .fine, .nothing,
            "These figures can be trusted: the client was not the limit\(busy.map { " (\($0))" } ?? ""), the sample is large "
                + "enough for every percentile, and no request failed.")
    }
}
