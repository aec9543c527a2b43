import H2Platform

/// A folder for everything that one test process makes, and a watch over what it starts.
///
/// Both have to go also when the test process crashes or is killed, so neither is left to code that runs at exit here:
/// a shell holds the reading end of a pipe, is told of each process that is started or ended, and, when this process
/// is gone and the pipe with it, kills what is left and removes the folder.
public final class TemporaryDirectory: Sendable {
    /// The folder of this process.
    public static let shared = TemporaryDirectory()

    /// Its path. Servers that give up root's rights can enter it too.
    public let path: String
    private let watch: CInt

    private static let watcher = """
        pids=
        while read -r verb what; do
            case $verb in
                start) pids="$pids $what" ;;
                end) left=; for pid in $pids; do [ "$pid" = "$what" ] || left="$left $pid"; done; pids=$left ;;
            esac
        done
        for pid in $pids; do kill -KILL "-$pid"; done
        rm -rf "$1"
        """

    private init() {
        var template = Array("/tmp/h2client-tests-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { fatalError("cannot make a folder in /tmp: errno \(errno)") }
        path = String(cString: made)
        chmod(path, 0o755)

        var ends: [CInt] = [-1, -1]
        guard pipe(&ends) == 0 else { fatalError("cannot make a pipe: errno \(errno)") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        watch = ends[1]
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        do {
            _ = try Program.spawn("/bin/sh", ["-c", Self.watcher, "watcher", path], actions: &actions)
        } catch { fatalError("\(error)") }
        posix_spawn_file_actions_destroy(&actions)
        close(ends[0])
    }

    /// A path in the folder that nothing uses yet.
    public func newPath(_ name: String) throws -> String {
        "\(path)/\(name)-\(UInt64.random(in: 0...UInt64.max))"
    }

    /// A new folder in the folder.
    public func newFolder(_ name: String, mode: UInt32 = 0o755) throws -> String {
        let folder = try newPath(name)
        guard mkdir(folder, 0o755) == 0, chmod(folder, mode) == 0 else {
            throw ProcessFailure("cannot make \(folder): errno \(errno)")
        }
        return folder
    }

    func started(_ pid: pid_t) { tell("start \(pid)\n") }

    func ended(_ pid: pid_t) { tell("end \(pid)\n") }

    private func tell(_ line: String) {
        // Shorter than PIPE_BUF, so that lines of several threads do not mix.
        let bytes = Array(line.utf8)
        _ = write(watch, bytes, bytes.count)
    }
}
