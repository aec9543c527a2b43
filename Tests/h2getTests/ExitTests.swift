import Foundation
import H2TestSupport
import Testing

/// The library in a process that ends, or whose system calls are filtered.
@Suite(.inTurn, .timeLimit(.minutes(5))) struct ExitTests {
    @Test
    func `A process that uses the library ends by exit(3) in the middle of handshakes and requests without a crash`()
        async throws
    {
        let served = try Served()
        let bench = URL(fileURLWithPath: Program.path).deletingLastPathComponent().appendingPathComponent("h2bench")
            .path
        // Moments from before the first handshake to the middle of many requests.
        let script = """
            for i in $(seq 1 120); do
                "\(bench)" \(served.url("/bytes/10")) -n 1000000 -m 100 --cacert ca.pem --client --global \
                    --exit-after $((RANDOM % 30000)) > out.txt 2> err.txt
                status=$?
                [ $status -eq 0 ] || exit $status
            done
            """
        #expect(try await Program.runShell(script, in: served.folder.root) == 0)
    }

    /// Installs a filter that answers newer system calls with an error, as container runtimes do, and runs a program.
    private static let filter = """
        import ctypes, os, struct, sys
        libc = ctypes.CDLL(None, use_errno=True)
        def instruction(code, yes, no, k): return struct.pack('HBBI', code, yes, no, k)
        # epoll_pwait2 is 441, openat2 437, on every architecture.
        code = (instruction(0x20, 0, 0, 0) + instruction(0x15, 1, 0, 441) + instruction(0x15, 0, 1, 437)
                + instruction(0x06, 0, 0, 0x00050000 | int(sys.argv[1])) + instruction(0x06, 0, 0, 0x7fff0000))
        text = ctypes.create_string_buffer(code, len(code))
        class Program(ctypes.Structure):
            _fields_ = [('length', ctypes.c_ushort), ('filter', ctypes.c_void_p)]
        program = Program(len(code) // 8, ctypes.cast(text, ctypes.c_void_p))
        if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, ctypes.byref(program), 0, 0) != 0: sys.exit(77)
        os.execv(sys.argv[2], sys.argv[2:])
        """

    @Test(arguments: [EPERM, EACCES, ENOSYS])
    func `A process that uses the library serves and fetches where newer system calls are refused, whatever with`(
        error: Int32
    ) async throws {
        let folder = try TemporaryFolder()
        try folder.write(Self.filter, to: "filter.py")
        try folder.write("what is served", to: "file.txt")
        let filtered = "python3 filter.py \(error) \"\(Program.path)\""
        let script = """
            python3 filter.py \(error) /bin/true; [ $? -eq 77 ] && exit 0  # no filters here
            \(filtered) serve --cleartext --port 0 --port-file port . > /dev/null 2>&1 &
            server=$!
            for i in $(seq 1 1000); do [ -s port ] && break; sleep 0.02; done
            # A time limit is a wait with a time-out, the one that the newer call is for.
            \(filtered) -m 20 -o got.txt "http://127.0.0.1:$(cat port)/file.txt"
            status=$?
            kill $server
            wait $server
            exit $status
            """
        #expect(try await Program.runShell(script, in: folder.root) == 0)
        if FileManager.default.fileExists(atPath: folder.path("got.txt")) {
            #expect(try folder.read("got.txt") == "what is served")
        }
    }

    @Test
    func
        `A process that uses the library is told what SSL_CERT_FILE and SSL_CERT_DIR name that cannot be used, and uses the rest of a list`()
        async throws
    {
        let served = try Served()
        let get = "\"\(Program.path)\" -o /dev/null \(served.url("/bytes/10"))"
        try FileManager.default.createDirectory(atPath: served.folder.path("certs"), withIntermediateDirectories: true)
        try served.folder.write(served.folder.read("ca.pem"), to: "certs/authority.pem")
        func run(_ environment: String) async throws -> Int32 {
            // What the machine's own environment names must not decide.
            let unset = "env -u CURL_CA_BUNDLE -u SSL_CERT_FILE -u SSL_CERT_DIR"
            return try await Program.runShell("\(unset) \(environment) \(get) 2> err.txt", in: served.folder.root)
        }
        #expect(try await run("SSL_CERT_FILE=ca.pem") == 0)
        #expect(try await run("SSL_CERT_FILE=ca.pem:certs/authority.pem") == 0)
        #expect(try await run("SSL_CERT_DIR=certs") == 0)
        #expect(try await run("SSL_CERT_FILE=ca.pem SSL_CERT_DIR=certs") == 0)
        for wrong in ["SSL_CERT_FILE=/nowhere.pem", "SSL_CERT_FILE=ca.pem:/nowhere.pem", "SSL_CERT_DIR=/nowhere"] {
            #expect(try await run(wrong) != 0, "\(wrong)")
            let text = try served.folder.read("err.txt")
            #expect(text.contains("/nowhere") && text.contains("SSL_CERT_"), "\(text)")
        }
    }
}
