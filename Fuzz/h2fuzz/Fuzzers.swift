import HTTPTypes

@testable import H2Client

// To add one: a function of an input that traps if something is wrong, a line here, and a folder of examples in Fuzz/corpus.

/// The fuzzers by name.
let fuzzers: [String: Fuzzer] = [
    "challenges": challenges, "content-coding": contentCoding, "content-disposition": contentDisposition,
    "cookies": cookies, "digest-field": digestField, "download": download, "events": events, "lines": lines,
    "multipart": multipart, "netrc": netrc, "netscape": netscape, "strict-transport": strictTransport, "url": url,
]

typealias Fuzzer = @Sendable ([UInt8]) -> Void

/// The one that runs.
///
/// `nonisolated(unsafe)`: set once, before anything else runs.
nonisolated(unsafe) var current: Fuzzer = { _ in }

/// The input as chunks: whole, byte by byte, and cut in places that its own first byte chooses.
private func cuts(_ input: [UInt8]) -> [[[UInt8]]] {
    let size = max(Int(input.first ?? 1) % 31, 1)
    let pieces = stride(from: 0, to: input.count, by: size).map { Array(input[$0..<min($0 + size, input.count)]) }
    return [[input], input.map { [$0] }, pieces]
}

/// Chunks make no difference to events.
@Sendable private func events(_ input: [UInt8]) {
    let results = cuts(input).map { chunks in
        var parser = ServerSentEventParser(limit: 200)
        var events: [ServerSentEvent] = []
        var hasFailed = false
        for chunk in chunks where !hasFailed {
            parser.add(chunk)
            do {
                while let event = try parser.next() { events.append(event) }
            } catch {
                hasFailed = true
            }
        }
        return (events, hasFailed)
    }
    for (events, hasFailed) in results.dropFirst() {
        precondition(hasFailed == results[0].1 && events == results[0].0, "chunks make a difference")
    }
    for event in results[0].0 {
        precondition(!event.type.isEmpty && event.data.utf8.count <= 3 * 200 && !event.id.utf8.contains(0))
    }
}

/// Chunks make no difference to lines, and lines have no ends.
@Sendable private func lines(_ input: [UInt8]) {
    let results = cuts(input).map { chunks in
        var splitter = LineSplitter(limit: 100)
        var lines: [[UInt8]] = []
        for chunk in chunks {
            splitter.add(chunk)
            do {
                while let line = try splitter.next() { lines.append(line) }
            } catch {
                return lines + [[0x0a]]
            }
        }
        if let last = splitter.last() { lines.append(last) }
        return lines
    }
    for result in results.dropFirst() { precondition(result == results[0], "chunks make a difference") }
    for line in results[0] where line != [0x0a] {
        precondition(line.count <= 100 && !line.contains(0x0a) && !line.contains(0x0d))
    }
}

/// A safe name names a file in the folder, and stays as it is.
@Sendable private func contentDisposition(_ input: [UInt8]) {
    guard let field = ContentDisposition(input) else { return }
    precondition(!field.type.isEmpty)
    guard let name = field.safeFileName else { return }
    precondition(!name.isEmpty && name.utf8.count <= 255)
    precondition(name.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f && !"/\\:*?\"<>|".utf8.contains($0) })
    precondition(!name.hasPrefix(".") && !name.hasPrefix("-") && !name.hasSuffix("."))
    precondition(ContentDisposition.safe(name) == name, "it is not safe at once")
}

/// The length of a field bounds what is kept of it.
@Sendable private func digestField(_ input: [UInt8]) {
    let text = String(decoding: input, as: UTF8.self)
    guard let field = DigestField([text]) else { return }
    precondition(!field.names.isEmpty && field.digests.values.allSatisfy { $0.count <= text.utf8.count })
    precondition(DigestField(["md5=:AAAA:", text])?.digests == field.digests, "lines make a difference")
}

/// States and ranges are read as they were written, or not at all.
@Sendable private func download(_ input: [UInt8]) {
    if let state = DownloadState(input) { precondition(Array(state.text.utf8) == input) }
    let text = String(decoding: input, as: UTF8.self)
    if let range = ContentRange(text) {
        precondition(range.range != nil || range.total != nil)
        if let bytes = range.range, let total = range.total { precondition(bytes.upperBound < total) }
    }
    _ = Validator(entityTag: text, lastModified: nil, date: nil)
    _ = Validator(entityTag: nil, lastModified: text, date: text)
}

/// A form's parts are found again, each with its contents.
@Sendable private func multipart(_ input: [UInt8]) {
    var parts: [MultipartForm.Part] = []
    for piece in input.split(separator: 0xff, omittingEmptySubsequences: false).prefix(8) {
        let texts = piece.split(separator: 0xfe, maxSplits: 3, omittingEmptySubsequences: false).map { Array($0) }
        let names = texts.map { String(decoding: $0, as: UTF8.self) }
        parts.append(
            MultipartForm.Part(
                names[0], .bytes(texts.last ?? []), fileName: texts.count > 2 ? names[1] : nil,
                contentType: texts.count > 3 ? names[2] : nil))
    }
    let form = MultipartForm(parts)
    let boundary = form.newBoundary()
    var bytes: [UInt8] = []
    for (index, part) in parts.enumerated() {
        bytes += MultipartForm.head(of: part, boundary: boundary, isFirst: index == 0)
        bytes += part.body.bytesInMemory ?? []
    }
    bytes += MultipartForm.end(boundary: boundary, isEmpty: parts.isEmpty)
    precondition(HTTPRequestBody.multipart(form).knownLength == bytes.count, "the length is wrong")
    // As a server reads it: delimiters first, then header fields up to an empty line.
    var rest = Array("\r\n".utf8)[...] + bytes[...]
    let delimiter = Array("\r\n--\(boundary)".utf8)
    guard rest.starts(with: delimiter) else { preconditionFailure("it does not begin with the delimiter") }
    rest = rest.dropFirst(delimiter.count)
    for part in parts {
        precondition(rest.prefix(2).elementsEqual("\r\n".utf8), "there are fewer parts")
        rest = rest.dropFirst(2)
        let head = Array("\r\n\r\n".utf8)
        guard let end = position(of: head, in: rest), let next = position(of: delimiter, in: rest) else {
            preconditionFailure("a part does not end")
        }
        let fields = rest[..<end].split(separator: 0x0a).count
        precondition(fields == (part.contentType == nil ? 1 : 2), "a name has added a field")
        precondition(rest[(end + head.count)..<next].elementsEqual(part.body.bytesInMemory ?? []), "other contents")
        rest = rest[(next + delimiter.count)...]
    }
    precondition(rest.elementsEqual("--\r\n".utf8), "there are more parts")
}

private func position(of text: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
    guard bytes.count >= text.count else { return nil }
    return (bytes.startIndex...(bytes.endIndex - text.count)).first { bytes[$0...].starts(with: text) }
}

/// A URL that is taken leads to a request that can be sent, and to itself.
@Sendable private func url(_ input: [UInt8]) {
    let text = String(decoding: input, as: UTF8.self)
    guard let target = try? RequestTarget(text) else { return }
    precondition(target.path.utf8.first == UInt8(ascii: "/"))
    precondition(target.path.utf8.allSatisfy { (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "#") })
    precondition((1...65535).contains(target.origin.port) && !target.origin.host.isEmpty)
    guard let request = try? target.request() else { preconditionFailure("no request can be made") }
    precondition(request.path == target.path)
    let again = "\(target.origin.scheme.rawValue)://\(request.authority ?? "")\(target.path)"
    guard let second = try? RequestTarget(again) else { preconditionFailure("its own form is refused: \(again)") }
    precondition(second.path == target.path, "its path changes again")
}
