import Foundation
import H2ClientTesting
import H2TestSupport
import Testing

/// Proxies of the command line and of the environment, as curl has them, through Debian's proxies.
@Suite(.inTurn, .timeLimit(.minutes(5)), .enabled(if: CurlParity.hasCurl)) struct ProxyParityTests {
    private func served() throws -> Served {
        try Served { configuration in
            configuration.routes["/hello"] = { _ in .init(text: "hello\n") }
            configuration.security = .cleartext
        }
    }

    /// `PROXY` is the proxy's port, `URL` the origin's address.
    @Test(arguments: [
        "-x http://127.0.0.1:PROXY URL/hello", "-x 127.0.0.1:PROXY URL/hello", "-x 127.0.0.1:PROXY -d a=b URL/echo",
        "-x 127.0.0.1:PROXY URL/hello URL/status/404", "-x 127.0.0.1:1 --noproxy * URL/hello",
        "-x 127.0.0.1:1 --noproxy localhost,127.0.0.1 URL/hello", "-p -x 127.0.0.1:PROXY URL/hello",
        "--proxytunnel -x 127.0.0.1:PROXY -d a=b URL/echo", "--proxy-header X-A:b -x 127.0.0.1:PROXY URL/hello",
        "-p --proxy-header X-A:b -x 127.0.0.1:PROXY URL/hello",
    ])
    func `An HTTP proxy is used as curl uses it`(_ line: String) async throws {
        let served = try served()
        try await RealProxy.tinyproxy.run { proxy in
            let text = line.replacing("PROXY", with: "\(proxy.port)").replacing("URL", with: served.url(""))
            try await CurlParity(served).expectSame(text.split(separator: " ").map(String.init) + ["--http1.1"])
        }
    }

    @Test(arguments: [
        "--socks5 127.0.0.1:PROXY", "--socks5-hostname 127.0.0.1:PROXY", "-x socks5h://127.0.0.1:PROXY",
        "-x socks5://127.0.0.1:PROXY",
    ])
    func `A SOCKS proxy with a password is used as curl uses it`(_ options: String) async throws {
        let served = try served()
        try await RealProxy.microsocks.run { proxy in
            let arguments = options.replacing("PROXY", with: "\(proxy.port)").split(separator: " ").map(String.init)
            let login = ["-U", "\(RealProxy.user):\(RealProxy.password)"]
            try await CurlParity(served).expectSame(arguments + login + ["--http1.1", served.url("/hello")])
            // Exit codes differ: curl has one for each of SOCKS's refusals.
            let refused = try await served.get(
                arguments + ["-U", "\(RealProxy.user):wrong", "--http1.1", served.url("/hello")])
            #expect(refused.status == 97, "\(refused.errors)")
            #expect(!refused.errors.contains("wrong"), "\(refused.errors)")
        }
    }

    @Test func `A proxy before the proxy is the only one if no other is named`() async throws {
        let served = try served()
        let script = """
            http_proxy=127.0.0.1:1 "\(Program.path)" --preproxy socks5h://127.0.0.1:2 -sS \(served.url("/hello")) 2> errors
            [ $? = 7 ] && grep -q 127.0.0.1:2 errors && ! grep -q '127.0.0.1:1:' errors
            """
        let status = try await Program.runShell(script, in: served.folder.root)
        #expect(status == 0, "\((try? served.folder.read("errors")) ?? "")")
    }

    @Test(arguments: ["--socks4 127.0.0.1:PROXY", "-x socks4://127.0.0.1:PROXY"])
    func `SOCKS 4 is used as curl uses it`(_ options: String) async throws {
        let served = try served()
        try await RealProxy.dante.run { proxy in
            let arguments = options.replacing("PROXY", with: "\(proxy.port)").split(separator: " ").map(String.init)
            let facts = ["-w", "%{http_connect} %{http_code}\n"]
            try await CurlParity(served).expectSame(arguments + facts + ["--http1.1", served.url("/hello")])
        }
    }

    /// `FIRST` is a SOCKS proxy with its password, `PROXY` an HTTP proxy.
    @Test(arguments: [
        "--preproxy socks5h://FIRST -x 127.0.0.1:PROXY", "--preproxy socks5://FIRST -p -x 127.0.0.1:PROXY",
        "--preproxy socks5h://FIRST", "--preproxy socks5h://127.0.0.1:1 -x 127.0.0.1:PROXY --noproxy *",
    ])
    func `A proxy before the proxy is used as curl uses it`(_ options: String) async throws {
        let served = try served()
        try await RealProxy.microsocks.run { first in
            try await RealProxy.tinyproxy.run { proxy in
                let login = "\(RealProxy.user):\(RealProxy.password.replacing(" ", with: "%20"))"
                let text = options.replacing("PROXY", with: "\(proxy.port)").replacing(
                    "FIRST", with: "\(login)@127.0.0.1:\(first.port)")
                let arguments = text.split(separator: " ").map(String.init)
                try await CurlParity(served).expectSame(arguments + ["--http1.1", served.url("/hello")])
            }
        }
    }

    @Test func `The environment names proxies, and -x comes before it`() async throws {
        let served = try served()
        try await RealProxy.tinyproxy.run { proxy in
            let url = served.url("/hello")
            let script = """
                get() { "\(Program.path)" --http1.1 -sS "$@" \(url) 2> errors; }
                used() { get -v "$@" > out; grep -q "through the proxy\\|by way of\\|proxy" errors; }
                http_proxy=http://127.0.0.1:\(proxy.port) get > out && grep -q hello out || exit 1
                http_proxy=127.0.0.1:1 get > out && exit 2
                HTTP_PROXY=127.0.0.1:1 get > out || exit 3
                all_proxy=127.0.0.1:1 get > out && exit 4
                http_proxy=127.0.0.1:1 no_proxy=localhost get > out || exit 5
                http_proxy=127.0.0.1:1 get --noproxy localhost > out || exit 6
                http_proxy=127.0.0.1:1 get -x '' > out || exit 7
                http_proxy=127.0.0.1:1 get -x 127.0.0.1:\(proxy.port) > out || exit 8
                http_proxy=gopher://x:1 get > out; [ $? = 2 ] || exit 9
                grep -q http_proxy errors || exit 10
                http_proxy=http://me:hush@127.0.0.1:1 get > out; [ $? != 0 ] || exit 11
                ! grep -q hush errors
                """
            let status = try await Program.runShell(script, in: served.folder.root)
            #expect(status == 0, "\((try? served.folder.read("errors")) ?? "")")
        }
    }
}
