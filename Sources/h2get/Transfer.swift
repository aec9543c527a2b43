import H2Client
import HTTPTypes

/// One URL on its way: what is known of it when it fails.
struct Transfer {
    let url: String
    let index: Int
    let destination: Placement.Destination
    /// Its place among the bodies that go to stdout.
    let turn: Int?
    var phase = TransferPhase.request
    var bodyBytes = 0
    var partPath: String?
    var partSize = 0
    var standardOutputIsBroken = false
}

extension Fetch {
    func run(_ transfer: inout Transfer) async throws {
        let target = try RequestTarget(transfer.url)
        let filePath = try filePath(of: transfer, target)
        let (request, body) = try message(for: target, transfer)
        guard let turn = transfer.turn, settings.writesInOrder else {
            return try await run(request, body, target.origin, filePath, &transfer)
        }
        await places.enter(target.origin, turn: turn)
        defer { places.leave(target.origin) }
        try await run(request, body, target.origin, filePath, &transfer)
    }

    private func run(
        _ request: HTTPRequest, _ body: MessageBody, _ origin: Origin, _ filePath: String?, _ transfer: inout Transfer
    ) async throws {
        try Task.checkCancellation()
        if let failure = origins.failure(of: origin) { throw failure }
        inFlight += 1
        mostInFlight = max(mostInFlight, inFlight)
        defer { inFlight -= 1 }
        do {
            try await exchange(request, body, origin, filePath, &transfer)
        } catch let error as H2Error where transfer.phase == .request {
            origins.failed(origin, error, isConnected: await isConnected(origin, after: error))
            throw error
        }
    }

    /// Whether there is, or was, a connection to the origin, as far as the error leaves that open.
    private func isConnected(_ origin: Origin, after error: H2Error) async -> Bool {
        // -m includes the connecting; whoever waits for the same dead server would wait as long.
        guard case .timeout(.wholeRequest, _) = error.cause, !origins.hasServed(origin) else { return true }
        return await client.statistics().origins.contains {
            $0.origin == origin && $0.active + $0.idle + $0.draining > 0
        }
    }

    // MARK: - One exchange

    private func exchange(
        _ request: HTTPRequest, _ body: MessageBody, _ origin: Origin, _ filePath: String?, _ transfer: inout Transfer
    ) async throws {
        let response = try await send(request, body, origin, transfer)
        transfer.phase = .response
        origins.served(origin)
        spoken.insert(response.version)
        if firstConnection == nil { firstConnection = (response.connectionInfo, response.version) }
        if transfer.turn != nil, settings.writesInOrder, places.isNews(response.connectionID, to: origin) {
            let limit = await response.concurrencyLimit()
            let connections = response.version == .http1 ? settings.pool.http1ConnectionsPerOrigin : 1
            places.allow(min(limit, 1 << 20) * connections, at: origin, says: response.connectionID)
        }
        verbose.received(response, transfer)
        if settings.failsOnStatus, response.status.code >= 400 {
            throw Failure(
                .statusRefused,
                "the server answered \(response.status.code)\(reason(response.status)); leave out -f to see its body")
        }
        if let turn = transfer.turn {
            if let length = depositLength(response) {
                try await deposit(response, length, turn, &transfer)
                return await verbose.finished(response, transfer)
            }
            try await turns.wait(for: turn)
        }
        let output = try output(for: transfer, filePath)
        defer { output.close() }
        transfer.partPath = output.download?.partPath
        do {
            if settings.includesHead { try await output.write(head: headText(response)) }
            transfer.bodyBytes = try await output.write(response.body)
            try output.download?.finish()
            transfer.partPath = nil
        } catch {
            transfer.partSize = output.download?.size ?? 0
            transfer.standardOutputIsBroken = output.isStandardOutput && isWriteFailure(error)
            throw error
        }
        await verbose.finished(response, transfer)
    }

    /// Sends it, again where the client's policy says so.
    private func send(
        _ request: HTTPRequest, _ body: MessageBody, _ origin: Origin, _ transfer: Transfer
    ) async throws -> Response {
        var options = settings.options
        options.timeout = settings.maxTime
        // The authority may be another than the URL's.
        if settings.authority != nil { options.origin = origin }
        verbose.sending(request, transfer, &options)
        guard let turn = transfer.turn, settings.writesInOrder else {
            return try await client.send(request, body: body.content(settings.trailers), options: options)
        }
        let start = ContinuousClock.now
        var client = client
        while true {
            let waited = ContinuousClock.now - start
            options.timeout = settings.maxTime.map { max($0 - waited, .milliseconds(1)) }
            let patience = settings.options.queueTimeout.map { $0 - waited } ?? .seconds(31_536_000)
            options.queueTimeout = max(min(patience, settings.longestHonestWait), .milliseconds(1))
            do {
                return try await client.send(request, body: body.content(settings.trailers), options: options)
            } catch let error as H2Error {
                // `Places` sees to it that this does not happen, but for servers that allow less than they did at first.
                guard case .timeout(.queued, _) = error.cause, patience > settings.longestHonestWait else {
                    throw error
                }
                if turns.isCurrent(turn) { client = clientForTurn() }
            }
        }
    }

    // MARK: - Bodies in order

    /// A body up to this size is taken into memory rather than held back until its turn.
    private static let depositLimit = 64 << 10

    /// The body's length, where the response should go to stdout by way of `Turns`.
    private func depositLength(_ response: Response) -> Int? {
        guard settings.writesInOrder, !isStandardOutputTerminal else { return nil }
        if settings.method == .head { return 0 }
        guard let length = response.firstValue(of: "content-length").flatMap({ Int($0) }) else { return nil }
        return length <= Self.depositLimit ? length : nil
    }

    private func deposit(_ response: Response, _ length: Int, _ turn: Int, _ transfer: inout Transfer) async throws {
        var bytes = settings.includesHead ? Array(headText(response).utf8) : []
        let body = try await response.body.collect(upTo: length)
        transfer.bodyBytes = body.count
        if bytes.isEmpty { bytes = body } else { bytes += body }
        if turns.deposit(bytes, for: turn) { return }
        try await turns.wait(for: turn)
        do {
            try await BodyOutput.standardOutput.write(bytes)
        } catch {
            transfer.standardOutputIsBroken = error is Failure
            throw error
        }
    }

    /// Whether the bytes could not be written, rather than read.
    private func isWriteFailure(_ error: any Error) -> Bool {
        (error as? Failure)?.status == .writeFailed || (error as? H2Error)?.code == .localIO
    }

    private func reason(_ status: HTTPResponse.Status) -> String {
        status.reasonPhrase.isEmpty ? "" : " \(status.reasonPhrase)"
    }

    /// As curl writes it for -i and -I.
    private func headText(_ response: Response) -> String {
        var text = "\(response.version.rawValue) \(response.status.code) \r\n"
        for field in response.headerFields {
            text += "\(field.name.canonicalName): \(field.value)\r\n"
        }
        return text + "\r\n"
    }

    // MARK: - Where it goes

    /// The file that the transfer writes, which is its own from here on; nil where it writes none.
    private func filePath(of transfer: Transfer, _ target: RequestTarget) throws -> String? {
        let path: String
        switch transfer.destination {
        case .discard, .standardOutput: return nil
        case .file(let name): path = name
        case .remoteName: path = settings.placement.path(of: try Placement.remoteName(of: target))
        }
        guard FileKind(path: path) == .other || claim(path) else {
            throw Failure(
                .writeFailed, "an earlier URL of this run is saved as \(path) already; name this one with -o FILE")
        }
        return path
    }

    private func output(for transfer: Transfer, _ filePath: String?) throws -> BodyOutput {
        guard let filePath else {
            return transfer.destination == .discard ? BodyOutput(target: .discard) : .standardOutput
        }
        return try BodyOutput(path: filePath, createsDirectories: settings.placement.createsDirectories)
    }
}
