import Foundation
import H2Client
import H2Measure
import H2TestSupport
import Synchronization
import Testing

@Suite(.inTurn) struct RequestLogTests {
    private func lines(_ path: String) throws -> [String] {
        let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self)
        #expect(text.hasSuffix("\n"))
        return text.dropLast().split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    @Test func `A line has every figure of a request`() async throws {
        let path = try TemporaryDirectory.shared.newPath("requests.csv")
        let log = try RequestLog(path: path)
        log.append(
            start: 1_234_567_891, intendedStart: 1_000_000_000, latency: 2_345_678, corrected: 236_913_569,
            firstByte: 1_000_001, status: 200, bytes: 3, connection: 4, stream: 2001, result: .done, attempts: 1)
        log.append(
            start: -1_500_000, intendedStart: -2_000_000_999, latency: 0, corrected: .max, firstByte: nil, status: 0,
            bytes: .max, connection: 1, stream: 0, result: .failed("GOAWAY: \"x\",\ny"), attempts: 3)
        try await log.finish()
        let lines = try lines(path)
        #expect(
            lines == [
                "start_seconds,intended_start_seconds,latency_us,corrected_us,first_byte_us,status,bytes,connection,stream,"
                    + "result,attempts",
                "1.234567,1.000000,2345.678,236913.569,1000.001,200,3,4,2001,done,1",
                "-0.001500,-2.000000,0.000,18446744073709551.615,,,9223372036854775807,1,0,\"GOAWAY: \"\"x\"\", y\",3",
            ])
        #expect(lines.allSatisfy { $0.filter { $0 == "," }.count >= 10 })
    }

    @Test(arguments: [0, 1, 9, 10, 99, 100, 999_999, 1_000_000, 12_345_678_901, Int.max])
    func `Numbers have all their digits`(_ value: Int) async throws {
        let path = try TemporaryDirectory.shared.newPath("requests.csv")
        let log = try RequestLog(path: path)
        log.append(
            start: 0, intendedStart: 0, latency: 0, corrected: 0, firstByte: 0, status: value, bytes: value,
            connection: value, stream: value, result: .done, attempts: value)
        try await log.finish()
        let status = value == 0 ? "" : "\(value)"
        #expect(
            try lines(path)[1]
                == "0.000000,0.000000,0.000,0.000,0.000,\(status),\(value),\(value),\(value),done,\(value)")
    }

    @Test func `A long cause is cut between characters`() async throws {
        let path = try TemporaryDirectory.shared.newPath("requests.csv")
        let log = try RequestLog(path: path)
        for cause in [String(repeating: "漢", count: 5000), String(repeating: "\"", count: 5000)] {
            for _ in 0..<200 {
                log.append(
                    start: 0, intendedStart: 0, latency: 0, corrected: 0, firstByte: 0, status: 0, bytes: 0,
                    connection: 0,
                    stream: 0, result: .failed(cause), attempts: 1)
            }
        }
        try await log.finish()
        let lines = try lines(path)
        #expect(lines.count == 401)
        #expect(lines[1].hasSuffix(",\(String(repeating: "漢", count: 333)),1"))
        #expect(lines[400].hasSuffix(",\"\(String(repeating: "\"", count: 2000))\",1"))
    }

    @Test func `Lines of several threads never mix`() async throws {
        let path = try TemporaryDirectory.shared.newPath("requests.csv")
        let first = try RequestLog(path: path)
        let (writers, each) = (4, 20_000)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 1...writers {
                let log = first.beside()
                group.addTask {
                    for index in 0..<each {
                        log.append(
                            start: Int64(index), intendedStart: 0, latency: 1, corrected: 1, firstByte: 1, status: 200,
                            bytes: index, connection: writer, stream: index, result: .done, attempts: 1)
                    }
                    try await log.finish()
                }
            }
            try await group.waitForAll()
        }
        try await first.finish()
        let lines = try lines(path)
        #expect(lines.count == 1 + writers * each)
        #expect(lines[0] + "\n" == RequestLog.header)
        var next = [Int](repeating: 0, count: writers + 1)
        for line in lines.dropFirst() {
            let fields = line.split(separator: ",")
            guard fields.count == 11, let writer = Int(fields[7]), let index = Int(fields[8]) else {
                Issue.record("a line that is none: \(line)")
                return
            }
            // Of each thread in its own order.
            guard next[writer] == index else {
                Issue.record("\(index) came where \(next[writer]) was to come")
                return
            }
            next[writer] += 1
        }
        #expect(next.dropFirst().allSatisfy { $0 == each })
    }

    @Test func `An older log is replaced`() async throws {
        let path = try TemporaryDirectory.shared.newPath("requests.csv")
        try Data("old\n".utf8).write(to: URL(fileURLWithPath: path))
        try await RequestLog(path: path).finish()
        #expect(try lines(path).count == 1)
    }

    @Test func `A file that cannot be made is said`() {
        let error = #expect(throws: H2Error.self) { _ = try RequestLog(path: "/nowhere/requests.csv") }
        #expect(error?.code == .localIO)
        #expect(error?.description.contains("/nowhere/requests.csv") == true)
    }

    /// Nothing is ever written to this device.
    @Test func `An error of writing is kept and reported at the end`() async throws {
        let error = #expect(throws: H2Error.self) { _ = try RequestLog(path: "/dev/full") }
        #expect(error?.code == .localIO)
        #expect(error?.description.contains("No space left") == true)

        // As later: the header went well, and then the reader was gone.
        let path = try TemporaryDirectory.shared.newPath("pipe")
        try #require(mkfifo(path, 0o600) == 0)
        signal(SIGPIPE, SIG_IGN)
        let reader = open(path, O_RDONLY | O_NONBLOCK)
        let log = try RequestLog(path: path)
        close(reader)
        for index in 0..<10_000 {
            log.append(
                start: 0, intendedStart: 0, latency: 0, corrected: 0, firstByte: 0, status: 200, bytes: index,
                connection: 1, stream: 1, result: .done, attempts: 1)
        }
        for _ in 0..<2 {
            let failure = await #expect(throws: H2Error.self) { try await log.finish() }
            #expect(
                failure?.description.contains("10000 lines are missing from the request log") == true,
                "\(String(describing: failure))")
        }
    }

    private func fill(_ log: RequestLog, _ count: Int) {
        for index in 0..<count {
            log.append(
                start: 0, intendedStart: 0, latency: 0, corrected: 0, firstByte: 0, status: 200, bytes: index,
                connection: 1, stream: 1, result: .done, attempts: 1)
        }
    }

    /// A FIFO whose reader is there and reads nothing until it is told to.
    private func pipe() throws -> (path: String, reader: CInt) {
        let path = try TemporaryDirectory.shared.newPath("pipe")
        try #require(mkfifo(path, 0o600) == 0)
        let reader = open(path, O_RDONLY | O_NONBLOCK)
        try #require(reader >= 0)
        return (path, reader)
    }

    @Test func `A slow reader holds nothing up and gets all that fits into the queue`() async throws {
        let (path, reader) = try pipe()
        let log = try RequestLog(path: path)
        // More than a pipe takes. It returns although nobody reads.
        fill(log, 20_000)
        async let lines = Self.lines(reader)
        try await log.finish()
        #expect(try await lines == 20_001)
    }

    @Test func `Lines beyond the queue are dropped and counted`() async throws {
        let (path, reader) = try pipe()
        let log = try RequestLog(path: path, queueLimit: 200_000)
        fill(log, 20_000)
        async let read = Self.lines(reader)
        let failure = await #expect(throws: H2Error.self) { try await log.finish() }
        let lines = try await read
        #expect(lines < 20_001)
        let message = "\(20_001 - lines) lines are missing from the request log '\(path)': its reader was too slow"
        #expect(failure?.description.contains(message) == true, "\(String(describing: failure))")
    }

    @Test func `A cancelled measurement waits only a little for a reader`() async throws {
        let (path, reader) = try pipe()
        defer { close(reader) }
        let log = try RequestLog(path: path)
        fill(log, 20_000)
        let task = Task { try await log.finish() }
        task.cancel()
        let failure = await #expect(throws: H2Error.self) { try await task.value }
        #expect(failure?.description.contains("its reader stopped reading") == true, "\(String(describing: failure))")
    }

    @Test func `A cancelled measurement does not wait for a reader that trickles`() async throws {
        let (path, reader) = try pipe()
        let log = try RequestLog(path: path)
        // 20 MB, of which the reader takes 4 KiB at a time: it would need minutes.
        fill(log, 400_000)
        let isOver = Mutex(false)
        Thread.detachNewThread {
            var buffer = [UInt8](repeating: 0, count: 4_096)
            while !isOver.withLock({ $0 }) {
                _ = read(reader, &buffer, buffer.count)
                letTimePass(.milliseconds(20))
            }
            close(reader)
        }
        let task = Task { try await log.finish() }
        task.cancel()
        let failure = await #expect(throws: H2Error.self) { try await task.value }
        isOver.withLock { $0 = true }
        #expect(failure?.description.contains("its reader stopped reading") == true, "\(String(describing: failure))")
    }

    @Test func `The last of several logs has counted the lines of all`() async throws {
        let (path, reader) = try pipe()
        let first = try RequestLog(path: path)
        close(reader)
        let second = first.beside()
        fill(first, 10)
        fill(second, 20)
        await #expect(throws: H2Error.self) { try await first.finish() }
        let failure = await #expect(throws: H2Error.self) { try await second.finish() }
        #expect(failure?.description.contains("30 lines are missing") == true, "\(String(describing: failure))")
    }

    /// How many lines came until the writer closed, each of them whole.
    private static func lines(_ reader: CInt) async throws -> Int {
        try await withCheckedThrowingContinuation { continuation in
            Thread {
                _ = fcntl(reader, F_SETFL, 0)
                var (text, buffer) = (Data(), [UInt8](repeating: 0, count: 65_536))
                while true {
                    var entry = pollfd(fd: reader, events: Int16(POLLIN), revents: 0)
                    // The writer's descriptor lives as long as its log: it has written all once nothing comes for a second.
                    guard poll(&entry, 1, 1_000) > 0 else { break }
                    let count = read(reader, &buffer, buffer.count)
                    if count <= 0 { break }
                    text.append(contentsOf: buffer[..<count])
                }
                close(reader)
                let lines = text.split(separator: UInt8(ascii: "\n"))
                let areWhole = lines.dropFirst().allSatisfy { $0.count { $0 == UInt8(ascii: ",") } == 10 }
                continuation.resume(
                    with: areWhole && text.last == UInt8(ascii: "\n")
                        ? .success(lines.count) : .failure(POSIXError(.EIO)))
            }.start()
        }
    }
}
