import H2Client
import HTTPTypes
import Synchronization

/// Gives each request an ID, and counts requests by what became of them, as a service would export it.
final class Metrics: Sendable {
    struct Count: Sendable {
        var requests = 0
        var time = Duration.zero
    }

    private let state = Mutex<[String: Count]>([:])

    /// By status, or by the error's code.
    var counts: [String: Count] { state.withLock { $0 } }

    static let requestID = HTTPField.Name("x-request-id")!

    var interceptor: HTTPClient.Interceptor {
        HTTPClient.Interceptor { request, body, next in
            var request = request
            request.headerFields[Self.requestID] = String(UInt64.random(in: 0...UInt64.max), radix: 16)
            let start = ContinuousClock.now
            do {
                let response = try await next(request, body)
                self.add("\(response.status.code)", since: start)
                return response
            } catch {
                self.add((error as? H2Error).map { "\($0.code)" } ?? "other", since: start)
                throw error
            }
        }
    }

    private func add(_ outcome: String, since start: ContinuousClock.Instant) {
        let time = ContinuousClock.now - start
        state.withLock { counts in
            counts[outcome, default: Count()].requests += 1
            counts[outcome, default: Count()].time += time
        }
    }
}
