extension ForeignOption {
    /// curl's options, by what they are about. Those of proxies, redirects, credentials and cookies are ours.
    static let curl: [ForeignOption] = curlHTTP + curlProxies + curlTLS + curlOutput + curlOther

    private static let curlHTTP: [ForeignOption] = [
        ForeignOption("--http3 --http3-only", "curl", "there is no HTTP/3 here; leave it out for HTTP/2"),
        ForeignOption("--alt-svc", "curl", "alternative services are HTTP/3 mostly, which is not here; leave it out"),
        ForeignOption(
            "--http0.9", "curl", "a response without a head is refused here, because it cannot be told from rubbish"),
        ForeignOption("--parallel-max-host", "curl", "use --connections-per-origin N"),
        ForeignOption("--expect100-timeout", "curl", "use --expect-continue, which waits for at most 1 s"),
        ForeignOption(
            "--ignore-content-length", "curl",
            "a body of another length than the server says is an error here; leave it out"),
        ForeignOption("--raw", "curl", "content codings stay as they are, and chunks are never shown; leave it out"),
        ForeignOption("--tr-encoding", "curl", "HTTP/2 has no transfer codings; leave it out"),
        ForeignOption("--crlf", "curl", "bodies are sent as they are; convert the file before"),
        ForeignOption(
            "--negotiate --ntlm --ntlm-wb --delegation --service-name", "curl",
            "NTLM and Negotiate belong to connections, which HTTP/2 shares; send credentials with -H"),
        ForeignOption(
            "--aws-sigv4 --httpsig-algo --httpsig-headers --httpsig-key --httpsig-keyid", "curl",
            "requests are not signed here; compute the field, and send it with -H"),
        ForeignOption(
            "--disallow-username-in-url", "curl", "check the URLs before; h2get never shows what is before their @"),
    ]

    private static let curlProxies: [ForeignOption] = [
        ForeignOption("--proxy1.0", "curl", "proxies are asked over HTTP/1.1 or HTTP/2; use -x"),
        ForeignOption(
            "--proxy-ciphers --proxy-tls13-ciphers --proxy-pinnedpubkey --proxy-crlfile --proxy-pass --proxy-capath",
            "curl",
            "an https proxy is verified with --proxy-cacert FILE; leave it out"),
        ForeignOption("--socks5-basic --socks5-gssapi", "curl", "passwords go to SOCKS proxies with -U; leave it out"),
    ]

    private static let curlTLS: [ForeignOption] = [
        ForeignOption("-1 --tlsv1 --tlsv1.0 --tlsv1.1", "curl", "TLS 1.2 is the oldest version here; use --tlsv1.2"),
        ForeignOption(
            "-2 --sslv2 -3 --sslv3", "curl", "it has been unsafe for years, and OpenSSL lacks it; leave it out"),
        ForeignOption("--tlsauthtype --tlsuser --tlspassword", "curl", "TLS 1.3 has no passwords; use --cert FILE"),
        ForeignOption("--engine", "curl", "keys are PEM files; use --key FILE"),
        ForeignOption("--egd-file --random-file", "curl", "random numbers come from the system; leave it out"),
        ForeignOption("--ech", "curl", "there is no Encrypted Client Hello here; leave it out"),
        ForeignOption("--dump-ca-embed", "curl", "no authorities are built in; the system's or --cacert FILE count"),
        ForeignOption("--no-alpn --alpn", "curl", "the version is always negotiated; use --http1.1 for HTTP/1.1 only"),
        ForeignOption("--no-npn --npn", "curl", "NPN is gone since ALPN (RFC 7301); leave it out"),
        ForeignOption(
            "--no-sessionid --sessionid", "curl",
            "TLS sessions are resumed within a run, and over runs with --ssl-sessions; leave it out"),
        ForeignOption(
            "--false-start --ssl-allow-beast --ssl-auto-client-cert --ssl-no-revoke --ssl-revoke-best-effort", "curl",
            "it does nothing with OpenSSL and TLS 1.2 or 1.3; leave it out"),
    ]

    private static let curlOutput: [ForeignOption] = [
        ForeignOption("--out-null", "curl", "use -o /dev/null"),
        ForeignOption("--show-headers", "curl", "use -i"),
        ForeignOption("--styled-output", "curl", "use --color"),
        ForeignOption(
            "--trace-config", "curl", "use --trace FILE, which shows everything, or -vv for frames with their times"),
        ForeignOption("-M --manual", "curl", "use --help all, or --generate man for a man page"),
        ForeignOption("--libcurl", "curl", "h2get is no libcurl; the library's guide shows how programs send requests"),
        ForeignOption(
            "--suppress-connect-headers", "curl", "a proxy's answers to CONNECT are never shown; leave it out"),
        ForeignOption("--metalink", "curl", "curl has dropped it, too; give the URLs"),
    ]

    private static let curlOther: [ForeignOption] = [
        ForeignOption(
            "--dns-interface --dns-ipv4-addr --dns-ipv6-addr --dns-servers --doh-url --doh-insecure --doh-cert-status",
            "curl", "the system looks names up; use --resolve HOST:PORT:ADDRESS for addresses of your own"),
        ForeignOption("--haproxy-clientip --haproxy-protocol", "curl", "the PROXY protocol is not here; leave it out"),
        ForeignOption("--tcp-fastopen", "curl", "use --tls-earlydata, which saves a round trip and works with TLS"),
        ForeignOption("--keepalive-interval", "curl", "use --keepalive-time, which is also the time between probes"),
        ForeignOption("--vlan-priority --mptcp", "curl", "sockets keep what the system sets; leave it out"),
        ForeignOption("--ipfs-gateway", "curl", "write the gateway's own URL, such as https://HOST/ipfs/ADDRESS"),
        ForeignOption("--abstract-unix-socket", "curl", "abstract sockets are not here; have the server use a path"),
        ForeignOption(
            "-a --append -B --use-ascii -l --list-only -P --ftp-port -Q --quote --disable-eprt --no-eprt "
                + "--disable-epsv --no-epsv --ftp-account --ftp-alternative-to-user --ftp-create-dirs --ftp-method "
                + "--ftp-pasv --ftp-pret --ftp-skip-pasv-ip --ftp-ssl --ftp-ssl-reqd --ftp-ssl-ccc "
                + "--ftp-ssl-ccc-mode --ftp-ssl-control --krb --ssl --ssl-reqd", "curl",
            "it is about FTP, and h2get fetches http and https only; leave it out"),
        ForeignOption(
            "--compressed-ssh --hostpubmd5 --hostpubsha256 --knownhosts --pubkey", "curl",
            "it is about SSH, and h2get fetches http and https only; leave it out"),
        ForeignOption(
            "--mail-auth --mail-from --mail-rcpt --mail-rcpt-allowfails --login-options --sasl-authzid --sasl-ir "
                + "--upload-flags", "curl", "it is about mail, and h2get fetches http and https only; leave it out"),
        ForeignOption(
            "-t --telnet-option --tftp-blksize --tftp-no-options", "curl",
            "it is about Telnet or TFTP, and h2get fetches http and https only; leave it out"),
    ]
}
