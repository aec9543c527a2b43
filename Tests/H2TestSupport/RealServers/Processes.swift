import H2Platform

/// What starting or running another program met.
public struct ProcessFailure: Error, CustomStringConvertible {
    public var description: String

    public init(_ description: String) { self.description = description }
}

/// Other programs: found, run to their end, or started to be ended later.
public enum Program {
    /// The path of a command, looked for in PATH and where Debian keeps its servers; nil where it is not installed. A
    /// command with a slash is a path already.
    public static func path(of command: String) -> String? {
        if command.contains("/") { return access(command, X_OK) == 0 ? command : nil }
        let path = getenv("PATH").map { String(cString: $0) } ?? ""
        return (path.split(separator: ":").map(String.init) + ["/usr/sbin", "/sbin", "/usr/bin", "/bin"])
            .map { "\($0)/\(command)" }
            .first { access($0, X_OK) == 0 }
    }

    /// What a program that ended had to say.
    public struct Outcome: Sendable {
        /// The exit code; 128 and the signal's number where a signal ended it.
        public var exitCode: Int
        /// Standard output and standard error, in the order of writing.
        public var output: String
    }

    /// Runs a program to its end, which has to come soon, and returns what it wrote to standard output and standard error.
    /// - Throws: `ProcessFailure`, with that text, where the program is missing or does not exit with 0.
    @discardableResult
    public static func run(_ command: String, _ arguments: [String]) throws -> String {
        guard let program = path(of: command) else { throw ProcessFailure("\(command) is not installed") }
        let log = try TemporaryDirectory.shared.newPath("run")
        defer { unlink(log) }
        let pid = try spawn(program, arguments, output: log)
        var status: CInt = 0
        while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
        let text = try readText(log)
        guard status == 0 else {
            throw ProcessFailure("\(command) \(arguments.joined(separator: " ")) ended with \(status): \(text)")
        }
        return text
    }

    /// As `run`, for a program that takes longer: blocks no thread, and ends the program where the task is cancelled.
    /// - Parameter program: a command, or a path with a slash.
    /// - Throws: `ProcessFailure` where the program is missing, `CancellationError`.
    public static func finish(
        _ program: String, _ arguments: [String], environment: [String: String] = [:], input: String = "/dev/null"
    ) async throws -> Outcome {
        guard let path = path(of: program) else {
            throw ProcessFailure("\(program) is not installed")
        }
        let log = try TemporaryDirectory.shared.newPath("run")
        defer { unlink(log) }
        let pid = try spawn(path, arguments, environment: environment, input: input, output: log)
        TemporaryDirectory.shared.started(pid)
        defer { TemporaryDirectory.shared.ended(pid) }
        var status: CInt = 0
        while waitpid(pid, &status, WNOHANG) == 0 {
            do {
                try await Task.sleep(for: .milliseconds(5))
            } catch {
                kill(-pid, SIGKILL)
                while waitpid(pid, nil, 0) < 0 && errno == EINTR {}
                throw error
            }
        }
        let signal = Int(status & 0x7f)
        return Outcome(exitCode: signal == 0 ? Int(status >> 8) & 0xff : 128 + signal, output: try readText(log))
    }

    /// Starts a program in a process group of its own, with nothing of this process but its environment.
    static func spawn(
        _ program: String, _ arguments: [String], environment: [String: String] = [:], input: String = "/dev/null",
        output: String
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        return try spawn(program, arguments, environment: environment, actions: &actions)
    }

    static func spawn(
        _ program: String, _ arguments: [String], environment: [String: String] = [:],
        actions: inout posix_spawn_file_actions_t
    ) throws -> pid_t {
        // A descriptor of another test that came along would keep its other end waiting for as long as this program runs;
        // Foundation's Process, for one, learns of a child's end from a socket that only the child should hold.
        _ = closeFrom?(&actions, 3)

        // Signals that a test runner ignores or blocks would stay so in the program: a server that ignores SIGPIPE by
        // inheritance, or never sees SIGTERM, is not the server that users run.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))

        var variables: [String] = environment.map { "\($0.key)=\($0.value)" }
        var at = environ
        while let entry = at.pointee {
            let text = String(cString: entry)
            if environment[String(text.prefix { $0 != "=" })] == nil { variables.append(text) }
            at += 1
        }
        var pid: pid_t = 0
        let error = withCStrings([program] + arguments) { argv in
            withCStrings(variables) { posix_spawn(&pid, program, &actions, &attributes, argv, $0) }
        }
        guard error == 0 else { throw ProcessFailure("cannot start \(program): \(String(cString: strerror(error)))") }
        return pid
    }

    /// posix_spawn_file_actions_addclosefrom_np of glibc 2.34, which is declared for _GNU_SOURCE alone.
    private static let closeFrom: CloseFrom? =
        dlsym(nil, "posix_spawn_file_actions_addclosefrom_np").map { unsafeBitCast($0, to: CloseFrom.self) }

    private typealias CloseFrom =
        @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, CInt) -> CInt

    private static func withCStrings<R>(
        _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> R
    ) -> R {
        let pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) } + [nil]
        defer { pointers.forEach { free($0) } }
        return pointers.withUnsafeBufferPointer { body($0.baseAddress!) }
    }
}

/// The whole text of a file.
public func readText(_ path: String) throws -> String { String(decoding: try readBytes(path), as: UTF8.self) }

/// The whole bytes of a file.
public func readBytes(_ path: String) throws -> [UInt8] {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw ProcessFailure("cannot open \(path): \(String(cString: strerror(errno)))") }
    defer { close(file) }
    var status = stat()
    fstat(file, &status)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Int(status.st_size))
    while true {
        let chunk = [UInt8](unsafeUninitializedCapacity: 1 << 20) { buffer, count in
            count = max(0, read(file, buffer.baseAddress!, buffer.count))
        }
        if chunk.isEmpty { return bytes }
        bytes += chunk
    }
}

/// Makes or replaces a file.
public func writeText(_ text: String, to path: String) throws {
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw ProcessFailure("cannot write \(path): \(String(cString: strerror(errno)))") }
    defer { close(file) }
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        let written = rest.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
        guard written > 0 else { throw ProcessFailure("cannot write \(path): \(String(cString: strerror(errno)))") }
        rest = rest.dropFirst(written)
    }
}

/// The SHA-256 of a file, in hexadecimal, by another program than the one under test.
public func sha256(ofFile path: String) throws -> String {
    String(try Program.run("sha256sum", [path]).prefix { $0 != " " })
}
