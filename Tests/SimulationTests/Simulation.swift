import CNghttp2
import H2TestSupport
import HTTPTypes

@testable import H2Client

/// One seed: a connection, a server, a wire between them, requests, and what goes wrong.
///
/// Invariant behind `@unchecked Sendable`: all of it runs on its world's loop, which is one thread.
final class Simulation: @unchecked Sendable {
    /// What happens to the connection as a whole.
    enum Calamity: Equatable {
        case none
        case goAway(isTwoStep: Bool)
        case goAwayWithError
        case end
        case breakOff
        case close
        case closeNow
    }

    let seed: UInt64
    private var random: SeededGenerator
    let world = SimulatedWorld()
    private let wire: SimulatedWire
    private let server: SimulatedServer
    private var connection: HTTP2Connection?
    private weak var inner: Connection?
    private let plans: [Plan]
    let calamity: Calamity
    private var tasks: [Task<Void, Never>] = []

    /// How each request ended; a second end would be a problem of its own.
    private var outcomes: [String?]
    private(set) var problems: [String] = []
    private var trace: UInt64 = 0xcbf2_9ce4_8422_2325

    init(seed: UInt64) {
        self.seed = seed
        var random = SeededGenerator(seed: seed)
        let isCrowd = random.oneIn(2)
        let count = random.oneIn(4) ? random.int(1...3) : random.int(4...40)
        plans = (0..<count).map { Plan(index: $0, &random, isCrowd: isCrowd) }
        calamity = random.oneIn(3) ? Self.calamity(&random) : .none

        wire = SimulatedWire(world, shape: Self.shape(&random), seed: random.next())
        server = SimulatedServer(world, wire, settings: Self.settings(&random), seed: random.next())
        outcomes = Array(repeating: nil, count: count)
        self.random = random
        server.onRequest = { [unowned self] in serve($0) }
        server.onRequestEnd = { [unowned self] in requestEnded($0) }
        server.onAnswerEnd = { [unowned self] in answered($0) }
    }

    private static func calamity(_ random: inout SeededGenerator) -> Calamity {
        switch random.int(0...7) {
        case 0...1: .goAway(isTwoStep: random.oneIn(2))
        case 2: .goAwayWithError
        case 3: .end
        case 4: .breakOff
        case 5...6: .close
        default: .closeNow
        }
    }

    private static func shape(_ random: inout SeededGenerator) -> SimulatedWire.Shape {
        var shape = SimulatedWire.Shape()
        if random.oneIn(2) { shape.latency = 0...random.int(0...8_000_000) }
        shape.piece = random.oneIn(4) ? 1 << 20 : 1 + random.size(upTo: 20_000)
        // A byte at a time is worth a try, but not for everybody.
        if shape.piece < 50, !random.oneIn(6) { shape.piece = 500 }
        shape.room = random.oneIn(2) ? 1 << 20 : random.int(1...30_000)
        return shape
    }

    private static func settings(_ random: inout SeededGenerator) -> SimulatedServer.Settings {
        var settings = SimulatedServer.Settings()
        if random.oneIn(2) { settings.maxConcurrentStreams = random.int(1...12) }
        if random.oneIn(2) { settings.initialWindowSize = random.int(0...3) == 0 ? 1 : random.size(upTo: 100_000) + 1 }
        if random.oneIn(3) { settings.maxFrameSize = random.int(16_384...70_000) }
        if random.oneIn(3) { settings.headerTableSize = random.oneIn(2) ? 0 : random.int(0...8192) }
        if random.oneIn(3) { settings.readDelay = 0...random.int(0...3_000_000) }
        if random.oneIn(3) { settings.padding = random.int(1...255) }
        // A tiny window with a slow wire would take for ever.
        if let size = settings.initialWindowSize, size < 2_000 { settings.initialWindowSize = 2_000 }
        return settings
    }

    private var configuration: ConnectionConfiguration {
        var configuration = ConnectionConfiguration()
        switch random.int(0...3) {
        case 0: break
        case 1:
            configuration.windows.stream = 65_535
            configuration.windows.connection = 65_535
            configuration.windows.maximum = random.oneIn(2) ? 65_535 : 1 << 20
        case 2:
            configuration.windows.stream = 100_000
            configuration.windows.connection = 150_000
            configuration.windows.unreadLimit = random.int(0...300_000)
        default:
            configuration.windows.stream = 65_535
            configuration.windows.connection = 200_000
            configuration.windows.unreadLimit = random.int(0...100_000)
        }
        if random.oneIn(4) { configuration.limits.concurrentStreams = random.int(1...10) }
        if random.oneIn(6) { configuration.limits.waitingRequests = random.int(0...5) }
        configuration.timeouts.drain = .milliseconds(random.oneIn(3) ? random.int(0...50) : 20_000)
        return configuration
    }

    private var limitsQueue = false
    private var drainLimit = Duration.zero

    // MARK: - Running

    struct Result: Equatable {
        var problems: [String]
        var trace: UInt64
    }

    func run() -> Result {
        let configuration = configuration
        limitsQueue = configuration.limits.waitingRequests < 100
        drainLimit = configuration.timeouts.drain
        let origin = try! Origin(scheme: .http, host: "sim.example")
        connection = world.onLoop { [self] in
            HTTP2Connection(over: wire, to: origin, configuration: configuration, on: world.loop)
        }
        inner = connection?.connection
        for plan in plans { start(plan) }
        planDisturbances()
        let ending = world.run(within: .seconds(3600)) { outcomes.allSatisfy { $0 != nil } }
        if ending != .done {
            let left = plans.filter { outcomes[$0.index] == nil }
            problems.append(
                "\(ending), state \(String(describing: inner?.snapshot())): \(left.count) requests never ended, such as \(left.first!)"
            )
            return Result(problems: problems, trace: trace)
        }
        tasks = []
        world.run(within: .seconds(60))
        checkConnection()
        close()
        release()
        return Result(problems: problems, trace: trace)
    }

    private func start(_ plan: Plan) {
        world.after(plan.startAt) { [self] in
            let task = world.task { [self] in
                let outcome = await perform(plan)
                if outcomes[plan.index] != nil { problems.append("request \(plan.index) ended twice") }
                outcomes[plan.index] = outcome
                record("\(plan.index) \(outcome) at \(world.now)")
            }
            if let cancelAfter = plan.cancelAfter { world.after(cancelAfter) { task.cancel() } }
        }
    }

    private func planDisturbances() {
        for _ in 0..<(random.oneIn(2) ? random.int(0...4) : 0) {
            let from = UInt64(random.int(0...40_000_000))
            let length = UInt64(random.int(0...10_000_000))
            world.after(from) { [self] in wire.isStalled = true }
            world.after(from + length) { [self] in wire.isStalled = false }
        }
        for _ in 0..<(random.oneIn(2) ? random.int(0...5) : 0) {
            var settings = SimulatedServer.Settings()
            if random.oneIn(2) { settings.maxConcurrentStreams = random.int(0...20) }
            if random.oneIn(2) { settings.initialWindowSize = random.int(0...100_000) }
            // nghttp2 acknowledges every piece on its own while its window is none.
            if random.oneIn(6), wire.shape.piece >= 500 { settings.initialWindowSize = 0 }
            if random.oneIn(3) { settings.headerTableSize = random.int(0...5000) }
            world.after(UInt64(random.int(0...50_000_000))) { [self] in server.announce(settings) }
        }
        // However the limits were moved, in the end there is room again.
        var last = SimulatedServer.Settings()
        last.maxConcurrentStreams = random.int(3...20)
        last.initialWindowSize = 65_535
        world.after(60_000_000) { [self] in server.announce(last) }
        for _ in 0..<random.int(0...3) {
            world.after(UInt64(random.int(0...50_000_000))) { [self] in
                server.ping()
                world.task { [self] in
                    // Its own outcome says nothing: it must come to one.
                    if let connection { _ = try? await connection.ping(timeout: .milliseconds(20)) }
                }
            }
        }
        let time = UInt64(random.int(0...50_000_000))
        world.after(time) { [self] in strike() }
    }

    private func strike() {
        switch calamity {
        case .none: break
        case .goAway(let isTwoStep):
            if isTwoStep {
                server.announceGoAway()
                world.after(5_000_000) { [self] in server.goAway() }
            } else {
                server.goAway()
            }
        case .goAwayWithError: server.goAway(11, debugText: "calm down")
        case .end: wire.end()
        case .breakOff: wire.breakOff()
        case .close: world.task { [self] in await connection?.close() }
        case .closeNow: connection?.closeNow()
        }
    }

    private func record(_ line: String) {
        for byte in line.utf8 { trace = (trace ^ UInt64(byte)) &* 0x100_0000_01b3 }
    }

    // MARK: - The client

    private struct WriterGaveUp: Error {}

    private func perform(_ plan: Plan) async -> String {
        guard let connection else { return "no connection" }
        let request = HTTPRequest(method: plan.method, scheme: nil, authority: nil, path: plan.path)
        var options = RequestOptions()
        if let limit = plan.timeout { options.timeout = limit }
        if let limit = plan.queueTimeout { options.queueTimeout = limit }
        if let limit = plan.firstByteTimeout { options.firstByteTimeout = limit }
        if let limit = plan.bodyProgressTimeout { options.bodyProgressTimeout = limit }
        if let limit = plan.expectContinue { options.expectContinue = limit }
        if !plan.informational.isEmpty {
            options.onInformational = { [self] in record("\(plan.index) informed \($0.status.code)") }
        }
        do {
            let count: Int
            if plan.isFullDuplex {
                count = try await connection.send(request, body: body(plan), options: options) { response in
                    try await self.read(response, plan)
                }
            } else {
                count = try await read(try await connection.send(request, body: body(plan), options: options), plan)
            }
            if plan.readsToTheEnd, count != plan.bodySize {
                problems.append("request \(plan.index): \(count) bytes of \(plan.bodySize)")
            }
            return "ok \(count)"
        } catch {
            judge(error, plan)
            return "\(error)"
        }
    }

    private func body(_ plan: Plan) -> HTTPRequestBody {
        let trailers: HTTPFields? = plan.uploadTrailers ? [HTTPField.Name("x-up")!: "\(plan.index)"] : nil
        @Sendable func data(_ range: Range<Int>) -> [UInt8] { Plan.bytes(plan.index, range, salt: Plan.uploadSalt) }
        func pump(
            _ pieces: [Int], _ pause: UInt64, length: Int?, thenThrow: Bool = false
        ) -> HTTPRequestBody {
            .writer(length: length, trailers: trailers) { [self] writer in
                var at = 0
                for piece in pieces {
                    if pause > 0 { await world.sleep(pause) }
                    try await writer.write(data(at..<at + piece))
                    at += piece
                }
                if thenThrow { throw WriterGaveUp() }
            }
        }
        return switch plan.upload {
        case .none: plan.uploadTrailers ? .bytes([], trailers: trailers) : .empty
        case .bytes(let count): .bytes(data(0..<count), trailers: trailers)
        case .pieces(let pieces, let pause):
            pump(pieces, pause, length: plan.index % 2 == 0 ? plan.uploadSize : nil)
        case .piecesThenError(let pieces, let pause): pump(pieces, pause, length: nil, thenThrow: true)
        case .wrongLength(let stated, let real): pump([real], 0, length: stated)
        }
    }

    /// Bytes read; each is checked.
    private func read(_ response: StreamedResponse, _ plan: Plan) async throws -> Int {
        if response.status.code != plan.status { problems.append("request \(plan.index): status \(response.status)") }
        if response.firstValue(of: HTTPField.Name("x-index")!) != "\(plan.index)" {
            problems.append(
                "request \(plan.index) got the head of \(response.firstValue(of: HTTPField.Name("x-index")!) ?? "nobody")"
            )
        }
        var count = 0
        func check(_ bytes: [UInt8]) {
            if bytes != Plan.bytes(plan.index, count..<count + bytes.count) {
                problems.append("request \(plan.index): wrong bytes after \(count)")
            }
            count += bytes.count
        }
        switch plan.reading {
        case .collect: check(try await response.body.collect(upTo: 1 << 30))
        case .collectAtMost(let limit):
            // So that the body may be whole before its reader comes.
            if plan.index % 2 == 0 { await world.sleep(.milliseconds(10)) }
            check(try await response.body.collect(upTo: limit))
            if count > limit { problems.append("request \(plan.index): collected \(count) bytes, over \(limit)") }
        case .discard: count = try await response.body.discard()
        case .pieces(let pause):
            for try await piece in response.body {
                check(piece.bytes)
                if pause > 0 { await world.sleep(pause) }
            }
        case .pieceThenDiscard(let pause):
            var pieces = response.body.makeAsyncIterator()
            if let piece = try await pieces.next() { check(piece.bytes) }
            await world.sleep(pause)
            count += try await response.body.discard()
        case .drop(let pieceCount):
            var pieces = response.body.makeAsyncIterator()
            for _ in 0..<pieceCount {
                guard let piece = try await pieces.next() else { break }
                check(piece.bytes)
            }
            return count
        }
        if plan.hasTrailers, await response.trailerFields()?[HTTPField.Name("x-sum")!] != "\(plan.bodySize)" {
            problems.append("request \(plan.index): no trailers")
        }
        return count
    }

    /// Whether a request may end so.
    private func judge(_ error: any Error, _ plan: Plan) {
        guard plan.isClean else {
            if error is CancellationError, plan.cancelAfter == nil {
                problems.append("request \(plan.index) was told it was cancelled, and was not: \(plan)")
            }
            return
        }
        if limitsQueue, let error = error as? H2Error, error.code == .limitExceeded, error.isRetryable { return }
        // Sent before a lowered limit was known.
        if let error = error as? H2Error, error.http2Code == .refusedStream, error.initiator == .remote {
            if !error.isRetryable { problems.append("request \(plan.index) was refused, and may not be sent again") }
            return
        }
        switch calamity {
        case .none: problems.append("request \(plan.index) failed for no reason: \(error); \(plan)")
        case .goAway, .close:
            guard let error = error as? H2Error else {
                return problems.append("request \(plan.index) failed with \(error)")
            }
            // After GOAWAY without an error, and in a drain that has time, what was accepted is finished.
            let isDrainOver = error.cause == .timeout(.close, after: drainLimit)
            if !error.isRetryable && !isDrainOver {
                problems.append("request \(plan.index) failed, and may not be sent again: \(error)")
            }
        default:
            if !(error is H2Error) { problems.append("request \(plan.index) failed with \(error)") }
        }
    }

    // MARK: - The server

    private func plan(_ stream: SimulatedStream) -> Plan? { Int(stream.path.dropFirst()).map { plans[$0] } }

    private func serve(_ stream: SimulatedStream) {
        guard let plan = plan(stream) else { return stream.respond(200, [], hasBody: false) }
        if case .resetBeforeHead(let code) = plan.misdeed { return stream.reset(code) }
        if plan.answersEarly { answer(stream, plan) }
    }

    private func requestEnded(_ stream: SimulatedStream) {
        guard let plan = plan(stream) else { return }
        if stream.received.count != plan.uploadSize
            || stream.received != Plan.bytes(plan.index, 0..<plan.uploadSize, salt: Plan.uploadSalt)
        {
            problems.append("request \(plan.index): its body came as \(stream.received.count) bytes; \(plan)")
        }
        if plan.uploadTrailers, stream.trailers.first?.value != "\(plan.index)" {
            problems.append("request \(plan.index): its trailers did not come")
        }
        if !plan.answersEarly { answer(stream, plan) }
    }

    private func answer(_ stream: SimulatedStream, _ plan: Plan) {
        if plan.misdeed == .noAnswer { return }
        for status in plan.informational { stream.inform(status, [("x-early", "\(plan.index)")]) }
        if plan.expectContinue != nil, plan.index % 3 == 0 { stream.inform(100) }
        world.after(plan.answerDelay) { [self] in
            if case .resetBeforeHead(let code) = plan.misdeed { return stream.reset(code) }
            var fields = [
                ("x-index", "\(plan.index)"), ("x-filler", String(repeating: "f", count: plan.index * 13 % 300)),
            ]
            var length = plan.bodySize
            if case .wrongContentLength(let off) = plan.misdeed { length += off }
            if plan.statesLength || length != plan.bodySize { fields.append(("content-length", "\(length)")) }
            let hasBody = !plan.pieces.isEmpty || plan.hasTrailers
            stream.respond(plan.status, fields, hasBody: hasBody)
            if hasBody { sendPiece(0, 0, stream, plan) }
        }
    }

    private func sendPiece(_ number: Int, _ offset: Int, _ stream: SimulatedStream, _ plan: Plan) {
        guard number < plan.pieces.count else {
            stream.finish(trailers: plan.hasTrailers ? [("x-sum", "\(plan.bodySize)")] : [])
            return
        }
        if case .resetInBody(let code) = plan.misdeed, number == plan.pieces.count / 2 { return stream.reset(code) }
        let end = offset + plan.pieces[number]
        stream.write(Plan.bytes(plan.index, offset..<end))
        world.after(plan.pieceDelay) { [self] in sendPiece(number + 1, end, stream, plan) }
    }

    private func answered(_ stream: SimulatedStream) {
        guard let plan = plan(stream), plan.misdeed == .resetAfterAnswer, !stream.isRequestWhole else { return }
        world.after(2_000_000) { stream.reset(0) }
    }

    // MARK: - The invariants

    private func checkConnection() {
        // Limits that were lowered in the middle meet requests that are under way: the server refuses those.
        let complaints = server.complaints.filter { !$0.hasSuffix("Stream was refused") }
        if !complaints.isEmpty { problems.append("the server complains: \(complaints)") }
        guard let inner, let session = inner.http2 else { return problems.append("the connection is gone") }
        if session.openStreamCount != 0 { problems.append("\(session.openStreamCount) streams are open") }
        let snapshot = inner.snapshot()
        if snapshot.waitingRequests != 0 { problems.append("\(snapshot.waitingRequests) requests wait") }
        guard snapshot.state == .active else {
            if calamity == .none { problems.append("the connection did not stay: \(snapshot.state)") }
            return
        }
        if session.window.unread != 0 { problems.append("\(session.window.unread) bytes count as unread") }
        if session.window.debt != 0 { problems.append("\(session.window.debt) bytes are owed") }
        if let timer = world.loop.nextTimer {
            problems.append("a timer is left, for \(timer &- world.now) ns from now")
        }
        if !server.streams.isEmpty { problems.append("the server holds \(server.streams.count) streams") }
        checkOneMoreRequest()
        if snapshot.requests > 0 && !isConnectionWindowWhole(session) {
            problems.append("the connection's receive window is not whole again")
        }
    }

    private func checkOneMoreRequest() {
        guard let connection else { return }
        let status = Noted<Int>()
        world.task {
            status.value = try? await connection.send(
                HTTPRequest(method: .get, scheme: nil, authority: nil, path: "/more")
            ).status.code
        }
        world.run(within: .seconds(60)) { status.value != nil }
        if status.value != 200 { problems.append("the connection takes no more requests") }
    }

    /// See `SessionRig.isConnectionWindowWhole`: DATA for a closed stream counts as consumed at once, so that it takes
    /// half a window minus what waits already to bring WINDOW_UPDATE, if nothing is missing.
    private func isConnectionWindowWhole(_ session: HTTP2Session) -> Bool {
        let half = Int(nghttp2_session_get_effective_local_window_size(session.raw)) / 2
        var missing = half - Int(nghttp2_session_get_effective_recv_data_length(session.raw))
        guard missing > 0 else { return false }
        while missing > 0 {
            let count = min(missing, 16_384)
            let bytes = Frame.data(1, [UInt8](repeating: 0, count: count)).bytes
            guard (try? bytes.withUnsafeBytes({ try session.receive($0, now: world.now) })) != nil else { return false }
            missing -= count
        }
        return nghttp2_session_get_effective_recv_data_length(session.raw) == 0
    }

    /// Closes, and sees whether everything goes.
    private func close() {
        guard let connection else { return }
        let isClosed = Noted<Bool>()
        world.task {
            await connection.close()
            isClosed.value = true
        }
        if world.run(within: .seconds(60), until: { isClosed.value == true }) != .done {
            problems.append("close() did not return")
        }
        self.connection = nil
    }

    private func release() {
        world.run(within: .seconds(60))
        if !wire.isClosed { problems.append("the wire was not closed") }
        if let timer = world.loop.nextTimer { problems.append("a timer outlived the connection, due at \(timer)") }
    }

    /// Each exchange holds its connection, so one that leaked would keep it.
    var isConnectionReleased: Bool { inner == nil }
}
