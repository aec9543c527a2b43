import H2Platform

/// The reason why a file cannot be read, such as "No such file or directory".
package struct ScenarioFileError: Error, Sendable, Equatable {
    package let message: String

    package init(_ message: String) { self.message = message }
}

extension Scenario {
    /// Reads a scenario and the files that it names, which are relative to its folder.
    /// - Throws: `ScenarioErrors` with all that is wrong.
    package static func load(path: String) throws(ScenarioErrors) -> Scenario {
        let text: [UInt8]
        do throws(ScenarioFileError) {
            text = try readFile(path, upTo: YAMLReader.mostBytes)
        } catch {
            let problem = ScenarioErrors.Problem(file: path, message: "cannot be read: \(error.message)")
            throw ScenarioErrors(problems: [problem], isCutShort: false)
        }
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
        return try Scenario.read(text, name: path) { file throws(ScenarioFileError) in
            try readFile(file.hasPrefix("/") ? file : folder + file, upTo: ScenarioTable.mostBytes)
        }
    }

    /// Makes a scenario of its text.
    /// - Parameters:
    ///   - name: of the text, for errors.
    ///   - readFile: the content of a file that the scenario names.
    /// - Throws: `ScenarioErrors` with all that is wrong.
    package static func read(
        _ text: [UInt8], name: String, readFile: @escaping (String) throws(ScenarioFileError) -> [UInt8]
    ) throws(ScenarioErrors) -> Scenario {
        var reader = ScenarioReader(name: name, readFile: readFile)
        return try reader.scenario(text)
    }
}

/// The content of a file. Of a longer one as much that the caller sees that it is too long.
private func readFile(_ path: String, upTo limit: Int) throws(ScenarioFileError) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw ScenarioFileError(errnoText(errno)) }
    defer { close(descriptor) }
    var content: [UInt8] = []
    while content.count <= limit {
        var (got, reason) = (0, CInt(0))
        let part = [UInt8](unsafeUninitializedCapacity: 256 << 10) { buffer, count in
            repeat {
                got = read(descriptor, buffer.baseAddress, buffer.count)
                reason = errno
            } while got < 0 && reason == EINTR
            count = max(got, 0)
        }
        guard got >= 0 else { throw ScenarioFileError(errnoText(reason)) }
        guard !part.isEmpty else { break }
        content += part
    }
    return content
}
