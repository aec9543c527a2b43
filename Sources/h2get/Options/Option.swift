/// One option of one or more commands: everything that the parser, the help and the documents say about it.
struct Option: Sendable {
    let key: OptionKey
    let letter: Unicode.Scalar?
    /// The long name, without its dashes.
    let name: String
    /// The value's name, such as FILE; nil for a flag.
    let value: String?
    let commands: CommandSet
    let category: OptionCategory
    /// Imperative, with the default at its end.
    let help: String
    /// Whether each occurrence counts. Of the others the last one does.
    let isRepeatable: Bool
    /// Whether it is in the short help.
    let isCommon: Bool
    /// The name that curl has for it, if that differs.
    let curlName: String?
    /// The environment variable that has the same effect.
    let environment: String?

    init(
        _ key: OptionKey, _ letter: Unicode.Scalar?, _ name: String, _ value: String? = nil, of commands: CommandSet,
        in category: OptionCategory, _ help: String, repeats: Bool = false, common: Bool = false, curl: String? = nil,
        environment: String? = nil
    ) {
        self.key = key
        self.letter = letter
        self.name = name
        self.value = value
        self.commands = commands
        self.category = category
        self.help = help
        isRepeatable = repeats
        isCommon = common
        curlName = curl
        self.environment = environment
    }

    /// Such as `-X, --request METHOD`.
    var signature: String {
        (letter.map { "-\($0), " } ?? "") + "--\(name)" + (value.map { " \($0)" } ?? "")
    }
}

/// Where the help lists an option. Its name is what `--help` takes.
enum OptionCategory: String, CaseIterable, Sendable {
    case load
    case distance
    case request
    case credentials
    case output
    case connection
    case proxy
    case tls
    case time
    case results
    case messages
    case serving
    case faults
    case limits
    case general

    var title: String {
        switch self {
        case .request: "Request"
        case .credentials: "Credentials"
        case .output: "Where bodies go"
        case .connection: "Connection"
        case .proxy: "Proxy"
        case .tls: "TLS"
        case .time: "Time limits"
        case .load: "Load"
        case .distance: "Distance"
        case .results: "Results"
        case .messages: "Messages"
        case .serving: "Serving"
        case .faults: "Faults"
        case .limits: "Limits"
        case .general: "General"
        }
    }
}

/// The options that the program knows, in the order of the help.
enum OptionTable {
    static let all: [Option] =
        fetchOptions + requestsOptions + clientOptions + transportOptions + writingOptions + measureOptions
        + serveOptions + configurationOptions + [
            Option(
                .help, "h", "help", "TOPIC", of: .all, in: .general,
                "Show help: the common options, 'all', a category, or an option such as -o."),
            Option(
                .generate, nil, "generate", "KIND", of: .all, in: .general,
                "Print the man page (man), all options (markdown), or a shell's completions (bash, zsh, fish)."),
            Option(.version, "V", "version", of: .all, in: .general, "Show the version."),
        ]

    /// The options of a command.
    static func options(of command: Command) -> [Option] { all.filter { $0.commands.contains(command.set) } }
}
