import Foundation
import H2Client
import H2ClientTesting
import HTTPTypes

/// A service that uses another one through `Catalog`, with that other service on loopback.
///
/// Run it without arguments; it prints what happens, and ends with 0 if all of it was right.
@main
enum ServiceClient {
    static func main() async throws {
        // The demonstration stays on this machine, whatever proxies the environment names.
        setenv("no_proxy", "127.0.0.1", 1)
        let folder = FileManager.default.temporaryDirectory.appending(path: "catalog-\(UUID())").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }

        let service = try await CatalogServer()
        try await OriginServer.withServer(service.configuration) { server in
            let catalog = try Catalog(
                Catalog.Settings(
                    url: server.url, root: server.caPEM ?? "", ownAddresses: ["127.0.0.1"], clientID: "shop",
                    secret: "open sesame"))
            let events = catalog.client.events()
            try await use(catalog, service, folder: folder)
            await report(catalog, events)
        }
        print("all checks passed")
    }

    static func check(_ holds: Bool, _ what: String) {
        guard holds else { fatalError("not so: \(what)") }
        print("checked: \(what)")
    }

    private static func use(_ catalog: Catalog, _ service: CatalogServer, folder: String) async throws {
        let bolt = try await catalog.item(17, deadline: .now + .seconds(10))
        check(bolt == Catalog.Item(name: "bolt", stock: 100), "an item comes, decoded, although the server was busy")
        check(service.tokens == 2, "a revoked token is replaced, once")

        let moved = try await catalog.item(4, deadline: .now + .seconds(10))
        check(moved == bolt, "a redirect is followed")
        check(service.requestsWithCookie > 0, "the balancer's cookie comes back")

        let left = try await catalog.reserve(1, of: 17, deadline: .now + .seconds(10))
        check(left.stock == 99 && service.reserved == 1, "a reservation is made once")

        let sheet = "\(folder)/bolt.pdf"
        try Data("%PDF-1.7".utf8).write(to: URL(filePath: sheet))
        try await catalog.attachSheet(sheet, to: 17, deadline: .now + .seconds(10))
        check(service.sheets.count == 1 && service.sheets[0] > 8, "a data sheet is uploaded")

        var changed: [String] = []
        for try await event in try catalog.changes() { changed.append(event.data) }
        check(changed == ["17", "4", "8"], "changes come over two connections, each once")

        let file = try await catalog.export(to: "\(folder)/export.csv")
        check(
            file.byteCount == CatalogServer.csv.count, "a download that was cut is continued, and its digest is right")

        do {
            _ = try await catalog.picture(at: "http://169.254.169.254/latest/meta-data", deadline: .now + .seconds(10))
            check(false, "a supplier's URL cannot lead into our network")
        } catch let error as H2Error {
            check(error.code == .addressRefused, "a supplier's URL cannot lead into our network")
        }

        do {
            _ = try await catalog.item(17, deadline: .now)
            check(false, "a call whose deadline has passed fails at once")
        } catch let error as H2Error {
            check(error.code == .timeout, "a call whose deadline has passed fails at once")
        }
    }

    /// Ends the client, and prints what it did.
    private static func report(_ catalog: Catalog, _ events: AsyncStream<HTTPClient.Event>) async {
        let statistics = await catalog.client.statistics()
        await catalog.close()
        for await event in events {
            switch event.kind {
            case .connectionOpened(let info, let version, _): print("opened \(info.id) with \(version.rawValue)")
            case .requestRetried(let attempt): print("retried after \(attempt.status?.code ?? 0)")
            case .requestRedirected(let redirect): print("redirected to \(redirect.target)")
            case .connectionClosed(let reason, let requests): print("closed after \(requests) requests: \(reason)")
            default: break
            }
        }
        for (outcome, count) in catalog.metrics.counts.sorted(by: { $0.key < $1.key }) {
            print("\(outcome): \(count.requests) requests, \(count.time)")
        }
        print(
            "\(statistics.requests) requests over \(statistics.connectionsOpened) connections,",
            "\(statistics.handshakesSaved) handshakes saved, \(statistics.retries) retries")
        check(statistics.connectionsOpened == 1, "one connection was enough")
    }
}
