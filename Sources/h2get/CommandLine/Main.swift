internal import ArgumentParser
import H2Client
import H2Measure
import H2Platform

/// The program's entry point.
///
/// Only the first word can be a subcommand, so that no option's value is mistaken for one. Everything else fetches.
@main
struct Main {
    static func main() {
        StandardDescriptors.fill()
        // Writing to a closed pipe fails with an error rather than ending the process.
        signal(SIGPIPE, SIG_IGN)
        Interruption.install()
        do {
            let arguments = try RawArguments.texts(RawArguments.ofProcess())
            let rest = Array(arguments.dropFirst())
            switch arguments.first {
            case "serve": try serve(try CommandLineReader.read(ServeCommand.self, rest))
            case "bench" where rest.first == "merge":
                try merge(try CommandLineReader.read(BenchMergeCommand.self, Array(rest.dropFirst())))
            case "bench": try bench(try CommandLineReader.read(BenchCommand.self, rest))
            case "compare": try compare(try CommandLineReader.read(CompareCommand.self, rest))
            case "sweep": try sweep(try CommandLineReader.read(SweepCommand.self, rest))
            case "help":
                try CommandLineReader.printHelp(command(named: rest))
            default:
                try Subcommand.checkSpelling(arguments)
                try fetch(try CommandLineReader.read(GetCommand.self, arguments))
            }
        } catch let failure as Failure {
            Console(showsErrors: true, hidesProgress: true).error(failure)
            Interruption.end(with: failure.status.rawValue)
        } catch {
            Console(showsErrors: true, hidesProgress: true).say(
                "h2get: \(printable(withoutCredentials("\(error)")))")
            Interruption.end(with: ExitReason.usage.rawValue)
        }
    }

    private static func fetch(_ command: GetCommand) throws -> Never {
        let settings = try FetchSettings(command)
        // http:// URLs do not need the TLS files.
        if settings.inputFile != nil || settings.urls.contains(where: { $0.lowercased().hasPrefix("https:") }) {
            try TLSFiles.check(settings.tls)
        }
        // OpenSSL initializes on the event loop's thread while this thread prepares the rest. This starts only after the
        // command line is accepted.
        if settings.urls.contains(where: { $0.hasPrefix("https:") }) { H2EventLoop.shared.prepareTLS() }
        // Progress must not mix with bodies on the same terminal.
        let bodiesOnTerminal =
            isatty(STDOUT_FILENO) == 1 && settings.standardOutputCount > 0
        let console = Console(
            showsErrors: settings.showsErrors,
            hidesProgress: settings.isSilent || bodiesOnTerminal || settings.verbosity > 0)
        // Besides the downloads: connections, the event loop, and stdin, stdout and stderr.
        allowOpenFiles(settings.parallelMaximum + settings.pool.connections + 100)
        let fetch = try Fetch(settings, console: console)
        let task = Task(executorPreference: H2EventLoop.shared.taskExecutor) {
            Interruption.end(with: await fetch.run().rawValue)
        }
        Interruption.cancels { task.cancel() }
        Interruption.wait()
    }

    private static func command(named words: [String]) -> any ParsableCommand.Type {
        switch words.first {
        case "serve": ServeCommand.self
        case "bench": words.dropFirst().first == "merge" ? BenchMergeCommand.self : BenchCommand.self
        case "compare": CompareCommand.self
        case "sweep": SweepCommand.self
        default: GetCommand.self
        }
    }

    private static func bench(_ command: BenchCommand) throws -> Never {
        let settings = try BenchSettings(command)
        if settings.plan.origin.scheme == .https { try TLSFiles.check(settings.plan.configuration.tls) }
        let run = try BenchRun(settings)
        MeasureRun.start { await run.run() }
    }

    private static func compare(_ command: CompareCommand) throws -> Never {
        let settings = try CompareSettings(command)
        if settings.plans[0].targets.contains(where: { $0.origin.scheme == .https }) {
            try TLSFiles.check(settings.plans[0].configuration.tls)
        }
        let run = try CompareRun(settings)
        MeasureRun.start { await run.run() }
    }

    private static func sweep(_ command: SweepCommand) throws -> Never {
        let settings = try SweepSettings(command)
        if settings.plan.origin.scheme == .https { try TLSFiles.check(settings.plan.configuration.tls) }
        let run = try SweepRun(settings)
        MeasureRun.start { await run.run() }
    }

    private static func merge(_ command: BenchMergeCommand) throws -> Never {
        try BenchMerge(command).run()
        Interruption.end(with: 0)
    }

    private static func serve(_ command: ServeCommand) throws -> Never {
        let run = try ServeRun(command)
        Interruption.cancels { Task { await run.end() } }
        try run.announce()
        Interruption.wait()
    }
}
