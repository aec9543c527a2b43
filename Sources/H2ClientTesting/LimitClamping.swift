extension OriginServer.Limits {
    /// The limits clamped to ranges in which arithmetic cannot overflow. Listeners use only these.
    var clamped: OriginServer.Limits {
        func clamp(_ value: Int, _ bits: Int = 30) -> Int { min(max(value, 0), 1 << bits) }
        var limits = self
        limits.connections = clamp(connections)
        limits.requests = clamp(requests)
        limits.headerListSize = clamp(headerListSize)
        limits.heldBytes = clamp(heldBytes, 50)
        limits.responseBytes = clamp(responseBytes, 50)
        limits.responseFieldBytes = clamp(responseFieldBytes)
        limits.controlFrames = clamp(controlFrames)
        limits.controlFramesPerSecond = clamp(controlFramesPerSecond)
        limits.streamResets = clamp(streamResets)
        limits.streamResetsPerSecond = clamp(streamResetsPerSecond)
        if let workers {
            limits.workers?.count = max(clamp(workers.count), 1)
            limits.workers?.queue = clamp(workers.queue)
        }
        return limits
    }
}
