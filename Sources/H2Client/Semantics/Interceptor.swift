public import HTTPTypes

extension HTTPClient {
    /// A function that requests pass through. It may change the request, answer it itself, inspect the response, or try
    /// again.
    ///
    /// ```swift
    /// var configuration = HTTPClient.Configuration()
    /// configuration.interceptors.append(
    ///     HTTPClient.Interceptor { request, body, next in
    ///         var request = request
    ///         request.headerFields[.userAgent] = "example/1.0"
    ///         let response = try await next(request, body)
    ///         print(request.path ?? "/", response.status, response.redirects.count)
    ///         return response
    ///     })
    /// ```
    ///
    /// A client's interceptors come before a request's own (``RequestOptions/interceptors``), each list in its order:
    /// the first one sees the request first and the response last. They run in the task that called `send`, with its
    /// isolation. The request's time limits are checked when ``Next`` is called and while the request is sent; they do
    /// not cut an interceptor's own waits short.
    public struct Interceptor: Sendable {
        /// The scope of an interceptor.
        @nonexhaustive
        public enum Scope: Sendable, Hashable {
            /// The whole request, with its redirects and retries.
            case request
            /// Each attempt that is sent: the first one, and those after redirects, challenges and failures. Cookies
            /// and credentials have already been added. Such an interceptor may call ``Next`` at most once.
            case attempt
        }

        /// An interceptor's function.
        public typealias Function =
            nonisolated(nonsending) @Sendable (
                _ request: HTTPRequest, _ body: HTTPRequestBody, _ next: Next
            ) async throws -> StreamedResponse

        /// The interceptor's scope.
        public let scope: Scope
        let intercept: Function

        /// Creates an interceptor.
        public init(_ scope: Scope = .request, _ intercept: @escaping Function) {
            self.scope = scope
            self.intercept = intercept
        }
    }

    /// The next steps of a request: the interceptors that follow, and the client itself.
    public struct Next: Sendable {
        typealias Function =
            nonisolated(nonsending) @Sendable (HTTPRequest, HTTPRequestBody) async throws -> StreamedResponse

        /// The request's options, with the client's defaults filled in.
        public let options: RequestOptions
        /// The number of this attempt, counted from 1 over redirects, challenges and failures; 1 around a whole request.
        public let attempt: Int
        /// The redirects that led to this attempt; none around a whole request.
        public let redirects: [Redirect]
        /// The failed attempts before this one; none around a whole request.
        public let failedAttempts: [FailedAttempt]
        let function: Function

        /// Sends the request and waits for the response's header fields.
        /// - Throws: The errors of ``HTTPClient/send(_:body:options:)``, and those of other interceptors; `H2Error`
        ///   (`invalidRequest`) if an interceptor of attempts calls it a second time.
        public nonisolated(nonsending) func callAsFunction(
            _ request: HTTPRequest, _ body: HTTPRequestBody = .empty
        ) async throws -> StreamedResponse {
            try await function(request, body)
        }
    }
}

extension HTTPClient.Next {
    /// Sends a request through `interceptors`, and then through this.
    nonisolated(nonsending) func send(
        _ request: HTTPRequest, _ body: HTTPRequestBody, through interceptors: ArraySlice<HTTPClient.Interceptor>
    ) async throws -> StreamedResponse {
        guard let first = interceptors.first else { return try await function(request, body) }
        let rest = HTTPClient.Next(
            options: options, attempt: attempt, redirects: redirects, failedAttempts: failedAttempts
        ) { request, body in
            try await send(request, body, through: interceptors.dropFirst())
        }
        return try await first.intercept(request, body, rest)
    }
}
