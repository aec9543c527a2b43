extension ConnectionConfiguration.Limits {
    /// The limits, each in the range where arithmetic is safe and the value makes sense: negative values become zero, and
    /// excessive ones the maximum. Sessions use only these.
    var clamped: ConnectionConfiguration.Limits {
        func clamp(_ value: Int, _ range: ClosedRange<Int>) -> Int {
            min(max(value, range.lowerBound), range.upperBound)
        }
        var limits = self
        limits.headerListSize = clamp(headerListSize, 0...1 << 30)
        // swift-http-types holds 65,535 and traps beyond; the difference is left for fields added by others.
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
