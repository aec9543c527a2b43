import H2Client
import H2Measure
import H2Platform

/// Functions shared by the runs of all measuring commands.
enum MeasureRun {
    /// Runs `work` and ends the process with its result.
    static func start(_ work: @escaping @Sendable () async -> ExitReason) -> Never {
        Task { Interruption.end(with: await work().rawValue) }
        Interruption.wait()
    }

    /// Runs a measurement that the first signal cancels, so that the results so far are shown.
    ///
    /// Before it, while files and pipes are opened, a signal ends the process. After it, the first signal lets the results be
    /// written.
    static func interruptibly<Result: Sendable>(
        _ measure: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        let task = Task { try await measure() }
        Interruption.cancels { task.cancel() }
        // From here on only a second signal may discard the results.
        defer { Interruption.finishes() }
        return try await task.value
    }

    /// Opens the files, lets `work` fill them, and reports the failure that ended it. If it throws, no file is left.
    /// - Parameter protocols: the protocols in use, for the advice in errors.
    static func run(
        _ files: ResultFiles, _ console: Console, _ protocols: BenchPlan.Protocols,
        _ work: (OpenResultFiles) async throws -> Failure?
    ) async -> ExitReason {
        func end(_ failure: Failure) -> ExitReason {
            console.wipeProgress()
            // The results, which exist anyway, say that the run was interrupted.
            if failure.status != .interrupted || !failure.message.isEmpty { console.error(failure) }
            return failure.status
        }
        do {
            let open = try files.open()
            do {
                return try await work(open).map(end) ?? .success
            } catch {
                open.discard()
                throw error
            }
        } catch let failure as Failure {
            return end(failure)
        } catch let error as H2Error {
            return end(Failure(measuring: error, protocols))
        } catch is CancellationError {
            return end(Failure(.interrupted, "interrupted before anything was measured"))
        } catch {
            return end(Failure(.stream, "\(error)"))
        }
    }

    /// Delivers the results: first the files, then the summary, so that a closed terminal, a broken pipe or a full disk
    /// affects no other output.
    /// - Throws: `Failure` (`writeFailed`) for the first output that could not be written, after writing all others.
    static func deliver(_ report: some MeasureReport, to files: OpenResultFiles, showsSummary: Bool) throws {
        // A merge gets here without measuring, and its logs may have come through pipes.
        Interruption.finishes()
        files.write(report)
        var failure: Failure?
        do { try files.finish() } catch let error as Failure { failure = error }
        if showsSummary {
            let style = standardOutputStyle
            do { try show(report.summary(width: style.width, color: style.color)) } catch let error as Failure {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
    }

    /// Writes to stdout.
    /// - Throws: `Failure` (`writeFailed`).
    static func show(_ text: String) throws {
        var text = text
        let code = text.withUTF8 { writeFully(STDOUT_FILENO, UnsafeRawBufferPointer($0)) }
        guard code == 0 else {
            throw Failure(.writeFailed, "writing to stdout failed: \(errnoText(code))")
        }
    }

    /// The style of text on stdout: the terminal's width, and whether to use color (https://no-color.org).
    static var standardOutputStyle: (width: Int, color: Bool) {
        guard let width = Console.width(of: STDOUT_FILENO) else { return (80, false) }
        return (width, ColorChoice.auto.isOn(for: STDOUT_FILENO))
    }

    /// Ensures that `count` connections can be open at once.
    /// - Throws: `Failure` (`usage`) if the system does not allow it.
    static func allowConnections(_ count: Int, threads: Int) throws {
        // Plus those of each event loop, output files, stdin, stdout and stderr, and libraries.
        let needed = count + 4 * threads + 50
        // If a name has several addresses, two may be tried at once.
        let allowed = allowOpenFiles(2 * count + 4 * threads + 50)
        guard allowed >= needed else {
            throw Failure.usage(
                "\(count) connections need \(needed) open files and the system allows \(allowed): raise that with "
                    + "'ulimit -Hn \(needed)' as root, or use a lower -c")
        }
    }
}

extension MeasureRun {
    /// Allows as many connections as the system does: their number is not known yet.
    static func allowManyConnections() { _ = allowOpenFiles(.max) }
}

extension ReportContext {
    /// The program and the command line.
    init(_ arguments: Arguments) {
        self.init(program: "h2get \(version)", commandLine: ShownCommandLine.text(arguments))
    }
}

extension Failure {
    /// Why a measurement failed, with advice in terms of the measuring commands' options.
    init(measuring error: H2Error, _ protocols: BenchPlan.Protocols) {
        let remedy: String? =
            switch (error.code, error.cause) {
            // A server that sends GOAWAY speaks HTTP/2.
            case (.protocolViolation, _) where protocols == .cleartextHTTP2,
                (.http2NotNegotiated, _) where protocols == .cleartextHTTP2,
                (.connectionClosed, .unknown) where protocols == .cleartextHTTP2,
                (.connectionClosed, .errno) where protocols == .cleartextHTTP2:
                "does the server speak HTTP/2 without TLS? if not, use --h1"
            case (.certificateRejected, .certificate(let fault)) where fault.kind == .wrongHost:
                "it is for another name: use that in the URL, or name it with --sni"
            case (.timeout, _): "is the server up, and can it take that many connections at once? try a lower -c, or -r"
            case (.streamReset, _), (.limitExceeded, _), (_, .http2(.enhanceYourCalm, _)):
                "the server wants less load: try a lower -m, -c or --request-rate"
            case (.localIO, .errno(ENOSPC)) where error.initiator == .user: "free some space"
            default: nil
            }
        self.init(error, during: .request, remedy: remedy)
        switch error.code {
        // Request bodies were read before. This is the request log, or sockets and threads that the system refuses.
        case .localIO: status = error.initiator == .user ? .writeFailed : .connectFailed
        default: break
        }
    }
}
