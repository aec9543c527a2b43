#if canImport(Darwin)
    import CNghttp2
    import H2Platform

    /// kqueue with a user event to wake it. Untested: the project is built and measured on Linux.
    final class KQueuePoller: Poller {
        private static let capacity = 256
        private var queue: CInt = -1
        private let events: UnsafeMutablePointer<kevent>
        private var table = DescriptorTable()
        private var count = 0

        init() { events = .allocate(capacity: Self.capacity) }

        deinit {
            if queue >= 0 { close(queue) }
            events.deallocate()
        }

        func abandon() { queue = -1 }

        var isEmpty: Bool { table.count == 0 }

        func open() -> CInt {
            guard queue < 0 else { return 0 }
            queue = kqueue()
            guard queue >= 0 else { return errno }
            let status = change(0, EVFILT_USER, EV_ADD | EV_CLEAR, token: 0)
            guard status != 0 else { return 0 }
            close(queue)
            queue = -1
            return status
        }

        @discardableResult
        private func change(_ ident: UInt, _ filter: Int, _ flags: Int32, token: UInt64, notes: UInt32 = 0) -> CInt {
            var event = kevent(
                ident: ident, filter: Int16(filter), flags: UInt16(flags), fflags: notes, data: 0,
                udata: UnsafeMutableRawPointer(bitPattern: UInt(token)))
            return kevent(queue, &event, 1, nil, 0, nil) == 0 ? 0 : errno
        }

        func register(_ descriptor: CInt, writable: Bool, handler: any ReadinessHandler) -> CInt {
            let token = table.insert(descriptor, handler)
            let reading = change(UInt(descriptor), Int(EVFILT_READ), EV_ADD, token: token)
            let writing = change(
                UInt(descriptor), Int(EVFILT_WRITE), EV_ADD | (writable ? EV_ENABLE : EV_DISABLE), token: token)
            guard reading != 0 || writing != 0 else { return 0 }
            deregister(descriptor)
            return reading != 0 ? reading : writing
        }

        // A disabled filter reports nothing, not even an end or error, so nothing needs to be parked.
        func update(
            _ descriptor: CInt, readable: Bool, writable: Bool
        ) -> (handler: any ReadinessHandler, error: CInt)? {
            guard let handler = table.handler(of: descriptor) else { return nil }
            let token = table.token(descriptor)
            let reading = change(
                UInt(descriptor), Int(EVFILT_READ), readable ? EV_ENABLE : EV_DISABLE, token: token)
            let writing = change(
                UInt(descriptor), Int(EVFILT_WRITE), writable ? EV_ENABLE : EV_DISABLE, token: token)
            guard reading != 0 || writing != 0 else { return nil }
            deregister(descriptor)
            return (handler, reading != 0 ? reading : writing)
        }

        func deregister(_ descriptor: CInt) {
            table.remove(descriptor)
            change(UInt(descriptor), Int(EVFILT_READ), EV_DELETE, token: 0)
            change(UInt(descriptor), Int(EVFILT_WRITE), EV_DELETE, token: 0)
        }

        func removeAll() -> [any ReadinessHandler] {
            let descriptors = table.descriptors
            let handlers = descriptors.compactMap { table.handler(of: $0) }
            for descriptor in descriptors { deregister(descriptor) }
            return handlers
        }

        func wait(nanoseconds: UInt64?) -> CInt {
            count = 0
            guard queue >= 0 else {
                if nanoseconds != 0 { _ = poll(nil, 0, CInt(min((nanoseconds ?? .max) / 1_000_000 + 1, 5))) }
                return 0
            }
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
            return result >= 0 || errno == EINTR ? 0 : errno
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
