import Foundation
import H2ClientTesting
import H2TestSupport
import Testing

@Suite(.inTurn, .timeLimit(.minutes(5))) struct UnreadStderrTests {
    @Test func `h2get with a stderr that nobody reads ends all the same, by itself, by -m and by a signal`()
        async throws
    {
        let served = try Served()
        let script = """
            mkfifo errors; exec 3<> errors
            get() { timeout 100 "\(Program.path)" --cacert ca.pem -vv "$@" 2>&3; }
            get -o /dev/null \(served.url("/bytes/30000000")) || exit 1
            get -m 2 \(served.url("/stall")) > out; [ $? = 28 ] || exit 2
            "\(Program.path)" --cacert ca.pem -vv -o part \(served.url("/stall")) 2>&3 & client=$!
            sleep 1; kill -TERM $client; wait $client; [ $? = 143 ]
            """
        #expect(try await Program.runShell(script, in: served.folder.root) == 0)
    }
}

/// Arguments and lines that are not UTF-8, and descriptors that somebody made non-blocking.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct RawBytesTests {
    private func run(_ served: Served, _ script: String) async throws -> Int32 {
        let prelude = """
            get() { "\(Program.path)" --cacert ca.pem "$@" 2> errors; }
            echo=\(served.url("/echo"))

            """
        return try await Program.runShell(prelude + script, in: served.folder.root)
    }

    private func errors(_ served: Served) -> String { (try? served.folder.read("errors")) ?? "" }

    @Test(arguments: [
        "-d $'a=\\xff'", "-sd $'a=\\xff'", "$'-da=\\xff'", "--data $'a=\\xff'", "$'--data=a=\\xff'",
        "--data-binary $'a=\\xff'", "$'--data-binary=a=\\xff'",
    ]) func `h2get takes bytes of data as they are`(_ option: String) async throws {
        let served = try Served()
        let status = try await run(served, "get \(option) $echo > out && printf 'a=\\xff' | cmp - out")
        #expect(status == 0, "\(errors(served))")
    }

    @Test func `h2get takes bytes of several data, each as it is`() async throws {
        let served = try Served()
        let status = try await run(
            served, "get -d $'\\xff' -d ok -d $'\\xfe' $echo > out && printf '\\xff&ok&\\xfe' | cmp - out")
        #expect(status == 0, "\(errors(served))")
    }

    @Test(arguments: ["-H $'A: x\\xe9y'", "$'-HA: x\\xe9y'", "--header $'A: x\\xe9y'", "-H @fields"])
    func `h2get takes bytes of header fields as they are`(_ option: String) async throws {
        let served = try Served()
        let status = try await run(
            served,
            """
            cat > server.py <<'END'
            import os, socket
            server = socket.create_server(("127.0.0.1", 0))
            server.settimeout(100)
            open("new", "w").write(str(server.getsockname()[1]))
            os.rename("new", "port")
            peer = server.accept()[0]
            open("request", "wb").write(peer.recv(9999))
            peer.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
            END
            python3 server.py & server=$!
            until [ -s port ]; do kill -0 $server || exit 1; sleep 0.01; done
            printf 'A: x\\xe9y\\n' > fields
            get -m 60 \(option) http://127.0.0.1:$(cat port)/ || exit 2
            wait $server
            LC_ALL=C grep -q $'^A: x\\xe9y\\r$' request
            """)
        #expect(status == 0, "\(errors(served))")
    }

    @Test(arguments: [
        "-o $'f\\xff' $echo", "-T $'in\\xff' $echo", "-d @$'\\xff' $echo", "-H $'Host: x\\xff' $echo", "$echo/$'\\xff'",
        "-H $'A\\xff: x' $echo", "-A $'\\xff' $echo", "-o -d $'\\xff' $echo", "--output -d $'\\xff' $echo",
    ]) func `h2get takes bytes where text is needed only as UTF-8`(_ arguments: String) async throws {
        let served = try Served()
        let status = try await run(served, "get \(arguments) > out")
        #expect(status == 2, "\(errors(served))")
        #expect(served.origin.statistics.requests == 0)
        let reasons = ["UTF-8", "no ':' behind a name", "a character that no name may have"]
        #expect(reasons.contains { errors(served).contains($0) }, "\(errors(served))")
        #expect(served.files == ["errors", "out"])
    }

    @Test func `h2get takes bytes of a list of URLs only as UTF-8, and names the line`() async throws {
        let served = try Served()
        let status = try await run(
            served,
            """
            printf '%s\\n\\n%s\\xff\\n' $echo $echo > list
            get --input-file list > out; [ $? = 26 ] || exit 1
            grep -q 'line 3 of list is not UTF-8' errors || exit 2
            "\(Program.path)" bench --cacert ca.pem -n 1 -i list > out 2> errors; [ $? = 2 ] || exit 3
            grep -q 'line 3 of list is not UTF-8' errors || exit 4
            "\(Program.path)" bench --json $'\\xff' $echo 2> errors; [ $? = 2 ] || exit 5
            grep -q -- '--json' errors
            """)
        #expect(status == 0, "\(errors(served))")
    }

    @Test(arguments: ["-d @-", "--data-binary @-", "-d x -H @-", "-T -"])
    func `h2get takes bytes of a stdin that somebody made non-blocking`(_ option: String) async throws {
        let served = try Served()
        let status = try await run(
            served,
            """
            cat > late.py <<'END'
            import fcntl, os, subprocess, sys, time
            ours, theirs = os.pipe()
            fcntl.fcntl(ours, fcntl.F_SETFL, fcntl.fcntl(ours, fcntl.F_GETFL) | os.O_NONBLOCK)
            process = subprocess.Popen(sys.argv[1:], stdin=ours)
            os.close(ours)
            time.sleep(0.5)
            os.write(theirs, b"A: 1")
            os.close(theirs)
            sys.exit(process.wait())
            END
            python3 late.py "\(Program.path)" --cacert ca.pem \(option) $echo > out 2> errors || exit 1
            [ -s out ]
            """)
        #expect(status == 0, "\(errors(served))")
    }
}
