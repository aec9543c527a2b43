public import H2Platform

/// A program under way, started by posix_spawn and awaited by waitpid.
///
/// Not Foundation's `Process`: that learns of a child's end by a socket whose other end every program inherits that is
/// started meanwhile, so a child beside a long-lived server seems to run for ever.
public struct ChildProcess: Sendable {
    public let pid: pid_t

    /// Where a stream of the child goes or comes from.
    public enum Stream: Sendable {
        case nothing
        case file(String)
        case descriptor(CInt)
    }

    public enum End: Sendable, Equatable {
        case exited(Int32)
        case signalled(Int32)

        /// The exit code, or minus the signal.
        public var status: Int32 {
            switch self {
            case .exited(let code): code
            case .signalled(let signal): -signal
            }
        }
    }

    /// Starts it in a process group of its own.
    /// - Parameter environment: variables besides this process's, or in their place.
    /// - Throws: `ProcessFailure`.
    public init(
        _ program: String, _ arguments: [String], in folder: String? = nil, input: Stream = .nothing,
        output: Stream = .nothing, errors: Stream = .nothing, environment: [String: String] = [:]
    ) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (number, stream) in [(CInt(0), input), (1, output), (2, errors)] {
            let flags = number == 0 ? O_RDONLY : O_WRONLY | O_CREAT | O_APPEND
            switch stream {
            case .nothing: posix_spawn_file_actions_addopen(&actions, number, "/dev/null", O_RDWR, 0)
            case .file(let path): posix_spawn_file_actions_addopen(&actions, number, path, flags, 0o644)
            case .descriptor(let descriptor): posix_spawn_file_actions_adddup2(&actions, descriptor, number)
            }
        }
        // posix_spawn's own change of folder is a GNU extension that Swift's Glibc module leaves out.
        pid = try Program.spawn(
            folder == nil ? program : "/usr/bin/env",
            folder.map { ["--chdir=\($0)", program] + arguments } ?? arguments, environment: environment,
            actions: &actions)
    }

    /// How it ended, once it has; nil while it runs. The end is told once.
    public func poll() -> End? {
        var status: CInt = 0
        guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
        let signal = status & 0x7f
        return signal == 0 ? .exited(Int32(status >> 8) & 0xff) : .signalled(signal)
    }

    /// Waits for the end, blocking the thread; nil after `seconds`, and the whole process group is killed.
    public func wait(seconds: Double) -> End? {
        var end: End?
        let hasEnded = becomes(within: .seconds(seconds)) {
            end = poll()
            return end != nil
        }
        if hasEnded { return end }
        kill(-pid, SIGKILL)
        while waitpid(pid, nil, 0) < 0 && errno == EINTR {}
        return nil
    }
}
