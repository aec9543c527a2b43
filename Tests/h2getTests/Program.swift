import Foundation
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
        var folder = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
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
        _ arguments: [String], input: Data? = nil, in folder: String? = nil, limit: Double = 60,
        output: String? = nil, whileRunning: (@Sendable (Int32) -> Void)? = nil
    ) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(
                    with: Swift.Result {
                        try runBlocking(
                            arguments, input: input, folder: folder, limit: limit, output: output,
                            whileRunning: whileRunning)
                    })
            }
        }
    }

    private static func runBlocking(
        _ arguments: [String], input: Data?, folder: String?, limit: Double, output: String?,
        whileRunning: (@Sendable (Int32) -> Void)?
    ) throws -> Result {
        // Files rather than pipes: they cannot fill up.
        let scratch = try TemporaryFolder()
        let outputPath = output ?? scratch.path("out")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        if let folder { process.currentDirectoryURL = URL(fileURLWithPath: folder) }
        if output == nil { try scratch.write("", to: "out") }
        try scratch.write("", to: "err")
        process.standardOutput = FileHandle(forWritingAtPath: outputPath)
        process.standardError = FileHandle(forWritingAtPath: scratch.path("err"))
        if let input {
            try input.write(to: URL(fileURLWithPath: scratch.path("in")))
            process.standardInput = FileHandle(forReadingAtPath: scratch.path("in"))
        } else {
            process.standardInput = FileHandle.nullDevice
        }
        try process.run()
        let number = process.processIdentifier
        if let whileRunning { Thread.detachNewThread { whileRunning(number) } }
        let end = Date().addingTimeInterval(limit)
        while process.isRunning, Date() < end { usleep(2000) }
        if process.isRunning {
            kill(number, SIGKILL)
            process.waitUntilExit()
            Issue.record("h2get \(arguments.joined(separator: " ")) did not end within \(limit) s")
        }
        return Result(
            status: process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus,
            output: output == nil ? try scratch.data("out") : Data(), errors: try scratch.read("err"))
    }

    /// Waits for something to become true, 20 s at most.
    static func waitUntil(_ condition: () -> Bool) -> Bool {
        let end = Date().addingTimeInterval(20)
        while Date() < end {
            if condition() { return true }
            usleep(2000)
        }
        return false
    }
}
