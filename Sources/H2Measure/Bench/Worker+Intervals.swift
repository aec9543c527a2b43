internal import H2Client

// Time as a worker sees it: samples, intervals, CPU.

extension Worker {
    /// Samples the requests in flight and the loop's lag, and ends intervals.
    func sample(due: UInt64) {
        if case .over = phase { return }
        loop.readClock()
        let now = loop.now
        if case .measuring = phase {
            findings.lag.record(now - min(due, now))
            samples.count += 1
            samples.inFlight += inFlight
            // The last interval ends with the time itself, so that it is the same on all loops.
            if intervalIndex < lastInterval, now - findings.beganAt >= UInt64(intervalIndex + 1) * intervalLength {
                endInterval(now)
            }
        }
        noteLiveFigures()
        trimTimers()
        timers.append(
            loop.schedule(after: Self.samplePeriod) { [unowned self] in sample(due: now &+ Self.samplePeriod) })
    }

    func endInterval(_ now: UInt64) {
        let bytes = currentFigures().received
        // A loop that was held up reports several at once.
        let next = max(intervalIndex + 1, min(Int((now - findings.beganAt) / intervalLength), lastInterval + 1))
        var part = Timeline.Part(
            indexes: intervalIndex..<next,
            start: Double(intervalBeganAt - findings.beganAt) / 1e9,
            end: Double(now - findings.beganAt) / 1e9)
        part.sent = findings.requests.sent - samples.sent
        part.done = findings.requests.answeredInTime - samples.done
        part.failed = findings.requests.failed - samples.failed
        part.bytesReceived = bytes - samples.bytes
        part.inFlightMean =
            samples.count > 0 ? Double(samples.inFlight) / Double(samples.count) : Double(inFlight)
        part.peakInFlight = samples.peak
        part.connections = live.count
        part.backlog = backlog.count + slotBacklog
        part.loop = index
        if case .draining = phase { part.isDrain = true }
        timeline.add(part, recorder)
        findings.recorder.add(recorder)
        recorder.reset()
        samples = Samples(
            peak: inFlight, sent: findings.requests.sent, done: findings.requests.answeredInTime,
            failed: findings.requests.failed, bytes: bytes)
        intervalBeganAt = now
        intervalIndex = next
    }

    static var usedCPU: (user: Double, system: Double) {
        let usage = ProcessClocks.usage
        return (usage.user, usage.system)
    }

    func trimTimers() {
        guard timers.count > 64 else { return }
        timers.removeAll { !$0.isScheduled }
    }
}
