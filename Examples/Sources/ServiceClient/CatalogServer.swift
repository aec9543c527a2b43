import H2Client
import H2ClientTesting
import HTTPTypes
import Synchronization

/// The catalogue, on loopback. It makes its client's life hard: it revokes a token, is busy, moves an item, ends its event
/// stream and cuts a download.
final class CatalogServer: Sendable {
    private struct State {
        var tokens = 0
        var failures: Set<String> = []
        var requestIDs: Set<String> = []
        var withCookie = 0
        var reserved = 0
        var sheets: [Int] = []
    }

    private let state = Mutex(State())
    private let encodedItem: [UInt8]

    init() async throws {
        encodedItem = try await HTTPRequestBody.string(#"{"name": "bolt", "stock": 100}"#).compressed(with: .gzip)
            .collect()
    }

    var tokens: Int { state.withLock { $0.tokens } }
    var requestIDs: Int { state.withLock { $0.requestIDs.count } }
    var requestsWithCookie: Int { state.withLock { $0.withCookie } }
    var reserved: Int { state.withLock { $0.reserved } }
    /// The bytes of the forms that came.
    var sheets: [Int] { state.withLock { $0.sheets } }

    var configuration: OriginServer.Configuration {
        var configuration = OriginServer.Configuration()
        configuration.routes["/token"] = { _ in
            let number = self.state.withLock { state in
                state.tokens += 1
                return state.tokens
            }
            return .init(text: #"{"token": "token-\#(number)", "lifetime": 3600}"#)
        }
        configuration.routes["/"] = { request in
            if let refusal = self.judge(request) { return refusal }
            switch (request.method, request.path) {
            case (.get, "/items/17"): return self.item()
            case (.get, "/items/4"): return .init(status: .permanentRedirect, headerFields: [.location: "/items/17"])
            case (.post, "/items/17/reservations"):
                let left = self.state.withLock { state in
                    state.reserved += 1
                    return 100 - state.reserved
                }
                return .init(text: #"{"name": "bolt", "stock": \#(left)}"#)
            case (.post, "/items/17/sheets"):
                self.state.withLock { $0.sheets.append(request.body.count) }
                return .init(status: .created)
            case (.get, "/changes"): return self.changes(after: request.headerFields[.lastEventID])
            case (.get, "/export.csv"): return self.export(request.headerFields[.range])
            default: return .init(status: .notFound)
            }
        }
        return configuration
    }

    /// Every request passes through it.
    private func judge(_ request: OriginServer.Request) -> OriginServer.Response? {
        state.withLock { state in
            if let id = request.headerFields[Metrics.requestID] { state.requestIDs.insert(id) }
            if request.headerFields[.cookie] == "server=a" { state.withCookie += 1 }
        }
        // The first token has been revoked.
        guard request.headerFields[.authorization] == "Bearer token-2" else {
            return .init(status: .unauthorized, headerFields: [.wwwAuthenticate: "Bearer error=\"invalid_token\""])
        }
        return nil
    }

    /// Whether this happens for the first time.
    private func isFirst(_ failure: String) -> Bool { state.withLock { $0.failures.insert(failure).inserted } }

    private func item() -> OriginServer.Response {
        if isFirst("busy") { return .init(status: .serviceUnavailable, headerFields: [.retryAfter: "0"]) }
        return .init(
            headerFields: [
                .contentType: "application/json", .contentEncoding: "gzip", .setCookie: "server=a; Secure; HttpOnly",
            ], body: encodedItem)
    }

    private func changes(after id: String?) -> OriginServer.Response {
        let events = id == nil ? "retry: 1\n\nid: 1\ndata: 17\n\nid: 2\ndata: 4\n\n" : "id: 3\ndata: 8\n\n"
        // 204 ends the stream for good.
        if id == "3" { return .init(status: .noContent) }
        return .init(headerFields: [.contentType: "text/event-stream"], body: Array(events.utf8))
    }

    static let csv = Array(("name,stock\n" + String(repeating: "bolt,100\n", count: 20_000)).utf8)

    private func export(_ range: String?) -> OriginServer.Response {
        var fields: HTTPFields = [
            .eTag: "\"1\"", .reprDigest: "sha-256=:7XAgPdG4G4uu1YWZMdZ7+oYAHQjY5zegzK8qVNPNlqQ=:",
        ]
        guard let range, let start = Int(range.dropFirst("bytes=".count).dropLast()) else {
            let fault: OriginServer.Fault? =
                isFirst("cut") ? .reset(.internalError, afterBytes: 100_000) : nil
            return .init(headerFields: fields, body: Self.csv, fault: fault)
        }
        fields[.contentRange] = "bytes \(start)-\(Self.csv.count - 1)/\(Self.csv.count)"
        return .init(status: .partialContent, headerFields: fields, body: Array(Self.csv[start...]))
    }
}

extension HTTPField.Name {
    fileprivate static let lastEventID = Self("last-event-id")!
    fileprivate static let reprDigest = Self("repr-digest")!
}
