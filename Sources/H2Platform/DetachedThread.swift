/// Runs `body` on a thread of its own, which ends with it.
/// - Returns: 0, or pthread_create's error, and `body` is not run.
package func startDetachedThread(_ body: @escaping @Sendable () -> Void) -> CInt {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setdetachstate(&attributes, CInt(PTHREAD_CREATE_DETACHED))
    defer { pthread_attr_destroy(&attributes) }
    #if canImport(Glibc) || canImport(Android)
        var thread = pthread_t()
    #else
        var thread: pthread_t?
    #endif
    // The thread owns the work that is retained for it.
    let work = Unmanaged.passRetained(Work(body))
    let status = pthread_create(
        &thread, &attributes,
        { argument in
            #if canImport(Glibc) || canImport(Musl)
                let argument = argument!
            #endif
            Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().run()
            return nil
        }, work.toOpaque())
    if status != 0 { work.release() }
    return status
}

private final class Work: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}
