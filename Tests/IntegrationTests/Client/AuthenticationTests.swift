import H2Client
import H2ClientTesting
import H2TestSupport
import HTTPTypes
import Synchronization
import Testing

/// Credentials over connections, to an origin of H2ClientTesting whose routes ask for them.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct AuthenticationTests {
    static let versions: [HTTPClient.Versions] = [.http2Only, .http1Only]

    private let digest = HTTPAuthentication.digest(user: "ada", password: "s3cret: päss")

    /// An origin whose `/private` is behind the gate.
    private func configuration(_ gate: DigestGate) -> OriginServer.Configuration {
        var configuration = OriginServer.Configuration()
        configuration.routes["/private"] = { request in
            let answer = gate.answer(
                method: request.method.rawValue, target: request.path + (request.query.map { "?\($0)" } ?? ""),
                credentials: request.headerFields[.authorization], body: request.body)
            var response = OriginServer.Response(status: HTTPResponse.Status(code: answer.status), text: "abc")
            for field in answer.fields {
                guard let name = HTTPField.Name(String(decoding: field.name, as: UTF8.self)) else { continue }
                response.headerFields.append(HTTPField(name: name, lenientValue: field.value))
            }
            return response
        }
        configuration.routes["/credentials"] = { request in
            OriginServer.Response(text: request.headerFields[.authorization] ?? "none")
        }
        return configuration
    }

    private func gate(_ change: (inout DigestGate.Options) -> Void = { _ in }) -> DigestGate {
        var options = DigestGate.Options()
        change(&options)
        return DigestGate(options)
    }

    @Test(arguments: versions)
    func `Requests share the nonce of one challenge`(_ versions: HTTPClient.Versions) async throws {
        let gate = gate { $0.proof = .right }
        let digest = digest
        try await withOriginAndClient(configuration(gate)) {
            $0.versions = versions
            $0.authentication = digest
        } _: { client, server async throws in
            let url = "\(server.origin)/private?x=1"
            #expect(try await client.get(url).text == "abc")
            let burst = await client.burst(100, url)
            expectAllServed(burst, 100)
            #expect(gate.counts == DigestGate.Counts(withoutCredentials: 1, accepted: 101))
            #expect(gate.uses == [101])
            #expect(await client.statistics().connectionsOpened <= (versions == .http2Only ? 1 : 8))
        }
    }

    @Test(arguments: versions)
    func `Requests that start together all get through`(_ versions: HTTPClient.Versions) async throws {
        let gate = gate()
        let digest = digest
        try await withOriginAndClient(configuration(gate)) {
            $0.versions = versions
            $0.authentication = digest
        } _: { client, server async throws in
            expectAllServed(await client.burst(100, "\(server.origin)/private"), 100)
            #expect(gate.counts.accepted == 100)
            #expect(gate.counts.refused == 0)
        }
    }

    @Test(arguments: versions)
    func `Nonces for few requests are replaced under load`(_ versions: HTTPClient.Versions) async throws {
        let gate = gate { $0.usesOfNonce = 3 }
        let digest = digest
        try await withOriginAndClient(configuration(gate)) {
            $0.versions = versions
            $0.authentication = digest
        } _: { client, server async throws in
            for _ in 0..<20 { #expect(try await client.get("\(server.origin)/private").text == "abc") }
            #expect(gate.counts.accepted == 20)
        }
    }

    @Test(arguments: versions)
    func `A body in memory and one in a file are sent again after a challenge`(
        _ versions: HTTPClient.Versions
    ) async throws {
        let path = try TemporaryDirectory.shared.newFolder("body") + "/body"
        let text = String(repeating: "0123456789", count: 20_000)
        try writeText(text, to: path)
        let digest = digest
        for protection in ["auth", "auth-int"] {
            for body in [HTTPRequestBody.string(text), .file(path)] {
                let gate = gate { $0.protection = protection }
                try await withOriginAndClient(configuration(gate)) {
                    $0.versions = versions
                    $0.authentication = digest
                } _: { client, server async throws in
                    let url = "\(server.origin)/private"
                    #expect(try await client.post(url, body: body).status == .ok)
                    #expect(try await client.put(url, body: body).status == .ok)
                    #expect(gate.counts == DigestGate.Counts(withoutCredentials: 1, accepted: 2))
                }
            }
        }
    }

    @Test(arguments: versions)
    func `A streamed body gets the server's 401, and the next one its nonce`(
        _ versions: HTTPClient.Versions
    ) async throws {
        let gate = gate()
        let digest = digest
        try await withOriginAndClient(configuration(gate)) {
            $0.versions = versions
            $0.authentication = digest
        } _: { client, server async throws in
            let body = HTTPRequestBody.writer { writer in
                for _ in 0..<10 { try await writer.write([UInt8](repeating: 7, count: 1_000)) }
            }
            let url = "\(server.origin)/private"
            #expect(try await client.post(url, body: body).status == .unauthorized)
            #expect(try await client.post(url, body: body).status == .ok)
            #expect(gate.counts == DigestGate.Counts(withoutCredentials: 1, accepted: 1))
        }
    }

    @Test(arguments: versions)
    func `A redirect to another origin gets no authorization`(_ versions: HTTPClient.Versions) async throws {
        let other = try OriginServer.start(configuration(gate()))
        defer { other.stopNow() }
        var configuration = configuration(gate())
        let target = "\(other.origin)/credentials"
        configuration.routes["/away"] = { request in
            OriginServer.Response(
                status: .temporaryRedirect, headerFields: [.location: target],
                body: Array((request.headerFields[.authorization] ?? "none").utf8))
        }
        try await withOriginAndClient(configuration) {
            $0.versions = versions
            $0.connection.tls.verifiesPeer = false
            $0.authentication = .bearer("token")
        } _: { client, server async throws in
            #expect(try await client.get("\(server.origin)/credentials").text == "Bearer token")
            let away = try await client.get("\(server.origin)/away")
            #expect(away.text == "none")
            #expect(away.response.redirects.count == 1)
            let listed = RequestOptions(
                authentication: .origins([server.origin: .bearer("one"), other.origin: .bearer("two")]))
            #expect(try await client.get("\(server.origin)/away", options: listed).text == "Bearer two")
        }
    }

    @Test(arguments: versions)
    func `A token that expired is fetched once for all requests`(_ versions: HTTPClient.Versions) async throws {
        let calls = Counter()
        var configuration = OriginServer.Configuration()
        configuration.routes["/token"] = { request in
            guard request.headerFields[.authorization] == "Bearer t2" else {
                return OriginServer.Response(
                    status: .unauthorized,
                    headerFields: [.wwwAuthenticate: #"Bearer realm="a", error="invalid_token""#])
            }
            return OriginServer.Response(text: "abc")
        }
        try await withOriginAndClient(configuration) {
            $0.versions = versions
            $0.authentication = .bearer {
                calls.increment()
                return HTTPAuthentication.Token("t\(calls.value)")
            }
        } _: { client, server async throws in
            expectAllServed(await client.burst(100, "\(server.origin)/token"), 100)
            #expect(calls.value == 2)
        }
    }
}

extension RealServers {
    @Suite(.timeLimit(.minutes(5)))
    struct ApacheAuthenticationTests {
        private let password = "open sesame"

        private static let endpoints: [HTTPProtocolVersion] = [.http2, .http1]

        private func origin(_ running: RunningServer, _ version: HTTPProtocolVersion) throws -> Origin {
            version == .http2 ? try running.origin : try running.http1Origin
        }

        @Test(arguments: endpoints)
        func `Basic credentials are accepted and refused`(_ version: HTTPProtocolVersion) async throws {
            try await RealServer.apache2.run { running in
                let url = "\(try origin(running, version))/basic/small.txt"
                try await withClient(of: running) { client async throws in
                    #expect(try await client.get(url).status == .unauthorized)
                    for authentication in [
                        HTTPAuthentication.basic(user: "ada", password: password),
                        .any(user: "ada", password: password),
                    ] {
                        let page = try await client.get(url, options: RequestOptions(authentication: authentication))
                        #expect(page.text == "abc")
                        #expect(page.version == version)
                    }
                    for authentication in [
                        HTTPAuthentication.basic(user: "ada", password: "wrong"),
                        .any(user: "ada", password: "wrong"), .digest(user: "ada", password: password),
                    ] {
                        let page = try await client.get(url, options: RequestOptions(authentication: authentication))
                        #expect(page.status == .unauthorized)
                    }
                }
            }
        }

        @Test(arguments: endpoints)
        func `Digest is accepted, with the nonce for many requests`(_ version: HTTPProtocolVersion) async throws {
            try await RealServer.apache2.run { running in
                let origin = try origin(running, version)
                let url = "\(origin)/digest/small.txt"
                let digest = HTTPAuthentication.digest(user: "ada", password: password)
                let challenges = Counter()
                try await withClient(of: running) {
                    $0.authentication = digest
                    $0.interceptors = [
                        HTTPClient.Interceptor(.attempt) { request, body, next in
                            let response = try await next(request, body)
                            if response.status == .unauthorized { challenges.increment() }
                            return response
                        }
                    ]
                } _: { client async throws in
                    let page = try await client.get(url)
                    #expect(page.text == "abc")
                    // Apache proves that it knows the password, and the proof is right.
                    #expect(page.response.firstValue(of: HTTPField.Name("authentication-info")!) != nil)
                    expectAllServed(await client.burst(100, url), 100)
                    #expect(try await client.get(url + "?a=b%20c").text == "abc")
                    #expect(challenges.value == 1)
                    let file = "\(origin)/digest-up/\(version == .http2 ? 2 : 1).txt"
                    #expect(try await client.put(file, body: .string("uploaded")).status == .created)
                    #expect(try await client.get(file).text == "uploaded")
                    let wrong = RequestOptions(authentication: .digest(user: "ada", password: "wrong"))
                    #expect(try await client.get(url, options: wrong).status == .unauthorized)
                    let any = RequestOptions(authentication: .any(user: "ada", password: password))
                    #expect(try await client.get(url, options: any).text == "abc")
                }
            }
        }

        @Test(arguments: endpoints)
        func `A streamed body that waits for 100 Continue is sent once, after the challenge`(
            _ version: HTTPProtocolVersion
        ) async throws {
            try await RealServer.apache2.run { running in
                let url = "\(try origin(running, version))/digest-up/streamed\(version == .http2 ? 2 : 1).txt"
                let calls = Counter()
                let body = HTTPRequestBody.writer { writer in
                    calls.increment()
                    try await writer.write(Array("streamed".utf8))
                }
                let options = RequestOptions(
                    expectContinue: .seconds(30), authentication: .digest(user: "ada", password: password))
                try await withClient(of: running) { client async throws in
                    #expect(try await client.put(url, body: body, options: options).status == .created)
                    #expect(calls.value == 1)
                    #expect(try await client.get(url, options: options).text == "streamed")
                }
            }
        }

        @Test(arguments: endpoints)
        func `A nonce that has become too old is replaced`(_ version: HTTPProtocolVersion) async throws {
            try await RealServer.apache2.run { running in
                let url = "\(try origin(running, version))/digest-2s/small.txt"
                let digest = HTTPAuthentication.digest(user: "ada", password: password)
                try await withClient(of: running) {
                    $0.authentication = digest
                } _: { client async throws in
                    #expect(try await client.get(url).text == "abc")
                    try await letTimePass(.milliseconds(2_500))
                    #expect(try await client.get(url).text == "abc")
                    expectAllServed(await client.burst(50, url), 50)
                }
            }
        }
    }
}
