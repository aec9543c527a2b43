internal import ArgumentParser
import H2Client
import H2Measure

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The first word alone decides whether it is a subcommand, so that no option's value can be mistaken for one; everything
/// else fetches.
@main
struct Main {
    static func main() {
        // A closed pipe is an error of the write that meets it, not the process's end.
        signal(SIGPIPE, SIG_IGN)
        let arguments = Array(CommandLine.arguments.dropFirst())
        // Signals are the main thread's: to be blocked before the loop's thread starts and inherits that.
        Interruption.block()
        let rest = Array(arguments.dropFirst())
        do {
            switch arguments.first {
            case "serve": try serve(try CommandLineReader.read(ServeCommand.self, rest))
            case "bench" where rest.first == "merge":
                try merge(try CommandLineReader.read(BenchMergeCommand.self, Array(rest.dropFirst())))
            case "bench": try bench(try CommandLineReader.read(BenchCommand.self, rest))
            case "compare": try compare(try CommandLineReader.read(CompareCommand.self, rest))
            case "sweep": try sweep(try CommandLineReader.read(SweepCommand.self, rest))
            case "help":
                CommandLineReader.printHelp(command(named: rest))
                exit(0)
            default:
                // OpenSSL gets ready on the loop's thread while the command line is parsed on this one.
                if arguments.contains(where: { $0.hasPrefix("https:") }) { EventLoop.shared.prepareTLS() }
                try fetch(try CommandLineReader.read(GetCommand.self, arguments))
            }
        } catch let failure as Failure {
            Console(showsErrors: true, hidesProgress: true).error(failure)
            exit(failure.status.rawValue)
        } catch {
            Console(showsErrors: true, hidesProgress: true).say("h2get: \(printable("\(error)"))")
            exit(ExitReason.usage.rawValue)
        }
    }

    private static func fetch(_ command: GetCommand) throws -> Never {
        let settings = try FetchSettings(command)
        // Progress in the middle of bodies on the same terminal would spoil both.
        let bodiesOnTerminal =
            isatty(STDOUT_FILENO) == 1 && settings.standardOutputCount > 0
        let console = Console(
            showsErrors: settings.showsErrors,
            hidesProgress: settings.isSilent || bodiesOnTerminal || settings.verbosity > 0)
        // Besides the downloads: connections, the event loop, the standard three.
        allowOpenFiles(settings.parallelMaximum + settings.pool.connections + 100)
        let fetch = try Fetch(settings, console: console)
        let task = Task(executorPreference: EventLoop.shared.taskExecutor) {
            let status = await fetch.run()
            // Everything is written with write(2): there is nothing that exit() would have to flush, and its
            // destructors must not run while other threads do.
            _exit(Interruption.exitStatus ?? status.rawValue)
        }
        Interruption.wait { task.cancel() }
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
        let run = try BenchRun(try BenchSettings(command))
        MeasureRun.start { await run.run() }
    }

    private static func compare(_ command: CompareCommand) throws -> Never {
        let run = try CompareRun(try CompareSettings(command))
        MeasureRun.start { await run.run() }
    }

    private static func sweep(_ command: SweepCommand) throws -> Never {
        let run = try SweepRun(try SweepSettings(command))
        MeasureRun.start { await run.run() }
    }

    private static func merge(_ command: BenchMergeCommand) throws -> Never {
        try BenchMerge(command).run()
        exit(0)
    }

    private static func serve(_ command: ServeCommand) throws -> Never {
        let origin = try command.start()
        Interruption.wait {
            // Ctrl-C is how a server is meant to end.
            Task {
                await origin.stop()
                command.removePortFile()
                _exit(0)
            }
        }
    }
}
