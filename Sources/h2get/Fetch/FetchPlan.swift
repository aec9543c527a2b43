import H2Client
import H2Measure
import H2Platform

/// The parts of a command line, which --next separates, each with its URLs and its options.
struct FetchPlan: Sendable {
    /// One at least.
    private(set) var parts: [FetchSettings]

    /// - Throws: `Failure`, before anything is sent.
    init(_ arguments: Arguments) throws {
        let all = arguments.parts
        parts = try all.enumerated().map { index, part in
            let isEmpty = part.operands.isEmpty && part.last(.inputFile) == nil && part.last(.url) == nil
            guard !isEmpty || all.count == 1 else {
                let place = index == all.count - 1 ? "behind the last --next" : "before --next"
                throw Failure.usage("there is no URL \(place): each part of the command line needs one of its own")
            }
            return try FetchSettings(part)
        }
        try checkFiles()
        guard parts.count > 1 else { return }
        // Options about the whole run stand in every part.
        let common = ["-K -", FetchSettings.variableReader]
        let readers = parts.indices.flatMap { index in
            parts[index].inputReaders.filter { index == 0 || !common.contains($0) }
        }
        try FetchSettings.checkReaders(readers)
        if let most = parts.filter(\.writesInOrder).map(\.transfersAtOnce).max() {
            for index in parts.indices { parts[index].mostWaitingResponses = most }
        }
    }

    /// The first part, which has the options about the whole run as all others do.
    var common: FetchSettings { parts[0] }

    /// Whether the run has just one URL.
    var isOneTransfer: Bool { parts.count == 1 && common.inputFile == nil && common.urls.count == 1 }

    /// The files that options name for the whole run. No body replaces them.
    var optionFiles: [(option: String, path: String)] {
        var files: [(option: String, path: String)] = []
        func add(_ option: String, _ path: String?) {
            guard let path, !path.isEmpty, path != "-", !BodyOutput.isWrittenAsItIs(path) else { return }
            files.append((option, path))
        }
        for path in Set(parts.compactMap(\.inputFile)) { add("--input-file", path) }
        add(common.trace?.isText == true ? "--trace-ascii" : "--trace", common.trace?.file)
        add("--stderr", common.errorFile)
        if case .file(let path)? = common.jsonLines { add("--json-lines", path) }
        // Parts have their cookies in common.
        for path in Set(parts.compactMap(\.cookieFile)) { add("-c", path) }
        for path in Set(parts.compactMap(\.strictTransportFile)) { add("--hsts", path) }
        for part in parts {
            add("-D", part.headDump?.path)
            add("--etag-save", part.etagFile)
        }
        return files
    }

    /// Checks that no file gets what two options write to it: the second would replace what the first wrote. Other spellings
    /// and links count, too.
    private func checkFiles() throws {
        let outputs = parts.flatMap(\.placement.fixedFiles).filter { !BodyOutput.isWrittenAsItIs($0) }
        let files = optionFiles + outputs.map { ("-o", $0) }
        guard files.count > 1 else { return }
        // By bytes: strings that are equivalent in Unicode name different files.
        var spellings: [[UInt8]: String] = [:]
        var identities: [FileIdentity: String] = [:]
        for (option, path) in files {
            let target = try? DownloadTarget(path: path, createsDirectories: false)
            let others = (target?.identities ?? []).compactMap { identities.updateValue(option, forKey: $0) }
            guard let other = spellings.updateValue(option, forKey: Array(path.utf8)) ?? others.first else { continue }
            throw Failure.usage("\(other) and \(option) name the same file, \(shown(path)); use another name")
        }
    }
}

extension FetchSettings {
    /// Options in the categories of connections that concern single requests.
    private static let requestOptions: Set<OptionKey> = [
        .maxTime, .queueTimeout, .firstByteTimeout, .stallTimeout, .speedLimit, .speedTime,
    ]
    /// Options in other categories that the client has for all of its requests.
    private static let clientOptions: Set<OptionKey> = [
        .compressed, .netrc, .netrcFile, .netrcOptional, .hsts,
    ]

    /// The options that a client has for all of its requests.
    static func connectionOptions(_ arguments: Arguments) -> [Arguments.Occurrence] {
        let options = OptionTable.options(of: .fetch)
        var chosen = arguments.occurrences.filter { occurrence in
            guard !requestOptions.contains(occurrence.key) else { return false }
            let category = options.first { $0.key == occurrence.key }?.category
            return clientOptions.contains(occurrence.key) || [.connection, .proxy, .tls, .time].contains(category)
        }
        if arguments.isGiven(.netrc) || arguments.isGiven(.netrcFile) || arguments.isGiven(.netrcOptional) {
            // They say how the passwords of the file are sent.
            chosen += arguments.all(.basic, .digest, .anyauth)
        }
        return chosen
    }

    /// Whether both have the same connections. Cookies are the client's as well.
    func sharesConnections(with other: FetchSettings) -> Bool {
        (cookies == nil) == (other.cookies == nil) && connectionOptions.count == other.connectionOptions.count
            && zip(connectionOptions, other.connectionOptions).allSatisfy {
                $0.key == $1.key && $0.value == $1.value && $0.isOn == $1.isOn
            }
    }

    /// The cookies of the files of -b as they are now, which an earlier part may have written.
    /// - Throws: `Failure` (`readFailed`).
    func storedCookies() throws -> CookieJar {
        // Stdin was read at the beginning.
        let jar = cookieSources.contains(where: StandardDescriptors.isInput) ? cookies ?? CookieJar() : CookieJar()
        for file in cookieSources where !file.isEmpty && !StandardDescriptors.isInput(file) && access(file, F_OK) == 0 {
            jar.load(try readWhole(file, remedy: "name a cookie file"))
        }
        if dropsSessionCookies { jar.removeAll { $0.expires == nil } }
        return jar
    }
}
