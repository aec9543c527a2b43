import H2Client
import H2Measure

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// `h2get serve ...` is the one subcommand; everything else fetches. The first word alone decides, so that no option's
/// value can be mistaken for a subcommand.
@main
struct Main {
    static func main() {
        // A closed pipe is an error of the write that meets it, not the process's end.
        signal(SIGPIPE, SIG_IGN)
        let arguments = Array(CommandLine.arguments.dropFirst())
        // Signals are the main thread's: to be blocked before the loop's thread starts and inherits that.
        Interruption.block()
        // OpenSSL gets ready on the loop's thread while the command line is parsed on this one.
        if arguments.contains(where: { $0.hasPrefix("https:") }) { EventLoop.shared.prepareTLS() }
        do {
            switch arguments.first {
            case "serve": try serve(try CommandLineReader.read(ServeCommand.self, Array(arguments.dropFirst())))
            case "help":
                if arguments.dropFirst().first == "serve" {
                    CommandLineReader.printHelp(ServeCommand.self)
                } else {
                    CommandLineReader.printHelp(GetCommand.self)
                }
                exit(0)
            default: try fetch(try CommandLineReader.read(GetCommand.self, arguments))
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
