import H2Client

try await withHTTPClient { client in
    let page = try await client.get("https://example.com/")  // HTTP/2 or HTTP/1.1, as the server chooses
    print(page.status, page.text)
    async let first = client.get("https://example.com/1")  // Both reuse the open connection.
    async let second = client.get("https://example.com/2")
    print(try await first.status, try await second.status)
    print(await client.statistics().connectionsOpened)
}
