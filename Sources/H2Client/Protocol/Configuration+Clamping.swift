extension Configuration.Limits {
    /// The limits with each where arithmetic on it is safe and means something: what is below zero becomes zero, and what is
    /// beyond all reason becomes the most that there can be. Sessions use no others.
    var clamped: Configuration.Limits {
        func clamp(_ value: Int, _ range: ClosedRange<Int>) -> Int {
            min(max(value, range.lowerBound), range.upperBound)
        }
        var limits = self
        limits.headerListSize = clamp(headerListSize, 0...1 << 30)
        // swift-http-types holds 65,535 and traps at more; some of those belong to whoever adds to them.
        limits.headerFields = clamp(headerFields, 0...60_000)
        limits.frameSize = clamp(frameSize, 16_384...(1 << 24) - 1)
        limits.continuationFrames = clamp(continuationFrames, 0...1 << 24)
        limits.informationalResponses = clamp(informationalResponses, 0...1 << 30)
        limits.informationalResponsesPerSecond = clamp(informationalResponsesPerSecond, 0...1 << 30)
        limits.controlFrames = clamp(controlFrames, 0...1 << 30)
        limits.controlFramesPerSecond = clamp(controlFramesPerSecond, 0...1 << 30)
        limits.waitingRequests = max(waitingRequests, 0)
        limits.concurrentStreams = max(concurrentStreams, 0)
        return limits
    }
}
