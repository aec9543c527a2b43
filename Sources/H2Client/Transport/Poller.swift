import CNghttp2
import H2Platform
import Synchronization

/// Receives a descriptor's events, on the loop's thread.
package protocol ReadinessHandler: AnyObject {
    /// Called when the descriptor is ready. An error or hang-up counts as both, so that the next read or write reports it; it
    /// is reported once even if neither was requested.
    func ready(readable: Bool, writable: Bool)
    /// No more events follow: the loop was shut down, or the system cannot watch the descriptor. It is still open, and its
    /// owner must close it.
    func unwatched(_ error: H2Error)
}

extension ReadinessHandler {
    package func unwatched(_ error: H2Error) {}
}

/// The kernel's readiness queue. Level-triggered: unread input is reported again.
protocol Poller: AnyObject {
    /// Whether no descriptor is watched.
    var isEmpty: Bool { get }
    /// Creates the resources for waiting, if necessary. Returns 0, or errno. Without them nothing is reported, and waits are
    /// short.
    func open() -> CInt
    /// Watches for input, and for room to write if requested. Returns 0, or errno, in which case nothing is watched.
    func register(_ descriptor: CInt, writable: Bool, handler: any ReadinessHandler) -> CInt
    /// Changes what is watched. Returns the handler and errno if the descriptor can no longer be watched.
    func update(
        _ descriptor: CInt, readable: Bool, writable: Bool
    ) -> (handler: any ReadinessHandler, error: CInt)?
    func deregister(_ descriptor: CInt)
    /// Stops watching all descriptors and returns their handlers.
    func removeAll() -> [any ReadinessHandler]
    /// Waits for at most `nanoseconds` (nil: until woken). Returns 0, or errno if waiting is impossible.
    func wait(nanoseconds: UInt64?) -> CInt
    /// Discards invalid descriptors without closing them: their numbers may be in use by others.
    func abandon()
    /// Notifies the handlers of the events of the last wait.
    func tellHandlers()
    /// Ends a `wait` from any thread.
    func wake()
}

/// The handlers of descriptors. Events carry the registration's generation, since a descriptor that was closed and reopened
/// within one batch of events must not get its predecessor's.
struct DescriptorTable {
    private struct Entry {
        var handler: (any ReadinessHandler)?
        var generation: UInt32 = 0
        var wanted: UInt32 = 0
        var isParked = false
    }

    private var entries: [Entry] = []
    private(set) var count = 0

    mutating func insert(_ descriptor: CInt, _ handler: any ReadinessHandler) -> UInt64 {
        let index = Int(descriptor)
        while entries.count <= index { entries.append(Entry()) }
        if entries[index].handler == nil { count += 1 }
        entries[index] = Entry(handler: handler, generation: entries[index].generation &+ 1)
        return token(descriptor)
    }

    mutating func remove(_ descriptor: CInt) {
        guard handler(of: descriptor) != nil else { return }
        count -= 1
        entries[Int(descriptor)] = Entry(generation: entries[Int(descriptor)].generation &+ 1)
    }

    func token(_ descriptor: CInt) -> UInt64 {
        UInt64(entries[Int(descriptor)].generation) << 32 | UInt64(UInt32(bitPattern: descriptor))
    }

    func handler(for token: UInt64) -> (any ReadinessHandler)? {
        let index = Int(truncatingIfNeeded: token & 0xffff_ffff)
        guard index < entries.count, entries[index].generation == UInt32(token >> 32) else { return nil }
        return entries[index].handler
    }

    func handler(of descriptor: CInt) -> (any ReadinessHandler)? {
        Int(descriptor) < entries.count ? entries[Int(descriptor)].handler : nil
    }

    var descriptors: [CInt] { entries.indices.filter { entries[$0].handler != nil }.map { CInt($0) } }

    /// The requested events in the poller's encoding.
    func wanted(_ descriptor: CInt) -> UInt32 { entries[Int(descriptor)].wanted }
    mutating func setWanted(_ descriptor: CInt, _ mask: UInt32) { entries[Int(descriptor)].wanted = mask }

    /// Whether the kernel is currently not watching it.
    func isParked(_ descriptor: CInt) -> Bool { entries[Int(descriptor)].isParked }
    mutating func setParked(_ descriptor: CInt, _ isParked: Bool) { entries[Int(descriptor)].isParked = isParked }
}

#if os(Linux)
    /// epoll with an eventfd to wake it.
    final class EpollPoller: Poller {
        private static let capacity = 256
        /// Milliseconds after which a wait without descriptors ends, since nothing can wake it.
        private static let blindWait: CInt = 5
        private var epoll: CInt = -1
        /// Read by other threads.
        private let wakeup = Atomic<CInt>(-1)
        private let events: UnsafeMutablePointer<epoll_event>
        private var table = DescriptorTable()
        private var count = 0
        // No descriptor has this token: a descriptor's token has a non-negative number in its low half.
        private static let wakeToken = UInt64.max

        init() { events = .allocate(capacity: Self.capacity) }

        deinit {
            closeAll()
            events.deallocate()
        }

        private func closeAll() {
            if case let wakeup = wakeup.load(ordering: .relaxed), wakeup >= 0 { close(wakeup) }
            if epoll >= 0 { close(epoll) }
            abandon()
        }

        func abandon() {
            epoll = -1
            wakeup.store(-1, ordering: .relaxed)
        }

        var isEmpty: Bool { table.count == 0 }

        func open() -> CInt {
            guard epoll < 0 else { return 0 }
            epoll = epoll_create1(CInt(EPOLL_CLOEXEC))
            guard epoll >= 0 else { return errno }
            let descriptor = ch2_eventfd()
            wakeup.store(descriptor, ordering: .relaxed)
            if descriptor >= 0,
                ch2_epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, EPOLLIN.rawValue, Self.wakeToken) == 0
            {
                return 0
            }
            let status = errno
            closeAll()
            return status
        }

        private func mask(readable: Bool, writable: Bool) -> UInt32 {
            (readable ? EPOLLIN.rawValue | EPOLLRDHUP.rawValue : 0) | (writable ? EPOLLOUT.rawValue : 0)
        }

        func register(_ descriptor: CInt, writable: Bool, handler: any ReadinessHandler) -> CInt {
            let token = table.insert(descriptor, handler)
            let mask = mask(readable: true, writable: writable)
            table.setWanted(descriptor, mask)
            guard ch2_epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, mask, token) != 0 else { return 0 }
            let status = errno
            table.remove(descriptor)
            return status
        }

        func update(
            _ descriptor: CInt, readable: Bool, writable: Bool
        ) -> (handler: any ReadinessHandler, error: CInt)? {
            guard let handler = table.handler(of: descriptor) else { return nil }
            let mask = mask(readable: readable, writable: writable)
            table.setWanted(descriptor, mask)
            let isParked = table.isParked(descriptor)
            if isParked && mask == 0 { return nil }
            let operation = isParked ? EPOLL_CTL_ADD : EPOLL_CTL_MOD
            guard ch2_epoll_ctl(epoll, operation, descriptor, mask, table.token(descriptor)) != 0 else {
                table.setParked(descriptor, false)
                return nil
            }
            let status = errno
            deregister(descriptor)
            return (handler, status)
        }

        func deregister(_ descriptor: CInt) {
            table.remove(descriptor)
            _ = ch2_epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, 0, 0)
        }

        func removeAll() -> [any ReadinessHandler] {
            let descriptors = table.descriptors
            let handlers = descriptors.compactMap { table.handler(of: $0) }
            for descriptor in descriptors { deregister(descriptor) }
            return handlers
        }

        func wait(nanoseconds: UInt64?) -> CInt {
            count = 0
            guard epoll >= 0 else {
                let limit = nanoseconds.map { CInt(min($0 / 1_000_000 + 1, UInt64(Self.blindWait))) }
                if nanoseconds != 0 { _ = poll(nil, 0, limit ?? Self.blindWait) }
                return 0
            }
            let timeout = nanoseconds.map { Int64(min($0, 86_400_000_000_000)) } ?? -1
            let result = ch2_epoll_wait(epoll, events, CInt(Self.capacity), timeout)
            count = max(0, Int(result))
            return result >= 0 || errno == EINTR ? 0 : errno
        }

        func tellHandlers() {
            for index in 0..<count {
                let token = ch2_epoll_data(events + index)
                if token == Self.wakeToken {
                    var value: UInt64 = 0
                    _ = read(wakeup.load(ordering: .relaxed), &value, 8)
                    continue
                }
                guard let handler = table.handler(for: token) else { continue }
                let mask = ch2_epoll_events(events + index)
                let broken = mask & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0
                handler.ready(
                    readable: broken || mask & (EPOLLIN.rawValue | EPOLLRDHUP.rawValue) != 0,
                    writable: broken || mask & EPOLLOUT.rawValue != 0)
                if broken { parkUnwanted(token) }
            }
        }

        /// epoll reports errors and hang-ups repeatedly, even if nothing was requested. If the handler was told and still
        /// requests nothing, the kernel stops watching until it does.
        private func parkUnwanted(_ token: UInt64) {
            let descriptor = CInt(truncatingIfNeeded: token & 0xffff_ffff)
            guard table.handler(for: token) != nil, table.wanted(descriptor) == 0, !table.isParked(descriptor) else {
                return
            }
            table.setParked(descriptor, true)
            _ = ch2_epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, 0, 0)
        }

        func wake() {
            let descriptor = wakeup.load(ordering: .relaxed)
            guard descriptor >= 0 else { return }
            var one: UInt64 = 1
            _ = write(descriptor, &one, 8)
        }
    }

    func makePoller() -> any Poller { EpollPoller() }
#else
    func makePoller() -> any Poller { KQueuePoller() }
#endif
