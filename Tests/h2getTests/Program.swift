import Foundation
import H2TestSupport
import Testing

/// The h2get binary as a user runs it.
enum Program {
    struct Result: Sendable {
        var status: Int32
        var output: Data
        var errors: String

        var text: String { String(decoding: output, as: UTF8.self) }
    }

    /// Beside the test bundle, where the package manager puts it.
    static let path: String = {
        var folder = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
            .deletingLastPathComponent()
        for _ in 0..<6 {
            let candidate = folder.appendingPathComponent("h2get").path
            var isFolder: ObjCBool = false
            if FileManager.default.fileExists(atPath: candidate, isDirectory: &isFolder), !isFolder.boolValue {
                return candidate
            }
            folder = folder.deletingLastPathComponent()
        }
        return "h2get"
    }()

    /// Runs it to its end, or kills it after `limit` seconds, which no test here needs.
    /// - Parameter whileRunning: gets the process's number; called off the cooperative pool.
    static func run(
        program: String = path, _ arguments: [String], input: Data? = nil, in folder: String? = nil,
        limit: Double = 60, output: String? = nil, whileRunning: (@Sendable (Int32) -> Void)? = nil
    ) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(
                    with: Swift.Result {
                        try runBlocking(
                            program, arguments, input: input, folder: folder, limit: limit, output: output,
                            whileRunning: whileRunning)
                    })
            }
        }
    }

    private static func runBlocking(
        _ program: String, _ arguments: [String], input: Data?, folder: String?, limit: Double, output: String?,
        whileRunning: (@Sendable (Int32) -> Void)?
    ) throws -> Result {
        // Files rather than pipes: they cannot fill up.
        let scratch = try TemporaryFolder()
        let outputPath = output ?? scratch.path("out")
        var standardInput = ChildProcess.Stream.nothing
        if let input {
            try input.write(to: URL(fileURLWithPath: scratch.path("in")))
            standardInput = .file(scratch.path("in"))
        }
        if output == nil { try scratch.write("", to: "out") }
        try scratch.write("", to: "err")
        let process = try ChildProcess(
            program, arguments, in: folder, input: standardInput, output: .file(outputPath),
            errors: .file(scratch.path("err")))
        if let whileRunning { Thread.detachNewThread { whileRunning(process.pid) } }
        let end = process.wait(seconds: limit)
        if end == nil { Issue.record("h2get \(arguments.joined(separator: " ")) did not end within \(limit) s") }
        return Result(
            status: end?.status ?? -SIGKILL, output: output == nil ? try scratch.data("out") : Data(),
            errors: try scratch.read("err"))
    }

    /// Runs a script with bash; its exit code.
    static func runShell(_ script: String, in folder: String, limit: Double = 280) async throws -> Int32 {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(
                    with: Swift.Result {
                        let process = try ChildProcess("/bin/bash", ["-c", script], in: folder)
                        // Past the limit the whole pipeline is killed, which is a process group.
                        let end = process.wait(seconds: limit)
                        if end == nil { Issue.record("the script did not end within \(limit) s: \(script)") }
                        return end?.status ?? -SIGKILL
                    })
            }
        }
    }

    /// Runs it with stdout and stderr on a terminal; `output` is what the terminal got.
    /// - Parameters:
    ///   - columns: how wide the terminal is; nil for one that does not say.
    ///   - received: gets each piece of the output, and returns the terminal's new width if it changes.
    static func runOnTerminal(
        _ arguments: [String], columns: UInt16? = nil, received: (@Sendable (Data) -> UInt16?)? = nil
    ) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(with: Swift.Result { try runOnTerminalBlocking(arguments, columns, received) })
            }
        }
    }

    private static func runOnTerminalBlocking(
        _ arguments: [String], _ columns: UInt16?, _ received: (@Sendable (Data) -> UInt16?)?
    ) throws -> Result {
        var (ours, theirs): (Int32, Int32) = (-1, -1)
        var size = winsize(ws_row: 24, ws_col: columns ?? 0, ws_xpixel: 0, ws_ypixel: 0)
        try #require(openpty(&ours, &theirs, nil, nil, &size) == 0)
        defer { close(ours) }
        // A terminal that shows colours: `swift test` sets NO_COLOR where its own output is not a terminal.
        let process = try ChildProcess(
            path, arguments, output: .descriptor(theirs), errors: .descriptor(theirs),
            environment: ["TERM": "xterm", "NO_COLOR": ""])
        close(theirs)
        var output = Data()
        let end = Date().addingTimeInterval(30)
        // The last writer's end is told as an error (EIO).
        while Date() < end {
            var entry = pollfd(fd: ours, events: Int16(POLLIN), revents: 0)
            guard poll(&entry, 1, 100) > 0 else { continue }
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = read(ours, &buffer, buffer.count)
            guard count > 0 else { break }
            output += buffer.prefix(count)
            guard let width = received?(Data(buffer.prefix(count))) else { continue }
            size.ws_col = width
            _ = ioctl(ours, UInt(TIOCSWINSZ), &size)
        }
        let status = process.wait(seconds: max(1, end.timeIntervalSinceNow))?.status ?? -SIGKILL
        return Result(status: status, output: output, errors: "")
    }

    /// Waits for something to become true; false if it does not within 100 s.
    static func eventually(_ condition: @Sendable () -> Bool) async -> Bool {
        (try? await H2TestSupport.eventually("it", within: .seconds(100), condition)) != nil
    }

    /// The same for `whileRunning`, which has a thread of its own.
    static func waitUntil(_ condition: () -> Bool) -> Bool {
        becomes(within: .seconds(100), condition)
    }
}
