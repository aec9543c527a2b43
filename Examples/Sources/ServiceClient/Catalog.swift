import H2Client
import H2ClientJSON
import HTTPTypes

/// A client of a catalogue service, as another service would have it: one value for the whole life of the process, which knows
/// the catalogue's URLs and rules. Its callers see neither.
struct Catalog: Sendable {
    struct Item: Codable, Sendable, Equatable {
        var name: String
        var stock: Int
    }

    /// The settings that differ between production, staging and tests.
    struct Settings: Sendable {
        /// The catalogue's URL, without a path.
        var url: String
        /// The authority that signs the catalogue's certificates, as PEM.
        var root: String
        /// Addresses that may be connected to although the internet cannot reach them: those of the catalogue itself.
        var ownAddresses: Set<String>
        var clientID: String
        var secret: String
    }

    let client: HTTPClient
    let metrics = Metrics()
    private let url: String
    private let tokens: HTTPAuthentication

    init(_ settings: Settings) throws {
        var configuration = HTTPClient.Configuration()
        // The company's authority is trusted for the catalogue, and for nobody else.
        var tls = configuration.connection.tls
        tls.roots = [.pem(settings.root)]
        tls.minimumVersion = .tls13
        configuration.originTLS[try Origin(settings.url)] = tls
        // Suppliers give us URLs of pictures. None may lead into our network, nor may a redirect.
        configuration.connection.addressFilter = AddressFilter { address in
            address.isGlobal || settings.ownAddresses.contains(address.description)
        }
        configuration.connection.timeouts.connect = .seconds(2)
        configuration.proxies = .environment
        configuration.redirects = HTTPClient.RedirectPolicy(limit: 3)
        configuration.contentDecoding.maximumSize = 64 << 20
        configuration.cookies = CookieJar()  // Its balancer sets one, to keep us at one of its servers.
        configuration.retry = .withStatuses
        configuration.retry.maximumTime = .seconds(5)
        configuration.pool.http1ConnectionsPerOrigin = 16
        configuration.loadLimits.concurrentRequestsPerOrigin = 100
        configuration.interceptors = [metrics.interceptor]
        try configuration.connection.validate()

        let client = HTTPClient(configuration: configuration)
        self.client = client
        url = settings.url
        // Shared by all requests: one of them fetches a token, the others wait for it.
        tokens = .bearer {
            let form = HTTPRequestBody.form([
                "grant_type": "client_credentials", "client_id": settings.clientID, "client_secret": settings.secret,
            ])
            let grant: Grant = try await client.post("\(settings.url)/token", body: form).json()
            return HTTPAuthentication.Token(grant.token, expiresIn: .seconds(grant.lifetime - 30))
        }
    }

    private struct Grant: Decodable {
        var token: String
        var lifetime: Int
    }

    /// The options of a request that has to be over when its caller's own answer is due.
    private func options(_ deadline: ContinuousClock.Instant) -> RequestOptions {
        RequestOptions(deadline: deadline, authentication: tokens)
    }

    /// An item.
    func item(_ number: Int, deadline: ContinuousClock.Instant) async throws -> Item {
        try await client.get("\(url)/items/\(number)", as: Item.self, options: options(deadline))
    }

    /// Reserves some of an item, and returns what is left. Never sent twice: the catalogue would reserve twice as many.
    func reserve(_ count: Int, of number: Int, deadline: ContinuousClock.Instant) async throws -> Item {
        var options = options(deadline)
        options.retry = .never
        return try await client.post(
            "\(url)/items/\(number)/reservations", json: ["count": count], as: Item.self, options: options)
    }

    /// Uploads an item's data sheet, which is read as it is sent.
    func attachSheet(_ path: String, to number: Int, deadline: ContinuousClock.Instant) async throws {
        var form = MultipartForm()
        form.append("kind", "data sheet")
        form.append("sheet", file: path)
        let answer = try await client.post(
            "\(url)/items/\(number)/sheets", body: .multipart(form), options: options(deadline))
        guard answer.status == .created else { throw UnexpectedStatus(response: answer) }
    }

    /// The numbers of items that change, from now on, over as many connections as it takes.
    func changes() throws -> ServerSentEvents {
        try client.serverSentEvents("\(url)/changes", options: RequestOptions(authentication: tokens))
    }

    /// Downloads the whole catalogue. If it was interrupted, the next call continues; what arrived is checked in the end.
    func export(to path: String) async throws -> DownloadedFile {
        try await client.download(
            "\(url)/export.csv", to: path, options: RequestOptions(authentication: tokens),
            settings: DownloadSettings(requiresDigest: true))
    }

    /// A picture at a URL that a supplier gave us. It gets no token, and no address of our network.
    func picture(at url: String, deadline: ContinuousClock.Instant) async throws -> [UInt8] {
        try await client.get(url, options: RequestOptions(deadline: deadline), upTo: 10 << 20).body
    }

    func close() async { await client.shutdown(gracePeriod: .seconds(5)) }
}
