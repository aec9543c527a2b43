import CNghttp2

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What a descriptor's owner is told, on the loop's thread.
package protocol ReadinessHandler: AnyObject {
    /// An error or hang-up counts as both, so that the next read or write reports it.
    func ready(readable: Bool, writable: Bool)
}

/// The kernel's readiness queue. Level-triggered: what is not read is told again.
protocol Poller: AnyObject {
    /// Watches for input always, and for room to write where asked.
    func register(_ descriptor: CInt, writable: Bool, handler: any ReadinessHandler)
    func update(_ descriptor: CInt, readable: Bool, writable: Bool)
    func deregister(_ descriptor: CInt)
    /// Waits at most so long (nil: until woken).
    func wait(nanoseconds: UInt64?)
    /// Tells the handlers what the last wait brought.
    func tellHandlers()
    /// Ends a `wait` from any thread.
    func wake()
}

/// Which handler a descriptor has. Events carry the registration's generation, since a descriptor that was closed and
/// opened anew within one batch of events must not get its forerunner's.
struct DescriptorTable {
    private var entries: [(handler: (any ReadinessHandler)?, generation: UInt32)] = []

    mutating func insert(_ descriptor: CInt, _ handler: any ReadinessHandler) -> UInt64 {
        let index = Int(descriptor)
        while entries.count <= index { entries.append((nil, 0)) }
        entries[index].handler = handler
        entries[index].generation &+= 1
        return token(descriptor)
    }

    mutating func remove(_ descriptor: CInt) {
        guard Int(descriptor) < entries.count else { return }
        entries[Int(descriptor)].handler = nil
        entries[Int(descriptor)].generation &+= 1
    }

    func token(_ descriptor: CInt) -> UInt64 {
        UInt64(entries[Int(descriptor)].generation) << 32 | UInt64(UInt32(bitPattern: descriptor))
    }

    func handler(for token: UInt64) -> (any ReadinessHandler)? {
        let index = Int(truncatingIfNeeded: token & 0xffff_ffff)
        guard index < entries.count, entries[index].generation == UInt32(token >> 32) else { return nil }
        return entries[index].handler
    }
}

#if os(Linux)
    /// epoll, and an eventfd to wake it.
    final class EpollPoller: Poller {
        private static let capacity = 256
        private let epoll: CInt
        private let wakeup: CInt
        private let events: UnsafeMutablePointer<epoll_event>
        private var table = DescriptorTable()
        private var count = 0
        // No descriptor has this token: tokens hold a non-negative descriptor in their low half.
        private static let wakeToken = UInt64.max

        init() {
            epoll = epoll_create1(CInt(EPOLL_CLOEXEC))
            wakeup = ch2_eventfd()
            precondition(epoll >= 0 && wakeup >= 0, "cannot make an epoll or eventfd descriptor, errno \(errno)")
            events = .allocate(capacity: Self.capacity)
            _ = ch2_epoll_ctl(epoll, EPOLL_CTL_ADD, wakeup, EPOLLIN.rawValue, Self.wakeToken)
        }

        deinit {
            close(wakeup)
            close(epoll)
            events.deallocate()
        }

        private func mask(readable: Bool, writable: Bool) -> UInt32 {
            (readable ? EPOLLIN.rawValue | EPOLLRDHUP.rawValue : 0) | (writable ? EPOLLOUT.rawValue : 0)
        }

        func register(_ descriptor: CInt, writable: Bool, handler: any ReadinessHandler) {
            let token = table.insert(descriptor, handler)
            let result = ch2_epoll_ctl(
                epoll, EPOLL_CTL_ADD, descriptor, mask(readable: true, writable: writable), token)
            precondition(result == 0, "epoll_ctl ADD of descriptor \(descriptor) failed, errno \(errno)")
        }

        func update(_ descriptor: CInt, readable: Bool, writable: Bool) {
            _ = ch2_epoll_ctl(
                epoll, EPOLL_CTL_MOD, descriptor, mask(readable: readable, writable: writable), table.token(descriptor))
        }

        func deregister(_ descriptor: CInt) {
            table.remove(descriptor)
            _ = ch2_epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, 0, 0)
        }

        func wait(nanoseconds: UInt64?) {
            let timeout = nanoseconds.map { Int64(min($0, 86_400_000_000_000)) } ?? -1
            count = max(0, Int(ch2_epoll_wait(epoll, events, CInt(Self.capacity), timeout)))
        }

        func tellHandlers() {
            for index in 0..<count {
                let token = ch2_epoll_data(events + index)
                if token == Self.wakeToken {
                    var value: UInt64 = 0
                    _ = read(wakeup, &value, 8)
                    continue
                }
                guard let handler = table.handler(for: token) else { continue }
                let mask = ch2_epoll_events(events + index)
                let broken = mask & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0
                handler.ready(
                    readable: broken || mask & (EPOLLIN.rawValue | EPOLLRDHUP.rawValue) != 0,
                    writable: broken || mask & EPOLLOUT.rawValue != 0)
            }
        }

        func wake() {
            var one: UInt64 = 1
            _ = write(wakeup, &one, 8)
        }
    }

    func makePoller() -> any Poller { EpollPoller() }
#else
    func makePoller() -> any Poller { KQueuePoller() }
#endif
