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
    /// A transfer is sent again where the server cannot have processed it, on another connection, so often at most.
    /// Each time others made progress on the connection, or the origin is given up.
    private static let attemptsLimit = 100

    func run(_ transfer: inout Transfer) async throws {
        let start = ContinuousClock.now
        let target = try RequestTarget(transfer.url)
        guard target.origin.scheme == .https || settings.allowsCleartext else {
            throw Failure(
                .badURL,
                "http:// needs HTTP/1.1, which h2get does not speak yet; use https://, "
                    + "or --http2-prior-knowledge if the server speaks HTTP/2 in cleartext")
        }
        let filePath = try filePath(of: transfer, target)
        let (request, body) = try message(for: target, transfer)
        var needsOwnConnection = false
        for attempt in 1... {
            let lease =
                try await needsOwnConnection
                ? connections.leaseAlone(for: target.origin)
                : connections.lease(for: target.origin, index: transfer.index)
            inFlight += 1
            mostInFlight = max(mostInFlight, inFlight)
            transfer.phase = .request
            let streamsAtStart = lease.users
            do {
                try await exchange(request, body, on: lease, since: start, filePath: filePath, &transfer)
            } catch {
                inFlight -= 1
                await connections.release(lease)
                guard transfer.phase == .request, attempt < Self.attemptsLimit, let error = error as? H2Error else {
                    throw error
                }
                let limit = await lease.connection.snapshot().remoteSettings.maxConcurrentStreams ?? Int.max
                switch retry(
                    after: error, turn: transfer.turn, since: start, wasOverLimit: streamsAtStart > limit)
                {
                case .no: throw error
                case .yes: break
                case .onOwnConnection: needsOwnConnection = true
                }
                if case .descriptor = body { throw error }
                verbose.retrying(transfer, error)
                continue
            }
            inFlight -= 1
            await connections.release(lease)
            return
        }
    }

    private enum Retry { case no, yes, onOwnConnection }

    private func retry(
        after error: H2Error, turn: Int?, since start: ContinuousClock.Instant, wasOverLimit: Bool
    ) -> Retry {
        // Before the server has told its limit, more streams may be opened than it allows; it refuses the rest. Now the
        // limit is known and kept. Any other refusal is the server's own wish, and for the user to know.
        if error.isRetryable, error.http2Code == .refusedStream, wasOverLimit { return .yes }
        // GOAWAY without a reproach, or a connection that began to drain or ended just before: nothing was processed.
        if error.isRetryable, [.notProcessed, .connectionDraining, .connectionClosed].contains(error.code) {
            if let code = error.http2Code, code != .noError { return .no }
            return .yes
        }
        // Those that wait for this one's turn may hold all the streams that the server allows, after a retry put this
        // one behind them. Waiting for a slot would then last for ever.
        if case .timeout(.queued, _) = error.cause, let turn {
            if let maxTime = settings.maxTime, ContinuousClock.now - start >= maxTime { return .no }
            return turns.isCurrent(turn) ? .onOwnConnection : .yes
        }
        return .no
    }

    // MARK: - One exchange

    private func exchange(
        _ request: HTTPRequest, _ body: MessageBody, on lease: Connections.Lease,
        since start: ContinuousClock.Instant, filePath: String?, _ transfer: inout Transfer
    ) async throws {
        var options = settings.options
        if let maxTime = settings.maxTime {
            options.timeout = max(maxTime - (ContinuousClock.now - start), .milliseconds(1))
        }
        if transfer.turn != nil, settings.writesInOrder { options.queueTimeout = .seconds(2) }
        verbose.sending(request, transfer, &options)
        let response = try await lease.connection.send(request, body: body.content(settings.trailers), options: options)
        transfer.phase = .response
        connections.served(by: lease)
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
        var text = "HTTP/2 \(response.status.code) \r\n"
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
