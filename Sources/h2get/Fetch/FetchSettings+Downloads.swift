import H2Client
import H2Measure
import HTTPTypes

/// Where -C continues.
enum Continuation: Sendable, Equatable {
    /// After the bytes that are here.
    case afterFile
    /// After this many bytes of the server's file, at least one.
    case offset(Int)
}

/// The options about whole files: continuing, checking and splitting downloads.
extension FetchSettings {
    /// - Throws: `Failure` (`usage`, `readFailed`).
    mutating func setDownloads(_ arguments: Arguments) throws {
        try setContinuation(arguments)
        try setRangeSplit(arguments)
        checksums = try arguments.values(.checksum, Checksum.init(text:))
        checksumFile = try arguments.text(.checksumFile).map(ChecksumFile.init(path:))
        try checkChecksums(arguments)
        verifiesDigests = arguments.isOn(.verifyDigest)
        guard verifiesDigests else { return }
        guard method != .head else {
            throw Failure.usage("-I asks without a body, and --verify-digest is about the body: leave one out")
        }
        // RFC 9530 section 4.
        let name = HTTPField.Name("want-repr-digest")!
        if fields[name] == nil { fields[name] = "sha-512=10, sha-256=5" }
    }

    private mutating func setContinuation(_ arguments: Arguments) throws {
        guard let occurrence = arguments.last(.continueAt) else { return }
        continuation = try arguments.value(.continueAt) { text in
            if text == "-" { return .afterFile }
            let advice = BadValue("write a number of bytes, or - for as many as are here")
            guard !text.isEmpty, text.utf8.count <= 18, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let offset = Int(text)
            else { throw advice }
            return offset == 0 ? nil : .offset(offset)
        }.flatMap { $0 }
        guard let continuation else { return }
        let option = occurrence.spelling
        func refuse(_ isGiven: Bool, _ reason: String) throws {
            if isGiven { throw Failure.usage("\(option) \(reason)") }
        }
        try refuse(arguments.isGiven(.range), "is a range of its own: leave out -r, or \(option)")
        try refuse(fields[.range] != nil, "is a range of its own: leave out that -H, or \(option)")
        try refuse(files.removesOnError, "needs the bytes that --remove-on-error removes: keep one of them")
        try refuse(
            files.existing == .kept, "continues a file that exists, and --no-clobber leaves it alone: keep one of them")
        try refuse(
            files.usesHeaderName,
            "needs the name of the file before the request, and -J learns it after: name it with -o")
        try refuse(
            includesHead, "continues the bytes of a body, and -i and -I write its head: use -D FILE for that")
        try refuse(decodesContent, "continues the bytes as the server has them: leave out --compressed")
        try refuse(method != .get, "continues what GET fetches: leave out -X, -d, -F and -T, or \(option)")
        if case .offset(let offset) = continuation {
            try refuse(
                urls.count != 1 || inputFile != nil, "with a number is about one file: use -C - for several")
            fields[.range] = "bytes=\(offset)-"
        }
    }

    private mutating func setRangeSplit(_ arguments: Arguments) throws {
        guard let count = try arguments.value(.rangeSplit, Quantity.count(in: 1...100)) else { return }
        rangeSplit = count
        func refuse(_ isGiven: Bool, _ reason: String) throws {
            if isGiven { throw Failure.usage("--range-split \(reason)") }
        }
        try refuse(
            !placement.writesFiles && inputFile == nil, "puts ranges into a file, and no body goes to one: add -o or -O"
        )
        try refuse(fields[.range] != nil, "fetches whole files: leave out -r, and -C with a number")
        try refuse(method != .get, "is about what GET fetches: leave out -X, -d, -F, -I and -T")
        try refuse(includesHead, "fetches several responses, and -i writes one head: use -D FILE for that")
        try refuse(decodesContent, "puts bytes together as the server has them: leave out --compressed")
        try refuse(
            files.usesHeaderName,
            "needs the name of the file before the request, and -J learns it after: name it with -o")
    }

    private func checkChecksums(_ arguments: Arguments) throws {
        guard !checksums.isEmpty || checksumFile != nil else { return }
        let option = checksums.isEmpty ? "--checksum-file" : "--checksum"
        guard placement.writesFiles || inputFile != nil else {
            throw Failure.usage("\(option) is about files, and no body goes to one: add -o FILE or -O")
        }
        guard !decodesContent else {
            throw Failure.usage(
                "\(option) is about the bytes as they are received, and --compressed decodes them: leave one out")
        }
        guard !includesHead else {
            throw Failure.usage(
                "\(option) is about a body, and -i and -I write its head: use -D FILE for that")
        }
        guard !checksums.isEmpty else { return }
        guard checksumFile == nil else {
            throw Failure.usage("--checksum and --checksum-file say the same: keep one of them")
        }
        guard inputFile == nil else {
            throw Failure.usage("--checksum is for URLs of the command line: write checksum= lines into the list")
        }
        guard checksums.count == urls.count else {
            throw Failure.usage(
                "\(checksums.count) --checksum for \(counted(urls.count, "URL")); give one for each, or "
                    + "--checksum-file FILE")
        }
        for index in urls.indices {
            switch placement.destination(ofURLAt: index) {
            case .file, .remoteName: break
            case .standardOutput, .discard:
                throw Failure.usage(
                    "--checksum needs a file, which gets its name if its bytes are right: add -o FILE or -O")
            }
        }
    }
}
