public import H2Platform

/// A server that a test started: waited for, signalled, restarted, and ended by its process group, so that nothing of it
/// stays behind.
public actor ServerProcess {
    /// The command's name, for messages.
    public nonisolated let name: String
    private let program: String
    private let arguments: [String]
    private let environment: [String: String]
    private let logFile: String
    private let ports: [Int]
    private let stopSignal: CInt
    private var pid: pid_t?

    /// The first process, whose group the others are in; nil where it does not run.
    public var processID: Int32? { pid }

    /// - Parameters:
    ///   - ports: those on 127.0.0.1 that must accept before the server counts as started.
    ///   - stopSignal: what ends it at once, without waiting for connections.
    public init(
        _ command: String, _ arguments: [String], environment: [String: String] = [:], ports: [Int],
        stopSignal: CInt = SIGTERM
    ) throws {
        guard let program = Program.path(of: command) else { throw ProcessFailure("\(command) is not installed") }
        self.name = String(command.split(separator: "/").last ?? "")
        self.program = program
        self.arguments = arguments
        self.environment = environment
        self.ports = ports
        self.stopSignal = stopSignal
        self.logFile = try TemporaryDirectory.shared.newPath("\(name).log")
    }

    /// What the server wrote so far.
    public nonisolated var log: String { (try? readText(logFile)) ?? "" }

    /// Starts the server and waits until each of its ports accepts.
    /// - Throws: `ProcessFailure`, with the server's log, where it ends or does not accept within 15 seconds.
    public func start() async throws {
        precondition(pid == nil, "\(name) runs already")
        let pid = try Program.spawn(program, arguments, environment: environment, output: logFile)
        self.pid = pid
        TemporaryDirectory.shared.started(pid)
        let deadline = ContinuousClock.now + .seconds(15)
        for port in ports {
            while !LoopbackPort.accepts(port) {
                if hasEnded() { throw ProcessFailure("\(name) ended instead of serving:\n\(log)") }
                guard ContinuousClock.now < deadline else {
                    await stop()
                    throw ProcessFailure("\(name) does not accept on port \(port):\n\(log)")
                }
                try await Task.sleep(for: .milliseconds(5))
            }
        }
    }

    /// Sends a signal to the server's first process.
    public func signal(_ signal: Int32) {
        if let pid { kill(pid, signal) }
    }

    /// Ends the server and all its children, and waits until it is gone. Does nothing where it does not run.
    public func stop() async {
        guard let pid else { return }
        kill(pid, stopSignal)
        let deadline = ContinuousClock.now + .seconds(3)
        while !hasEnded() && ContinuousClock.now < deadline { await pause() }
        crash()
        // Children that outlived the first process are in its group still.
        kill(-pid, SIGKILL)
    }

    /// Kills the server and all its children at once, as a crash would.
    public func crash() {
        guard let pid else { return }
        kill(-pid, SIGKILL)
        while waitpid(pid, nil, 0) < 0 && errno == EINTR {}
        forget()
    }

    /// How a server ends that is restarted.
    public enum Ending: Sendable {
        /// By the signal that ends it at once.
        case stop
        /// By SIGKILL.
        case crash
    }

    /// Ends the server and starts it again on the same ports.
    /// - Throws: `ProcessFailure`, as `start`, and where a port still accepts 5 seconds after the end.
    public func restart(after ending: Ending = .crash) async throws {
        switch ending {
        case .stop: await stop()
        case .crash: crash()
        }
        // Children that were killed hold their listening sockets until they are gone, which is not ours to wait for: a
        // port that accepts by one of them would be taken for the new server's.
        let deadline = ContinuousClock.now + .seconds(5)
        for port in ports {
            while LoopbackPort.accepts(port) {
                guard ContinuousClock.now < deadline else {
                    throw ProcessFailure("\(name) was ended, and port \(port) still accepts")
                }
                await pause()
            }
        }
        try await start()
    }

    /// Sends a signal and waits until the first process has a child that it had not before.
    /// - Throws: `ProcessFailure` where it has none within 10 seconds.
    func renewWorkers(by signal: Int32) async throws {
        guard let pid else { throw ProcessFailure("\(name) does not run") }
        let deadline = ContinuousClock.now + .seconds(10)
        // A server that has no worker yet may not have its signal handlers either.
        var old = Self.children(of: pid)
        while old.isEmpty {
            guard ContinuousClock.now < deadline, !hasEnded() else {
                throw ProcessFailure("\(name) has no worker:\n\(log)")
            }
            await pause()
            old = Self.children(of: pid)
        }
        kill(pid, signal)
        while Self.children(of: pid).isSubset(of: old) {
            guard ContinuousClock.now < deadline, !hasEnded() else {
                throw ProcessFailure("\(name) has no new worker:\n\(log)")
            }
            await pause()
        }
    }

    /// The processes whose parent that is, by /proc.
    private static func children(of parent: pid_t) -> Set<pid_t> {
        guard let folder = opendir("/proc") else { return [] }
        defer { closedir(folder) }
        var children: Set<pid_t> = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            // PID (NAME) STATE PARENT …
            guard let pid = pid_t(name), let line = try? readText("/proc/\(name)/stat") else { continue }
            let fields = line[(line.lastIndex(of: ")") ?? line.startIndex)...].split(separator: " ")
            if fields.count > 2, fields[2] == "\(parent)" { children.insert(pid) }
        }
        return children
    }

    /// Waits until the server's first process has ended by itself; false where it still runs after `limit`.
    public func ends(within limit: Duration) async -> Bool {
        let deadline = ContinuousClock.now + limit
        while !hasEnded() {
            guard ContinuousClock.now < deadline else { return false }
            await pause()
        }
        return true
    }

    private func hasEnded() -> Bool {
        guard let pid else { return true }
        guard waitpid(pid, nil, WNOHANG) == pid else { return false }
        forget()
        return true
    }

    private func forget() {
        if let pid { TemporaryDirectory.shared.ended(pid) }
        pid = nil
    }

    /// 5 ms that also pass where the task is cancelled, since a server has to be ended then most of all.
    private func pause() async {
        await Task { try? await Task.sleep(for: .milliseconds(5)) }.value
    }
}

/// Ports on 127.0.0.1.
public enum LoopbackPort {
    private static let next = Counter(.random(in: 12_000...30_000))

    /// A port that nothing listens on, never the same twice in a process. It is below those that the system gives to
    /// outgoing connections, so that a client's socket does not take it before the server does.
    public static func unused() throws -> Int {
        for _ in 0..<1_000 {
            let port = next.increment()
            if withSocket(port, { H2Platform.bind($0, $1, $2) }) == 0 { return port }
        }
        throw ProcessFailure("no unused port")
    }

    /// Whether something accepts connections there.
    public static func accepts(_ port: Int) -> Bool { withSocket(port) { H2Platform.connect($0, $1, $2) } == 0 }

    private static func withSocket(
        _ port: Int, _ body: (CInt, UnsafePointer<sockaddr>, socklen_t) -> CInt
    ) -> CInt {
        let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        var yes: CInt = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<CInt>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(INADDR_LOOPBACK).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
