#if canImport(Darwin)
    import CNghttp2
    import Darwin

    /// kqueue, and a user event to wake it. Untested: the project is built and measured on Linux.
    final class KQueuePoller: Poller {
        private static let capacity = 256
        private let queue: CInt
        private let events: UnsafeMutablePointer<kevent>
        private var table = DescriptorTable()
        private var count = 0

        init() {
            queue = kqueue()
            precondition(queue >= 0, "cannot make a kqueue descriptor, errno \(errno)")
            events = .allocate(capacity: Self.capacity)
            change(0, EVFILT_USER, EV_ADD | EV_CLEAR, token: 0)
        }

        deinit {
            close(queue)
            events.deallocate()
        }

        private func change(_ ident: UInt, _ filter: Int, _ flags: Int32, token: UInt64, notes: UInt32 = 0) {
            var event = kevent(
                ident: ident, filter: Int16(filter), flags: UInt16(flags), fflags: notes, data: 0,
                udata: UnsafeMutableRawPointer(bitPattern: UInt(token)))
            _ = kevent(queue, &event, 1, nil, 0, nil)
        }

        func register(_ descriptor: CInt, writable: Bool, handler: any ReadinessHandler) {
            let token = table.insert(descriptor, handler)
            change(UInt(descriptor), Int(EVFILT_READ), EV_ADD, token: token)
            change(UInt(descriptor), Int(EVFILT_WRITE), EV_ADD | (writable ? EV_ENABLE : EV_DISABLE), token: token)
        }

        func update(_ descriptor: CInt, readable: Bool, writable: Bool) {
            let token = table.token(descriptor)
            change(UInt(descriptor), Int(EVFILT_READ), readable ? EV_ENABLE : EV_DISABLE, token: token)
            change(UInt(descriptor), Int(EVFILT_WRITE), writable ? EV_ENABLE : EV_DISABLE, token: token)
        }

        func deregister(_ descriptor: CInt) {
            table.remove(descriptor)
            change(UInt(descriptor), Int(EVFILT_READ), EV_DELETE, token: 0)
            change(UInt(descriptor), Int(EVFILT_WRITE), EV_DELETE, token: 0)
        }

        func wait(nanoseconds: UInt64?) {
            var limit = timespec()
            if let nanoseconds {
                limit = timespec(
                    tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
            }
            let result =
                nanoseconds == nil
                ? kevent(queue, nil, 0, events, CInt(Self.capacity), nil)
                : kevent(queue, nil, 0, events, CInt(Self.capacity), &limit)
            count = max(0, Int(result))
        }

        func tellHandlers() {
            for index in 0..<count where Int(events[index].filter) != Int(EVFILT_USER) {
                guard let handler = table.handler(for: UInt64(UInt(bitPattern: events[index].udata))) else { continue }
                let broken = Int32(events[index].flags) & (EV_EOF | EV_ERROR) != 0
                handler.ready(
                    readable: broken || Int(events[index].filter) == Int(EVFILT_READ),
                    writable: broken || Int(events[index].filter) == Int(EVFILT_WRITE))
            }
        }

        func wake() { change(0, EVFILT_USER, 0, token: 0, notes: UInt32(NOTE_TRIGGER)) }
    }
#endif
