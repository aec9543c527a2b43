import Foundation
import H2ClientTesting
import H2TestSupport
import Testing

/// The same command line for h2get and for the installed curl, each in a folder of its own.
struct CurlParity {
    /// The result of a run.
    struct Outcome: Equatable, CustomStringConvertible {
        var status: Int32
        var output: Data
        /// The files beside those that were there before.
        var files: [String: Data]
        var errors = ""

        static func == (a: Outcome, b: Outcome) -> Bool {
            a.status == b.status && a.output == b.output && a.files == b.files
        }

        var description: String {
            let names = files.keys.sorted().map { "\($0): \(String(decoding: files[$0]!.prefix(400), as: UTF8.self))" }
            return
                "status \(status), stdout '\(String(decoding: output.prefix(2_000), as: UTF8.self))', files \(names), "
                + "stderr '\(errors)'"
        }
    }

    private let served: Served
    /// The files that both folders have.
    private let files: [String: String]

    init(_ served: Served, files: [String: String] = [:]) {
        self.served = served
        self.files = files
    }

    /// Whether there is a curl to compare with. In CI it must be there.
    static let hasCurl: Bool = {
        let isThere = FileManager.default.isExecutableFile(atPath: "/usr/bin/curl")
        return isThere || ProcessInfo.processInfo.environment["CI"] != nil
    }()

    /// Runs both, and expects the same exit code, bytes on stdout and files.
    /// - Parameter normalize: changes what may differ, such as a user agent.
    func expectSame(
        _ arguments: [String], input: Data? = nil, normalize: (Data) -> Data = { $0 },
        _ location: SourceLocation = #_sourceLocation
    ) async throws {
        let curl = try await run("/usr/bin/curl", arguments, input, normalize)
        let ours = try await run(Program.path, arguments, input, normalize)
        #expect(ours == curl, "\(arguments.joined(separator: " "))", sourceLocation: location)
    }

    private func run(
        _ program: String, _ arguments: [String], _ input: Data?, _ normalize: (Data) -> Data
    ) async throws -> Outcome {
        let folder = try TemporaryFolder()
        for (name, text) in files { try folder.write(text, to: name) }
        let before = Set(folder.names)
        let trust = try served.origin.caPEM.map { pem in
            ["--cacert", try TemporaryFolder.shared.write(pem, to: "ca-\(served.origin.port).pem")]
        }
        let result = try await Program.run(
            program: program, ["-q"] + (trust ?? []) + ["-sS"] + arguments, input: input, in: folder.root)
        var left: [String: Data] = [:]
        for name in folder.names where !before.contains(name) || files[name] != nil {
            let data = try folder.data(name)
            if files[name].map({ Data($0.utf8) }) != data { left[name] = normalize(data) }
        }
        return Outcome(
            status: result.status, output: normalize(result.output), files: left, errors: result.errors)
    }
}

extension CurlParity {
    /// The words of a line, with single quotes as a shell has them.
    static func words(_ line: String) -> [String] {
        var words: [String] = []
        var word: String?
        var isQuoted = false
        for character in line {
            if character == "'" {
                isQuoted.toggle()
                word = word ?? ""
            } else if character == " ", !isQuoted {
                if let word { words.append(word) }
                word = nil
            } else {
                word = (word ?? "") + String(character)
            }
        }
        return words + [word].compactMap(\.self)
    }
}

extension TemporaryFolder {
    /// For files of all tests.
    static let shared = try! TemporaryFolder()
}
