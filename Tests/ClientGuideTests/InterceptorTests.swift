import H2Client
import H2ClientJSON
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Testing

@Suite(.inTurn, .timeLimit(.minutes(2)))
struct InterceptorTests {
    private static let routes: [String: OriginServer.Handler] = [
        "/old": { _ in .init(status: .found, headerFields: [.location: "/new"]) },
        "/new": { _ in .init(text: "here") },
    ]

    @Test func `An interceptor adds a field, and measures`() async throws {
        try await Guide.run(Self.routes) { guide in
            var configuration = guide.configuration
            // example: interceptor
            let requestID = HTTPField.Name("x-request-id")!
            configuration.interceptors.append(
                HTTPClient.Interceptor { request, body, next in
                    var request = request
                    request.headerFields[requestID] = String(UInt64.random(in: 0...UInt64.max), radix: 16)
                    let start = ContinuousClock.now
                    let response = try await next(request, body)
                    print(request.path ?? "/", response.status.code, ContinuousClock.now - start)
                    return response
                })
            let client = HTTPClient(configuration: configuration)
            _ = try await client.get("https://example.com/old")
            // end
            #expect(guide.printed.count == 1 && guide.printed[0].hasPrefix("/old 200 "))
            #expect(Set(guide.requests.map { $0.headerFields[requestID] }).count == 1)
        }
    }

    @Test func `An interceptor sees each attempt`() async throws {
        try await Guide.run(Self.routes) { guide in
            let client = guide.client
            // example: interceptor-attempt
            let logger = HTTPClient.Interceptor(.attempt) { request, body, next in
                let response = try await next(request, body)
                print("attempt \(next.attempt):", request.path ?? "/", response.status.code)
                return response
            }
            _ = try await client.get("https://example.com/old", options: RequestOptions(interceptors: [logger]))
            // end
            #expect(guide.printed == ["attempt 1: /old 302", "attempt 2: /new 200"])
        }
    }

    @Test func `A function takes the servers' place`() async throws {
        try await Guide.run { guide in
            // example: handler
            struct Order: Decodable { var name: String }
            let client = HTTPClient { request, body in
                guard request.path == "/orders/17" else { return StreamedResponse(status: .notFound) }
                return StreamedResponse(headerFields: [.contentType: "application/json"], body: #"{"name": "tea"}"#)
            }
            let order = try await client.get("https://api.example.com/orders/17", as: Order.self)
            print(order.name)
            // end
            #expect(guide.printed == ["tea"])
        }
    }
}
