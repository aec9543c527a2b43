import CNghttp2

/// Tells ThreadSanitizer that a loop hands over to another thread by resuming its continuation. It does nothing else: the
/// continuation itself orders the two.
enum Handover {
    /// Called on the loop, before the resume.
    @inline(__always)
    static func give(_ object: AnyObject) { ch2_hand_over(Unmanaged.passUnretained(object).toOpaque()) }

    /// Called after the await, on the resumed thread.
    @inline(__always)
    static func take(_ object: AnyObject) { ch2_take_over(Unmanaged.passUnretained(object).toOpaque()) }
}
