import Foundation
import H2Client
import H2TestSupport
import Testing

@testable import h2get

/// The files that `h2get serve` writes, its end, and what it says.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct ServeCommandTests {
    /// A script in which `serve ARGUMENTS` runs until `stop SIGNAL`; the port is in `$port`.
    private func run(_ script: String, in folder: TemporaryFolder) async throws -> Int32 {
        let prelude = """
            serve() {
                "\(Program.path)" serve --port 0 --port-file port "$@" > out 2> errors & server=$!
                while [ ! -s port ]; do kill -0 $server 2> /dev/null || return 1; sleep 0.01; done
                port=$(cat port)
            }
            stop() { kill -$1 $server; wait $server; }

            """
        return try await Program.runShell(prelude + script, in: folder.root)
    }

    @Test(arguments: ["INT", "TERM", "HUP"]) func `h2get serve ends by a signal, and takes its port file with it`(
        _ signal: String
    ) async throws {
        let folder = try TemporaryFolder()
        // A shell has its background jobs ignore SIGINT, so bash is told to have jobs of their own.
        let status = try await run(
            """
            set -m
            serve --ca-file ca.pem || exit 1
            stop \(signal) || exit 2
            """, in: folder)
        #expect(status == 0)
        #expect(folder.names == ["ca.pem", "errors", "out"])
    }

    @Test func `h2get serve takes its port file with it at a second signal, too`() async throws {
        let folder = try TemporaryFolder()
        let status = try await run(
            """
            serve --cleartext || exit 1
            # A request that keeps it for the grace of 2 s.
            exec 3<> /dev/tcp/127.0.0.1/$port
            printf 'GET /stall HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' >&3
            sleep 0.2
            kill -TERM $server; sleep 0.2; kill -TERM $server 2> /dev/null; wait $server
            [ $? = 143 ] || exit 2
            """, in: folder)
        #expect(status == 0)
        #expect(folder.names == ["errors", "out"])
    }

    @Test func `h2get serve replaces no file that it did not write`() async throws {
        let folder = try TemporaryFolder()
        try folder.write("a key", to: "key")
        chmod(folder.path("key"), 0o600)
        // A process's number might as well be a port.
        try folder.write("12345\n", to: "pid")
        try folder.write("", to: "lock")
        for arguments in [
            ["--ca-file", "key"], ["--port-file", "key"], ["--port-file", "pid"], ["--port-file", "lock"],
            ["--ca-file", "lock"], ["--ca-file", "."],
        ] {
            let result = try await Program.run(["serve", "--port", "0"] + arguments, in: folder.root)
            #expect(result.status == 23, "\(arguments) \(result.errors)")
            #expect(arguments[1] == "." || result.errors.contains("--force"), "\(result.errors)")
            #expect(!result.text.contains("serving"))
        }
        let same = try await Program.run(
            ["serve", "--port", "0", "--ca-file", "x", "--port-file", "./x"], in: folder.root)
        #expect(same.status == 2 && same.errors.contains("same file"))
        #expect(folder.names == ["key", "lock", "pid"])
        #expect(try folder.read("key") == "a key" && folder.read("pid") == "12345\n" && folder.read("lock").isEmpty)
    }

    @Test func `h2get serve replaces any file with --force, and keeps its mode`() async throws {
        let folder = try TemporaryFolder()
        try folder.write("a key", to: "key")
        chmod(folder.path("key"), 0o600)
        let status = try await run(
            """
            serve --ca-file key --force || exit 1
            [ "$(stat -c %a key)" = 600 ] || exit 2
            "\(Program.path)" --cacert key -o body https://127.0.0.1:$port/bytes/10 || exit 3
            stop TERM
            """, in: folder)
        #expect(status == 0)
        #expect(folder.names == ["body", "errors", "key", "out"])
    }

    @Test func `h2get serve replaces the authority of an earlier run, and its port file only with --force`()
        async throws
    {
        let folder = try TemporaryFolder()
        let status = try await run(
            """
            serve --ca-file ca.pem || exit 1
            kill -KILL $server; wait $server
            [ -s port ] && [ -s ca.pem ] || exit 2
            cp ca.pem before; cp port old-port
            "\(Program.path)" serve --port 0 --port-file port --ca-file ca.pem 2> errors; [ $? = 23 ] || exit 3
            grep -q 'left from a run that was killed' errors || exit 4
            cmp -s port old-port && cmp -s before ca.pem || exit 5
            "\(Program.path)" serve --port 0 --port-file port --ca-file ca.pem --force > out 2> errors & server=$!
            until cmp -s before ca.pem; [ $? = 1 ] && ! cmp -s port old-port; do
                kill -0 $server || exit 6; sleep 0.01
            done
            stop TERM || exit 7
            # It was there before.
            [ -s port ] || exit 8
            rm port
            serve --ca-file ca.pem || exit 9
            stop TERM
            """, in: folder)
        #expect(status == 0, "\((try? folder.read("errors")) ?? "")")
        #expect(folder.names == ["before", "ca.pem", "errors", "old-port", "out"])
    }

    @Test(arguments: [false, true]) func `h2get serve refuses the --ca-file of another server that runs`(
        _ isLeftOver: Bool
    ) async throws {
        let folder = try TemporaryFolder()
        let status = try await run(
            """
            if \(isLeftOver); then serve --ca-file ca.pem || exit 1; stop TERM; fi
            for i in 1 2 3 4; do
                "\(Program.path)" serve --port 0 --ca-file ca.pem > out$i 2> errors$i & servers[i]=$!
            done
            until [ $(cat errors? | grep -c -e '--ca-file: ca.pem') = 3 ] && grep -q serving out?; do
                jobs -r | grep -q . || exit 2; sleep 0.01
            done
            [ $(cat out? | grep -c serving) = 1 ] || exit 3
            url=$(sed -n 's/^serving .* at //p' out?)
            "\(Program.path)" --cacert ca.pem -o body "$url/bytes/10" || exit 4
            "\(Program.path)" serve --port 0 --ca-file ca.pem 2> errors; [ $? = 23 ] || exit 5
            grep -q 'another h2get serve that is running' errors || exit 6
            for i in 1 2 3 4; do kill -TERM ${servers[i]} 2> /dev/null; done; wait
            serve --ca-file ca.pem || exit 7
            stop TERM
            """, in: folder)
        #expect(status == 0)
    }

    @Test func `h2get serve gives a file its name only where nothing has it`() throws {
        let folder = try TemporaryFolder()
        try folder.write("new", to: "part")
        try folder.write("old", to: "taken")
        #expect(renameReplacingNothing(folder.path("part"), folder.path("taken")) == EEXIST)
        #expect(renameReplacingNothing(folder.path("part"), folder.path("free")) == 0)
        #expect(try folder.names == ["free", "taken"] && folder.read("taken") == "old" && folder.read("free") == "new")
    }

    @Test func `h2get serve leaves a port file that somebody else has put there`() async throws {
        let folder = try TemporaryFolder()
        let status = try await run(
            """
            serve || exit 1
            rm port; echo mine > port
            stop TERM || exit 2
            [ "$(cat port)" = mine ] || exit 3
            rm port
            serve || exit 4
            echo changed > port
            stop TERM
            """, in: folder)
        // The second time it is the same file with another content.
        #expect(status == 0)
        #expect(try folder.read("port") == "changed\n")
    }

    @Test func `h2get serve writes to pipes and leaves them`() async throws {
        let folder = try TemporaryFolder()
        let status = try await run(
            """
            mkfifo pipe
            "\(Program.path)" serve --port 0 --port-file pipe > out 2> errors & server=$!
            read -r port < pipe
            [ "$port" -gt 0 ] || exit 1
            stop TERM || exit 2
            [ -p pipe ]
            """, in: folder)
        #expect(status == 0)
    }

    @Test func `h2get serve serves dot files only where told to`() async throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder.path("site"), withIntermediateDirectories: false)
        try folder.write("secret", to: "site/.env")
        let status = try await run(
            """
            get() { "\(Program.path)" --http2-prior-knowledge -f http://127.0.0.1:$port/.env; }
            serve --cleartext site || exit 1
            get && exit 2
            stop TERM; serve --cleartext --dot-files site || exit 3
            [ "$(get)" = secret ] || exit 4
            stop TERM
            """, in: folder)
        #expect(status == 0)
    }

    @Test func `h2get serve closes connections that are late, and says so in its figures`() async throws {
        let folder = try TemporaryFolder()
        let status = try await run(
            """
            serve --cleartext --head-timeout 100ms --body-timeout 100ms --max-connections 5 || exit 1
            exec 3<> /dev/tcp/127.0.0.1/$port
            printf 'GET /stats HT' >&3
            timeout 20 cat <&3 | grep -q '^HTTP/1.1 408' || exit 2
            exec 4<> /dev/tcp/127.0.0.1/$port
            printf 'POST /upload HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 5\\r\\n\\r\\nab' >&4
            timeout 20 cat <&4 | grep -q '^HTTP/1.1 408' || exit 3
            "\(Program.path)" --http1.1 http://127.0.0.1:$port/stats | grep -q '"connectionsTimedOut": 1' || exit 4
            stop TERM
            """, in: folder)
        #expect(status == 0)
    }

    @Test func `h2get serve knows which addresses are this machine's alone`() {
        for address in ["127.0.0.1", "127.255.0.3", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1"] {
            #expect(ServeRun.isLoopback(address), "\(address)")
        }
        for address in ["0.0.0.0", "::", "10.0.0.1", "128.0.0.1", "::2", "fe80::1", "::ffff:10.0.0.1", "127.1", ""] {
            #expect(!ServeRun.isLoopback(address), "\(address)")
        }
    }

    @Test func `h2get serve says on stderr that other machines can reach it, and no more than that on loopback`()
        async throws
    {
        let folder = try TemporaryFolder()
        let status = try await run(
            """
            serve --cleartext || exit 1
            stop TERM; [ ! -s errors ] || exit 2
            serve --cleartext --address :: . || exit 3
            stop TERM; grep -q 'other machines can reach ::' errors || exit 4
            """, in: folder)
        #expect(status == 0)
    }
}
