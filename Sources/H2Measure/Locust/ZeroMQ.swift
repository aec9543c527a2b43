import H2Platform

/// The functions of libzmq, which is loaded when they are first used.
///
/// Invariant behind `@unchecked Sendable`: the pointers are set once, and the library is never unloaded. A socket itself
/// belongs to one thread (`ZeroMQDealer`).
struct ZeroMQ: @unchecked Sendable {
    typealias Pointer = UnsafeMutableRawPointer

    let newContext: @convention(c) () -> Pointer?
    let endContext: @convention(c) (Pointer) -> CInt
    let newSocket: @convention(c) (Pointer, CInt) -> Pointer?
    let close: @convention(c) (Pointer) -> CInt
    let setOption: @convention(c) (Pointer, CInt, UnsafeRawPointer, Int) -> CInt
    let option: @convention(c) (Pointer, CInt, Pointer, UnsafeMutablePointer<Int>) -> CInt
    let connect: @convention(c) (Pointer, UnsafePointer<CChar>) -> CInt
    let send: @convention(c) (Pointer, UnsafeRawPointer, Int, CInt) -> CInt
    let beginMessage: @convention(c) (Pointer) -> CInt
    let receive: @convention(c) (Pointer, Pointer, CInt) -> CInt
    let messageData: @convention(c) (Pointer) -> Pointer?
    let messageSize: @convention(c) (Pointer) -> Int
    let endMessage: @convention(c) (Pointer) -> CInt
    let lastError: @convention(c) () -> CInt
    let text: @convention(c) (CInt) -> UnsafePointer<CChar>?

    /// From zmq.h. `message` is the size of `zmq_msg_t`.
    enum Constant {
        static let dealer: CInt = 5
        static let routingID: CInt = 5
        static let descriptor: CInt = 14
        static let events: CInt = 15
        static let linger: CInt = 17
        static let reconnectInterval: CInt = 18
        static let maximumReconnectInterval: CInt = 21
        static let maximumMessageSize: CInt = 22
        static let keepAlive: CInt = 34
        static let keepAliveIdle: CInt = 36
        static let immediate: CInt = 39
        static let ipv6: CInt = 42
        static let heartbeatInterval: CInt = 75
        static let heartbeatLifetime: CInt = 76
        static let heartbeatTimeout: CInt = 77
        static let mayRead: CInt = 1
        static let dontWait: CInt = 1
        static let message = 64
    }

    /// Nil if the library is not installed.
    static let shared = ZeroMQ()

    private init?() {
        guard
            let library = dlopen("libzmq.so.5", RTLD_NOW | RTLD_LOCAL)
                ?? dlopen("libzmq.5.dylib", RTLD_NOW | RTLD_LOCAL),
            let newContext = dlsym(library, "zmq_ctx_new"), let endContext = dlsym(library, "zmq_ctx_term"),
            let newSocket = dlsym(library, "zmq_socket"), let close = dlsym(library, "zmq_close"),
            let setOption = dlsym(library, "zmq_setsockopt"), let option = dlsym(library, "zmq_getsockopt"),
            let connect = dlsym(library, "zmq_connect"), let send = dlsym(library, "zmq_send"),
            let beginMessage = dlsym(library, "zmq_msg_init"), let receive = dlsym(library, "zmq_msg_recv"),
            let messageData = dlsym(library, "zmq_msg_data"), let messageSize = dlsym(library, "zmq_msg_size"),
            let endMessage = dlsym(library, "zmq_msg_close"), let lastError = dlsym(library, "zmq_errno"),
            let text = dlsym(library, "zmq_strerror")
        else { return nil }
        // The signatures are those of zmq.h, version 4.
        func cast<Function>(_ symbol: Pointer) -> Function { unsafeBitCast(symbol, to: Function.self) }
        self.newContext = cast(newContext)
        self.endContext = cast(endContext)
        self.newSocket = cast(newSocket)
        self.close = cast(close)
        self.setOption = cast(setOption)
        self.option = cast(option)
        self.connect = cast(connect)
        self.send = cast(send)
        self.beginMessage = cast(beginMessage)
        self.receive = cast(receive)
        self.messageData = cast(messageData)
        self.messageSize = cast(messageSize)
        self.endMessage = cast(endMessage)
        self.lastError = cast(lastError)
        self.text = cast(text)
    }

    var errorText: String { text(lastError()).map { String(cString: $0) } ?? "an unknown error" }
}
