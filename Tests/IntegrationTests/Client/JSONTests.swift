import H2Client
import H2ClientJSON
import H2ClientTesting
import HTTPTypes
import H2TestSupport
import Testing

@Suite(.inTurn, .timeLimit(.minutes(5)))
struct JSONTests {
    struct Order: Codable, Equatable {
        var name: String
        var count: Int
    }

    @Test
    func `A value goes there and comes back`() async throws {
        try await withOriginAndClient { client, server in
            let order = Order(name: "bolts", count: 12)
            let echoed = try await client.post("\(server.url)/echo", json: order, as: Order.self)
            #expect(echoed == order)
            let put = try await client.put("\(server.url)/echo", json: order)
            #expect(put.text.contains("bolts"))
            #expect(try await client.put("\(server.url)/echo", json: order, as: Order.self) == order)
            #expect(try await client.patch("\(server.url)/echo", json: order, as: Order.self) == order)
            #expect(try await client.patch("\(server.url)/echo", json: order).status == .ok)
        }
    }

    @Test
    func `A status that is no success is an error with the response in it`() async throws {
        try await withOriginAndClient { client, server in
            do {
                _ = try await client.get("\(server.url)/status/404", as: Order.self)
                Issue.record("404 was taken for a value")
            } catch let error as UnexpectedStatus {
                #expect(error.response.status == .notFound)
                #expect(error.description.contains("404"))
            }
        }
    }

    @Test
    func `A body that is no such value is the decoder's error`() async throws {
        _ = try await withOriginAndClient { client, server in
            await #expect(throws: DecodingError.self) {
                try await client.get("\(server.url)/bytes/10", as: Order.self)
            }
        }
    }
}
