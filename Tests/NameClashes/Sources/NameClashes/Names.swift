// Uses each top-level name of ours beside those of the packages that a server is likely to import. A name that one of them
// exports as well is ambiguous here, and does not compile.
import AsyncHTTPClient
import Configuration
import Foundation
import H2Client
import H2ClientJSON
import H2ClientTesting
import HTTPTypes
import Hummingbird
import Logging
import Metrics
import NIOCore
import NIOHTTP1
import NIOHTTP2
import NIOPosix
import NIOSSL
import ServiceLifecycle
import Tracing

/// Types of ours, unqualified but for the client itself, whose name AsyncHTTPClient has too.
func types() -> [Any.Type] {
    [
        H2Client.HTTPClient.self, AddressFilter.self, CollectedResponse.self, ConnectionConfiguration.self,
        ConnectionHandle.self, ConnectionID.self, ConnectionInfo.self, ConnectionSnapshot.self, ContentCoding.self,
        ContentDisposition.self, CookieJar.self, DownloadSettings.self, DownloadedFile.self, FailedAttempt.self,
        FileWritingOptions.self, FormFields.self, FrameRecord.self, H2Error.self, H2EventLoop.self,
        HostResolver.self, HTTP1Connection.self, HTTP2Connection.self, HTTPAuthentication.self, HTTPConnection.self,
        HTTPPriority.self, HTTPProtocolVersion.self, HTTPRequestBody.self, HTTPResponseBody.self, MultipartForm.self,
        Origin.self, (any OwnedConnection).self, RawField.self, RequestOptions.self, (any RequestSender).self,
        RequestTarget.self, ResponseMetrics.self, ServerSentEvent.self, ServerSentEvents.self, StatusLine.self,
        StreamedResponse.self, StrictTransportStore.self, UnexpectedStatus.self,
        OriginServer.self, TestResponseBody.self,
    ]
}

/// An enum that may grow needs a default, and gets by with one.
func growing(_ version: HTTPProtocolVersion, _ code: H2Error.Code) -> String {
    switch version {
    case .http1: return "1"
    case .http2: return "2"
    @unknown default: break
    }
    switch code {
    case .timeout: return "timeout"
    default: return "other"
    }
}

func functions() async throws {
    try await withHTTPClient { client in
        let options = RequestOptions(timeout: .seconds(1))
        let response = try await client.send(.get, "https://localhost/", options: options)
        for try await chunk in response.body { print(chunk.count) }
        let request = try RequestTarget("https://localhost/").request(.put)
        let upload = HTTPRequestBody.writer { writer in
            try await writer.write("abc".utf8)
            try await writer.write(Data([1]))
            try await writer.finish(trailers: [:])
        }
        print(try await client.collect(request, body: upload).status)
        print(try await client.put("https://localhost/", json: [1, 2], as: [Int].self))
    }
}
