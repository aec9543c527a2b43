import CNghttp2

/// What a loop hands over to another thread by resuming its continuation, in ThreadSanitizer's eyes: nothing else happens
/// here, the continuation itself orders the two.
enum Handover {
    /// On the loop, before the resume.
    @inline(__always)
    static func give(_ object: AnyObject) { ch2_hand_over(Unmanaged.passUnretained(object).toOpaque()) }

    /// After the await, on the thread that goes on.
    @inline(__always)
    static func take(_ object: AnyObject) { ch2_take_over(Unmanaged.passUnretained(object).toOpaque()) }
}
