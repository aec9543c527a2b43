import Foundation
import H2ClientTesting
import H2TestSupport
import Testing

/// Run by bash, which can close what it hands down.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct DescriptorTests {
    private static let closings = ["<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"]

    @Test(arguments: closings) func `h2get with closed descriptors fetches, and fails with 23 where stdout is closed`(
        _ closing: String
    ) async throws {
        let served = try Served()
        let isClosed = closing.contains(" >&-") || closing.hasPrefix(">&-")
        let script = """
            get() { "\(Program.path)" --cacert ca.pem "$@"; }
            (exec \(isClosed ? "" : "> out") ; get -v \(served.url("/bytes/1000")) \(closing)); echo $? > status
            get -o file \(served.url("/bytes/1000")) \(closing) || exit 1
            get \(served.url("/bytes/1000")) \(served.url("/bytes/3000")) \(isClosed ? "" : "> two") \(closing)
            echo $? > status2
            """
        #expect(try await Program.runShell(script, in: served.folder.root) == 0)
        #expect(try served.folder.data("file") == Served.pattern(1000))
        let status = isClosed ? "23\n" : "0\n"
        #expect(try served.folder.read("status") == status)
        #expect(try served.folder.read("status2") == status)
        if !isClosed {
            #expect(try served.folder.data("out") == Served.pattern(1000))
            #expect(try served.folder.data("two") == Served.pattern(1000) + Served.pattern(3000))
        }
        #expect(served.origin.statistics.requests <= 4)
    }

    @Test(arguments: closings) func `h2get with closed descriptors measures, and fails with 23 where stdout is closed`(
        _ closing: String
    ) async throws {
        let served = try Served.cleartext()
        let isClosed = closing.contains(" >&-") || closing.hasPrefix(">&-")
        let script = """
            status() { wanted=$1; shift; "\(Program.path)" "$@" \(closing); got=$?
                [ $got = $wanted ] || { echo "$got: $*" > wrong; exit 1; }; }
            [ \(isClosed) = true ] || exec > out
            status \(isClosed ? 23 : 0) bench -n 10 --hdr log \(served.url("/bytes/1"))
            status \(isClosed ? 23 : 0) sweep -D 1s --warm-up-time 0 --streams 1 --connections 1 \(served.url("/"))
            status \(isClosed ? 23 : 0) compare -n 2 --rounds 1 \(served.url("/"))
            "\(Program.path)" bench -s -n 10 --hdr log \(served.url("/bytes/1"))
            status \(isClosed ? 23 : 0) bench merge log
            status \(isClosed ? 23 : 0) --help
            status \(isClosed ? 23 : 0) bench --help
            """
        let status = try await Program.runShell(script, in: served.folder.root)
        #expect(status == 0, "\((try? served.folder.read("wrong")) ?? "")")
    }

    @Test(arguments: closings) func `h2get with closed descriptors serves`(_ closing: String) async throws {
        let folder = try TemporaryFolder()
        let script = """
            "\(Program.path)" serve --cleartext --port 0 --port-file port \(closing) & server=$!
            while [ ! -s port ]; do kill -0 $server || exit 1; sleep 0.01; done
            "\(Program.path)" -o file http://127.0.0.1:$(cat port)/bytes/100000; status=$?
            kill -TERM $server; wait $server || exit 2
            exit $status
            """
        #expect(try await Program.runShell(script, in: folder.root) == 0)
        #expect(try folder.data("file") == Served.pattern(100_000))
    }

    @Test func `h2get with closed descriptors fails with 26 where a closed stdin is to be read`() async throws {
        let served = try Served()
        let script = """
            get() { "\(Program.path)" --cacert ca.pem "$@" <&- 2>> errors; [ $? = 26 ] || exit 1; }
            get -d @- \(served.url("/echo"))
            get -T - \(served.url("/echo"))
            get --input-file -
            get -H @- \(served.url("/echo"))
            """
        #expect(try await Program.runShell(script, in: served.folder.root) == 0)
        #expect(try served.folder.read("errors").contains("Bad file descriptor"))
    }

    @Test func `h2get with closed descriptors does not take a name of a closed stdout for something to write to`()
        async throws
    {
        let served = try Served()
        let script = """
            for name in /dev/stdout /dev/fd/1 /proc/self/fd/1; do
                "\(Program.path)" --cacert ca.pem -o $name \(served.url("/bytes/10")) >&-
                [ $? = 23 ] || exit 1
            done
            """
        #expect(try await Program.runShell(script, in: served.folder.root) == 0)
    }
}
