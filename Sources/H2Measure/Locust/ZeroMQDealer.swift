package import H2Client
import H2Platform

/// A DEALER socket of ZeroMQ, with a thread of its own: connects, reconnects on its own, and passes whole messages.
///
/// Invariant behind `@unchecked Sendable`: the socket and its context belong to the thread, and what is shared is behind the
/// lock.
package final class ZeroMQDealer: @unchecked Sendable {
    /// The largest message that is taken; a peer that sends a larger one is disconnected.
    private static let maximumMessageSize: Int64 = 1 << 20
    /// Messages that may wait to be sent; beyond that the oldest are dropped.
    private static let maximumQueue = 10_000

    private let library: ZeroMQ
    private let context: ZeroMQ.Pointer
    private let socket: ZeroMQ.Pointer
    private let deliver: @Sendable ([UInt8]) -> Void
    /// Written to when there is something to send, or to close.
    private let wakeRead: CInt
    private let wakeWrite: CInt

    private let lock = PthreadLock()
    private struct Message {
        let bytes: [UInt8]
        let mayWait: Bool
    }

    private var queue: [Message] = []
    private var isClosing = false
    private var closed: (@Sendable () -> Void)?
    private var isClosed = false

    /// - Parameters:
    ///   - endpoint: for example `tcp://127.0.0.1:5557`.
    ///   - identity: what the other side knows the socket by; 1 to 255 bytes.
    ///   - deliver: gets each message that arrives, on the socket's thread. It must not block.
    /// - Throws: `H2Error` (`invalidConfiguration` if libzmq is missing, or does not take the endpoint; `localIO`).
    package init(
        endpoint: String, identity: String, deliver: @escaping @Sendable ([UInt8]) -> Void
    ) throws(H2Error) {
        guard let library = ZeroMQ.shared else {
            throw H2Error(
                .invalidConfiguration, message: "the library libzmq.so.5 is not installed",
                remedy: "install it (Debian and Ubuntu: apt-get install libzmq5)")
        }
        guard let context = library.newContext() else {
            throw H2Error(.localIO, message: "ZeroMQ: \(library.errorText)", remedy: "free memory or descriptors")
        }
        guard let socket = library.newSocket(context, ZeroMQ.Constant.dealer) else {
            let why = library.errorText
            _ = library.endContext(context)
            throw H2Error(.localIO, message: "ZeroMQ: \(why)", remedy: "allow more open files")
        }
        (self.library, self.context, self.socket, self.deliver) = (library, context, socket, deliver)
        var ends: [CInt] = [-1, -1]
        let hasPipe = pipe(&ends) == 0
        for end in ends where hasPipe {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        (wakeRead, wakeWrite) = (ends[0], ends[1])
        let isReady = hasPipe && Self.prepare(library, socket, identity) && library.connect(socket, endpoint) == 0
        guard isReady, startDetachedThread({ [self] in run() }) == 0 else {
            let why = library.errorText
            release()
            throw H2Error(
                .invalidConfiguration, message: "ZeroMQ cannot connect to \(endpoint): \(why)",
                remedy: "name a host and a port")
        }
    }

    private static func prepare(_ library: ZeroMQ, _ socket: ZeroMQ.Pointer, _ identity: String) -> Bool {
        func set(_ option: CInt, _ value: CInt) -> Bool {
            withUnsafeBytes(of: value) { library.setOption(socket, option, $0.baseAddress!, $0.count) == 0 }
        }
        let size = maximumMessageSize
        var identity = identity
        let isNamed = identity.withUTF8 { name in
            name.baseAddress.map { library.setOption(socket, ZeroMQ.Constant.routingID, $0, name.count) == 0 } ?? false
        }
        return isNamed
            && withUnsafeBytes(of: size) {
                library.setOption(socket, ZeroMQ.Constant.maximumMessageSize, $0.baseAddress!, $0.count) == 0
            }
            // What was sent last leaves before the socket closes, if the other side is there.
            && set(ZeroMQ.Constant.linger, 1_000)
            && set(ZeroMQ.Constant.reconnectInterval, 100) && set(ZeroMQ.Constant.maximumReconnectInterval, 2_000)
            && set(ZeroMQ.Constant.keepAlive, 1) && set(ZeroMQ.Constant.keepAliveIdle, 30)
            && set(ZeroMQ.Constant.ipv6, 1)
            // Nothing is given to a connection that is not there.
            && set(ZeroMQ.Constant.immediate, 1)
            // Both sides notice a connection that died silently, and the other one forgets it.
            && set(ZeroMQ.Constant.heartbeatInterval, 5_000) && set(ZeroMQ.Constant.heartbeatTimeout, 15_000)
            && set(ZeroMQ.Constant.heartbeatLifetime, 15_000)
    }

    private func release() {
        _ = library.close(socket)
        _ = library.endContext(context)
        if wakeRead >= 0 { _ = H2Platform.close(wakeRead) }
        if wakeWrite >= 0 { _ = H2Platform.close(wakeWrite) }
    }

    // MARK: - From any thread

    /// Sends a message. Does not wait.
    /// - Parameter mayWait: whether to keep it until there is a connection; otherwise it is dropped if there is none.
    package func send(_ message: [UInt8], mayWait: Bool = true) {
        lock.withLock {
            guard !isClosing else { return }
            // Said again before it could be said once.
            if mayWait, queue.contains(where: { $0.bytes == message }) { return }
            if queue.count >= Self.maximumQueue { queue.removeFirst(queue.count / 2) }
            queue.append(Message(bytes: message, mayWait: mayWait))
            wake()
        }
    }

    /// Closes the socket. Waits up to a second until what was sent has left.
    package func close() async {
        await withCheckedContinuation { continuation in
            let isOver = lock.withLock {
                isClosing = true
                if !isClosed { closed = { continuation.resume() } }
                if !isClosed { wake() }
                return isClosed
            }
            if isOver { continuation.resume() }
        }
    }

    /// Called under the lock, so that the pipe is not closed meanwhile.
    private func wake() {
        var byte: UInt8 = 0
        // If the pipe is full, the thread is about to wake anyway.
        _ = write(wakeWrite, &byte, 1)
    }

    // MARK: - The thread

    private func run() {
        let descriptor = number(ZeroMQ.Constant.descriptor)
        var isOver = false
        while !isOver {
            isOver = lock.withLock { isClosing }
            var mayHaveMore = true
            // libzmq's descriptor tells only that something changed: everything is tried until nothing is left.
            while mayHaveMore, isOver || !lock.withLock({ isClosing }) {
                mayHaveMore = sendOne() || (!isOver && receiveOne())
            }
            guard !isOver else { break }
            var entries = [
                pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: wakeRead, events: Int16(POLLIN), revents: 0),
            ]
            poll(&entries, 2, 100)
            var bytes: UInt64 = 0
            while read(wakeRead, &bytes, MemoryLayout.size(ofValue: bytes)) > 0 {}
        }
        _ = library.close(socket)
        _ = library.endContext(context)
        let closed = lock.withLock {
            isClosed = true
            _ = H2Platform.close(wakeRead)
            _ = H2Platform.close(wakeWrite)
            return self.closed
        }
        closed?()
    }

    private func number(_ option: CInt) -> CInt {
        var value: CInt = 0
        var size = MemoryLayout<CInt>.size
        return library.option(socket, option, &value, &size) == 0 ? value : -1
    }

    private func sendOne() -> Bool {
        guard let message = lock.withLock({ queue.isEmpty ? nil : queue.removeFirst() }) else { return false }
        let result = message.bytes.withUnsafeBytes { bytes in
            bytes.baseAddress.map { library.send(socket, $0, bytes.count, ZeroMQ.Constant.dontWait) } ?? 0
        }
        guard result < 0, message.mayWait else { return true }
        lock.withLock {
            queue.removeAll { !$0.mayWait }
            queue.insert(message, at: 0)
        }
        return false
    }

    private func receiveOne() -> Bool {
        let message = ZeroMQ.Pointer.allocate(
            byteCount: ZeroMQ.Constant.message, alignment: MemoryLayout<UnsafeRawPointer>.alignment)
        defer { message.deallocate() }
        _ = library.beginMessage(message)
        defer { _ = library.endMessage(message) }
        guard library.receive(message, socket, ZeroMQ.Constant.dontWait) >= 0 else { return false }
        let size = library.messageSize(message)
        guard let data = library.messageData(message), size > 0 else { return true }
        deliver(Array(UnsafeRawBufferPointer(start: data, count: size)))
        return true
    }
}
