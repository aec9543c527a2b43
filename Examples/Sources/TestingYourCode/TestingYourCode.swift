import H2Client
import H2ClientTesting
import HTTPTypes

/// Code that uses H2Client, and its tests: some need no server, others a real one on loopback with faults. In a project of your
/// own the tests are in a test target, and only that depends on H2ClientTesting.
struct OrderBook {
    var client: HTTPClient
    var url: String

    struct Refused: Error, Equatable {
        var status: HTTPResponse.Status
        var isWorthRetrying: Bool
    }

    /// Places an order and returns its number.
    func order(_ item: String) async throws -> String {
        try Self.number(in: try await client.post("\(url)/orders", body: .string(item)))
    }

    /// Judges a response: no server is needed to test this.
    static func number(in response: CollectedResponse) throws -> String {
        guard response.status == .created else {
            throw Refused(
                status: response.status, isWorthRetrying: response.response.firstValue(of: .retryAfter) != nil)
        }
        return response.text
    }

    /// Counts the lines of a long response as they arrive.
    static func lines(of response: StreamedResponse) async throws -> Int {
        var count = 0
        for try await chunk in response.body { count += chunk.count { $0 == UInt8(ascii: "\n") } }
        return count
    }
}

@main
enum TestingYourCode {
    static func main() async throws {
        try await withoutServer()
        try await withServer()
        try await withFaults()
        print("all checks passed")
    }

    static func check(_ holds: Bool, _ what: String) {
        guard holds else { fatalError("not so: \(what)") }
        print("checked: \(what)")
    }

    /// Responses that no server sent.
    static func withoutServer() async throws {
        let created = CollectedResponse(status: .created, text: "17")
        check(try OrderBook.number(in: created) == "17", "a created order has a number")

        let busy = CollectedResponse(status: .serviceUnavailable, headerFields: [.retryAfter: "1"])
        do {
            _ = try OrderBook.number(in: busy)
            check(false, "a busy server is an error")
        } catch let error as OrderBook.Refused {
            check(error == .init(status: .serviceUnavailable, isWorthRetrying: true), "a busy server is an error")
        }

        let split = StreamedResponse(body: .chunks(["one\ntw".utf8, "o\n".utf8]))
        check(try await OrderBook.lines(of: split) == 2, "lines are counted over chunks")

        let failure = H2Error(.connectionClosed, message: "the server went away")
        let cut = StreamedResponse(body: .chunks(["one\n".utf8], then: .failure(failure)))
        do {
            _ = try await OrderBook.lines(of: cut)
            check(false, "a cut response is an error")
        } catch let error as H2Error {
            check(error.code == .connectionClosed, "a cut response is an error")
        }
    }

    /// A real server on loopback, with a route of its own.
    static func withServer() async throws {
        var configuration = OriginServer.Configuration()
        configuration.routes["/orders"] = { request in
            guard request.method == .post else { return .init(status: .methodNotAllowed) }
            return .init(status: .created, text: "order of \(String(decoding: request.body, as: UTF8.self))")
        }
        try await OriginServer.withServer(configuration) { server in
            try await withHTTPClient(configuration: server.clientConfiguration()) { client in
                let number = try await OrderBook(client: client, url: server.url).order("tea")
                check(number == "order of tea", "an order is placed")
            }
            check(server.statistics.http2Requests == 1, "it took one request over HTTP/2")
        }
    }

    /// The same with a server that goes away, and with the routes that misbehave.
    static func withFaults() async throws {
        var configuration = OriginServer.Configuration()
        configuration.faults.refuseEvery = 2
        try await OriginServer.withServer(configuration) { server in
            try await withHTTPClient(configuration: server.clientConfiguration()) { client in
                _ = try await client.get("\(server.url)/status/204")
                let second = try await client.get("\(server.url)/status/204").response
                check(second.failedAttempts.count == 1, "a refused request is retried")
            }
        }
        try await OriginServer.withServer { server in
            try await withHTTPClient(configuration: server.clientConfiguration()) { client in
                do {
                    _ = try await client.get("\(server.url)/reset/2?after=1000")
                    check(false, "a reset stream is an error")
                } catch let error as H2Error {
                    check(error.code == .streamReset, "a reset stream is an error")
                }
            }
        }
    }
}
