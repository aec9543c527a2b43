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
        do {
            try run(Self.words[...])
        } catch let failure as Failure {
            Console(showsErrors: true, hidesProgress: true).error(failure)
            Interruption.end(with: failure.status.rawValue)
        } catch {
            Console(showsErrors: true, hidesProgress: true).say(
                "h2get: \(printable(withoutCredentials("\(error)")))")
            Interruption.end(with: ExitReason.usage.rawValue)
        }
    }

    /// The process's arguments. They are not necessarily UTF-8.
    private static var words: [[UInt8]] {
        (1..<max(Int(CommandLine.argc), 1)).compactMap { index in
            CommandLine.unsafeArgv[index].map { text in
                Array(UnsafeRawBufferPointer(start: text, count: strlen(text)))
            }
        }
    }

    private static func run(_ words: ArraySlice<[UInt8]>) throws -> Never {
        if words.first.map({ $0.elementsEqual("help".utf8) }) == true {
            let rest = words.dropFirst()
            let (command, count) = Command.named(by: rest)
            let topic = rest.dropFirst(count).first.flatMap { String(validating: $0, as: UTF8.self) }
            try show(Help(command, width: helpWidth).text(topic: topic))
        }
        let (command, count) = Command.named(by: words)
        if command == .fetch { try Subcommand.checkSpelling(words) }
        let parser = CommandLineParser(command)
        switch try parser.parse(words.dropFirst(count)) {
        case .help(let topic): try show(Help(command, width: helpWidth).text(topic: topic))
        case .version: try show("h2get \(version)\n")
        case .run(let arguments):
            if let kind = try arguments.value(.generate, Quantity.choice(Generated.self)) {
                try show(kind.text(for: command))
            }
            // Nearly all of a fetch is done by one thread.
            if command == .fetch { ProcessHeap.share() }
            // Before any other thread starts. Help and the version need no thread for signals.
            Interruption.install()
            switch command {
            case .fetch: try fetch(try parser.withStandardFile(arguments))
            case .bench: try bench(arguments)
            case .merge: try merge(arguments)
            case .compare: try compare(arguments)
            case .sweep: try sweep(arguments)
            case .serve: try serve(arguments)
            }
        }
    }

    /// - Throws: `Failure` (`writeFailed`).
    private static func show(_ text: String) throws -> Never {
        try MeasureRun.show(text)
        Interruption.end(with: 0)
    }

    /// The terminal's width, or that of a page.
    private static var helpWidth: Int { Console.standardOutputWidth ?? 100 }

    private static func fetch(_ arguments: Arguments) throws -> Never {
        Terminal.allowQuestions()
        if arguments.isOn(.curl) { try showCurlCommand(arguments) }
        let plan = try FetchPlan(arguments)
        let settings = plan.common
        // http:// URLs do not need the TLS files.
        for part in plan.parts where part.mayUseTLS { try TLSFiles.check(part.tls) }
        if let errorFile = settings.errorFile { try ErrorFile.open(errorFile) }
        let console = Console(
            showsErrors: settings.showsErrors, hidesProgress: plan.parts.contains(where: \.hidesProgress),
            colors: settings.colors)
        // Besides the downloads: connections, the event loop, and stdin, stdout and stderr.
        allowOpenFiles(settings.parallelMaximum + settings.pool.connections + 100)
        let fetch = try Fetch(plan, console: console)
        let start = {
            let task = Task(executorPreference: H2EventLoop.shared.taskExecutor) {
                Interruption.end(with: await fetch.run().rawValue)
            }
            Interruption.cancels { task.cancel() }
        }
        // This thread has nothing else to do, so it starts OpenSSL, reads the certificates and makes the TLS context. (To start
        // OpenSSL on another thread meanwhile takes a seventh more CPU and ends no sooner.)
        if settings.urls.arguments.contains(where: { $0.hasPrefix("https:") }) {
            fetch.firstClient.prepareTLS(start)
        } else {
            start()
        }
        Interruption.wait()
    }

    private static func showCurlCommand(_ arguments: Arguments) throws -> Never {
        let command = try CurlCommand(arguments)
        let console = Console(showsErrors: true, hidesProgress: true)
        for remark in command.remarks { console.say(printable("h2get: \(remark)")) }
        try BodyOutput.standardOutput.writeBlocking(command.line)
        Interruption.end(with: 0)
    }

    private static func bench(_ arguments: Arguments) throws -> Never {
        let settings = try BenchSettings(arguments)
        if settings.plan.origin.scheme == .https { try TLSFiles.check(settings.plan.configuration.tls) }
        let run = try BenchRun(settings)
        MeasureRun.start { await run.run() }
    }

    private static func compare(_ arguments: Arguments) throws -> Never {
        let settings = try CompareSettings(arguments)
        if settings.plans[0].targets.contains(where: { $0.origin.scheme == .https }) {
            try TLSFiles.check(settings.plans[0].configuration.tls)
        }
        let run = try CompareRun(settings)
        MeasureRun.start { await run.run() }
    }

    private static func sweep(_ arguments: Arguments) throws -> Never {
        let settings = try SweepSettings(arguments)
        if settings.plan.origin.scheme == .https { try TLSFiles.check(settings.plan.configuration.tls) }
        let run = try SweepRun(settings)
        MeasureRun.start { await run.run() }
    }

    private static func merge(_ arguments: Arguments) throws -> Never {
        try BenchMerge(arguments).run()
        Interruption.end(with: 0)
    }

    private static func serve(_ arguments: Arguments) throws -> Never {
        let run = try ServeRun(ServeSettings(arguments))
        Interruption.cancels { Task { await run.end() } }
        try run.announce()
        Interruption.wait()
    }
}
