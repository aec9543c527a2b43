import Foundation
import H2ClientTesting
import HTTPTypes
import Synchronization

/// A server's file with ranges and validators, which follows a script: an entry for each request, the last one for all
/// others.
final class FileServer: Sendable {
    struct Reply: Sendable {
        var content: [UInt8]
        var tag: String? = "\"1\""
        var modified: String?
        var takesRanges = true
        var statesLength = true
        var status: HTTPResponse.Status?
        /// Whether only requests with a range get the status.
        var statusIsForRanges = false
        /// Replaces the true one of a partial response.
        var contentRange: String?
        /// Added to the bytes of a partial response, or taken away from its end.
        var extra = 0
        var delay = Duration.zero
        var fault: OriginServer.Fault?
        var fields: HTTPFields = [:]
    }

    private let replies: Mutex<[Reply]>
    private let log = Mutex<[OriginServer.Request]>([])

    init(_ replies: Reply...) { self.replies = Mutex(replies) }

    init(_ replies: [Reply]) { self.replies = Mutex(replies) }

    var requests: [OriginServer.Request] { log.withLock { $0 } }
    /// The range of each request so far; - for none.
    var ranges: [String] { requests.map { $0.headerFields[.range] ?? "-" } }

    var handler: OriginServer.Handler { { self.answer($0) } }

    private func answer(_ request: OriginServer.Request) -> OriginServer.Response {
        log.withLock { $0.append(request) }
        let reply = replies.withLock { $0.count > 1 ? $0.removeFirst() : $0[0] }
        let size = reply.content.count
        var fields = reply.fields
        fields[.eTag] = reply.tag
        fields[.lastModified] = reply.modified
        if reply.takesRanges { fields[.acceptRanges] = "bytes" }
        if let status = reply.status, !reply.statusIsForRanges || request.headerFields[.range] != nil {
            return .init(status: status, headerFields: fields, body: Array("status\n".utf8), delay: reply.delay)
        }
        func matches(_ name: HTTPField.Name) -> Bool {
            request.headerFields[name].map { $0 == reply.tag || $0 == reply.modified } ?? true
        }
        guard matches(.ifMatch) else {
            return .init(status: .preconditionFailed, headerFields: fields)
        }
        guard reply.takesRanges, matches(.ifRange), let range = Self.range(request.headerFields[.range], size) else {
            return .init(
                headerFields: fields, body: reply.content,
                trailerFields: reply.statesLength ? nil : [HTTPField.Name("x-end")!: "1"], delay: reply.delay,
                fault: reply.fault)
        }
        guard !range.isEmpty else {
            fields[.contentRange] = "bytes */\(size)"
            return .init(status: .rangeNotSatisfiable, headerFields: fields)
        }
        fields[.contentRange] = reply.contentRange ?? "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(size)"
        var body = Array(reply.content[range])
        if reply.extra > 0 { body += [UInt8](repeating: 7, count: reply.extra) } else { body.removeLast(-reply.extra) }
        return .init(
            status: .partialContent, headerFields: fields, body: body, delay: reply.delay, fault: reply.fault)
    }

    /// `bytes=A-B` or `bytes=A-`; empty if it is beyond the end.
    private static func range(_ text: String?, _ size: Int) -> Range<Int>? {
        guard let text, text.hasPrefix("bytes=") else { return nil }
        let ends = text.dropFirst(6).split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, let first = Int(ends[0]) else { return nil }
        let last = Int(ends[1]).map { min($0, size - 1) } ?? size - 1
        return first < size && first <= last ? first..<last + 1 : 0..<0
    }
}

extension Served {
    /// An origin with files at paths.
    convenience init(
        files: [String: FileServer], _ change: (inout OriginServer.Configuration) -> Void = { _ in }
    ) throws {
        try self.init {
            for (path, file) in files { $0.routes[path] = file.handler }
            change(&$0)
        }
    }

    func put(_ bytes: some Sequence<UInt8>, _ name: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: folder.path(name)))
    }

    func bytes(_ name: String) throws -> [UInt8] { Array(try folder.data(name)) }
}
