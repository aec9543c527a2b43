extension OptionTable {
    /// Redirects, credentials, cookies, codings and proxies.
    static let clientOptions: [Option] = [
        Option(
            .location, "L", "location", of: .fetch, in: .request, "Follow redirects.", common: true),
        Option(
            .maxRedirs, nil, "max-redirs", "N", of: .fetch, in: .request,
            "Follow at most N redirects; -1: any number. Default: 50."),
        Option(
            .post301, nil, "post301", of: .fetch, in: .request, "Stay with POST after a 301 redirect."),
        Option(
            .post302, nil, "post302", of: .fetch, in: .request, "Stay with POST after a 302 redirect."),
        Option(
            .post303, nil, "post303", of: .fetch, in: .request, "Stay with POST after a 303 redirect."),
        Option(
            .locationTrusted, nil, "location-trusted", of: .fetch, in: .request,
            "Like -L, and send credentials and cookies to other hosts too."),
        Option(
            .compressed, nil, "compressed", of: .fetch, in: .request,
            "Ask for a compressed body, and decompress it.", common: true),
        Option(
            .cookie, "b", "cookie", "DATA|FILE", of: .fetch, in: .request,
            "Send these cookies, such as 'a=1; b=2', or those of a file that -c or a browser wrote. A name without = is a "
                + "file; '' just keeps cookies during the run.", repeats: true, common: true),
        Option(
            .cookieJar, "c", "cookie-jar", "FILE", of: .fetch, in: .request,
            "Write all cookies there at the end; - is stdout.", common: true),
        Option(
            .junkSessionCookies, "j", "junk-session-cookies", of: .fetch, in: .request,
            "Leave out the cookies of -b files that have no expiry."),
        Option(
            .hsts, nil, "hsts", "FILE", of: .fetch, in: .request,
            "Keep the hosts that want TLS in FILE, and use https for them (RFC 6797). '' keeps them during the run."),
        Option(
            .user, "u", "user", "USER:PASSWORD", of: .fetch, in: .credentials,
            "Send this user name and password to the hosts of the URLs. On a terminal h2get asks for a missing password.",
            common: true),
        Option(.basic, nil, "basic", of: .fetch, in: .credentials, "Send passwords as Basic. This is the default."),
        Option(.digest, nil, "digest", of: .fetch, in: .credentials, "Prove passwords with Digest (RFC 7616)."),
        Option(
            .anyauth, nil, "anyauth", of: .fetch, in: .credentials,
            "Use Digest if the server offers it, otherwise Basic."),
        Option(
            .oauth2Bearer, nil, "oauth2-bearer", "TOKEN", of: .fetch, in: .credentials,
            "Send this bearer token (RFC 6750)."),
        Option(
            .netrc, "n", "netrc", of: .fetch, in: .credentials,
            "Take user names and passwords from ~/.netrc, or the file of NETRC in the environment."),
        Option(
            .netrcFile, nil, "netrc-file", "FILE", of: .fetch, in: .credentials,
            "Take user names and passwords from FILE."),
        Option(
            .netrcOptional, nil, "netrc-optional", of: .fetch, in: .credentials,
            "Like -n. Here, -u and the URL come first either way."),
        Option(
            .proxy, "x", "proxy", "[SCHEME://]HOST[:PORT]", of: .fetch, in: .proxy,
            "Use this proxy: http, https, socks4, socks4a, socks5 or socks5h; '' for none. Default port: 1080, for https "
                + "443.",
            common: true, environment: "all_proxy"),
        Option(
            .noproxy, nil, "noproxy", "LIST", of: .fetch, in: .proxy,
            "Reach these hosts directly: names, .suffixes, addresses, networks, or *.", environment: "no_proxy"),
        Option(
            .proxyUser, "U", "proxy-user", "USER:PASSWORD", of: .fetch, in: .proxy,
            "Send this user name and password to the proxy."),
        Option(.proxyBasic, nil, "proxy-basic", of: .fetch, in: .proxy, "Send it as Basic. This is the default."),
        Option(.proxyDigest, nil, "proxy-digest", of: .fetch, in: .proxy, "Prove it with Digest."),
        Option(
            .proxyAnyauth, nil, "proxy-anyauth", of: .fetch, in: .proxy,
            "Use Digest if the proxy offers it, otherwise Basic."),
        Option(
            .socks5, nil, "socks5", "HOST[:PORT]", of: .fetch, in: .proxy,
            "Use this SOCKS 5 proxy, and look names up here."),
        Option(
            .socks5Hostname, nil, "socks5-hostname", "HOST[:PORT]", of: .fetch, in: .proxy,
            "Use this SOCKS 5 proxy, which looks names up."),
        Option(
            .socks4, nil, "socks4", "HOST[:PORT]", of: .fetch, in: .proxy,
            "Use this SOCKS 4 proxy, and look names up here."),
        Option(
            .socks4a, nil, "socks4a", "HOST[:PORT]", of: .fetch, in: .proxy,
            "Use this SOCKS 4 proxy, which looks names up."),
        Option(
            .preproxy, nil, "preproxy", "[SCHEME://]HOST[:PORT]", of: .fetch, in: .proxy,
            "Reach the proxy through this SOCKS proxy, or use it alone if there is no -x. Default scheme: socks4."),
        Option(
            .proxyTunnel, "p", "proxytunnel", of: .fetch, in: .proxy,
            "Use a tunnel (CONNECT) for http:// URLs, too. Default: forward them; https:// always has a tunnel."),
        Option(
            .proxyHeader, nil, "proxy-header", "FIELD", of: .fetch, in: .proxy,
            "Send 'Name: value' to an HTTP proxy, with CONNECT and with what it forwards. @FILE reads lines.",
            repeats: true),
        Option(
            .proxyInsecure, nil, "proxy-insecure", of: .fetch, in: .proxy,
            "Do not verify the certificate of an https proxy."),
        Option(
            .proxyCacert, nil, "proxy-cacert", "FILE", of: .fetch, in: .proxy,
            "Trust only the authorities in FILE for an https proxy (PEM)."),
        Option(
            .proxyCert, nil, "proxy-cert", "FILE", of: .fetch, in: .proxy,
            "Present this certificate to an https proxy (PEM)."),
        Option(
            .proxyKey, nil, "proxy-key", "FILE", of: .fetch, in: .proxy,
            "Read the key of --proxy-cert from FILE. Default: the file of --proxy-cert."),
    ]

    /// Where connections come from, and how TLS is spoken on them.
    static let transportOptions: [Option] = [
        Option(
            .ipv4, "4", "ipv4", of: .fetch, in: .connection, "Use IPv4 addresses only."),
        Option(
            .ipv6, "6", "ipv6", of: .fetch, in: .connection, "Use IPv6 addresses only."),
        Option(
            .unixSocket, nil, "unix-socket", "PATH", of: .fetch, in: .connection,
            "Connect to this Unix domain socket, whatever host the URLs name."),
        Option(
            .interface, nil, "interface", "NAME|ADDRESS", of: .fetch, in: .connection,
            "Connect from this network interface or local address. if!NAME and host!ADDRESS say which it is."),
        Option(
            .localPort, nil, "local-port", "N[-M]", of: .fetch, in: .connection,
            "Connect from this port, or the first free one of these."),
        Option(
            .happyEyeballsTimeout, nil, "happy-eyeballs-timeout-ms", "MS", of: .fetch, in: .connection,
            "Wait this long before the next address of a host is tried as well. Default: 250."),
        Option(
            .ipTOS, nil, "ip-tos", "N", of: .fetch, in: .connection, "Mark packets with this type of service, 0 to 255."
        ),
        Option(
            .keepalive, nil, "keepalive", of: .fetch, in: .time,
            "Check silent servers, with PING and TCP keep-alive. This is the default; --no-keepalive turns it off."),
        Option(
            .tcpNodelay, nil, "tcp-nodelay", of: .fetch, in: .connection,
            "Send small packets at once. This is the default: the option is accepted for curl's sake."),
        Option(
            .keepaliveCount, nil, "keepalive-cnt", "N", of: .fetch, in: .time,
            "Give a connection up after N unanswered TCP keep-alive probes."),
        Option(
            .tlsv12, nil, "tlsv1.2", of: .fetch, in: .tls, "Use TLS 1.2 or newer. This is the default."),
        Option(.tlsv13, nil, "tlsv1.3", of: .fetch, in: .tls, "Use TLS 1.3 or newer."),
        Option(.tlsMax, nil, "tls-max", "VERSION", of: .fetch, in: .tls, "Use at most TLS 1.2 or 1.3. Default: 1.3."),
        Option(
            .ciphers, nil, "ciphers", "LIST", of: .fetch, in: .tls,
            "Offer these TLS 1.2 cipher suites, by OpenSSL's names."),
        Option(
            .tls13Ciphers, nil, "tls13-ciphers", "LIST", of: .fetch, in: .tls,
            "Offer these TLS 1.3 cipher suites, such as TLS_AES_128_GCM_SHA256."),
        Option(
            .groups, nil, "curves", "LIST", of: .fetch, in: .tls,
            "Offer these groups for the key exchange, such as X25519:P-256."),
        Option(
            .sigalgs, nil, "sigalgs", "LIST", of: .fetch, in: .tls,
            "Accept these signature algorithms, such as ECDSA+SHA256."),
        Option(
            .pinnedPublicKey, nil, "pinnedpubkey", "HASHES", of: .fetch, in: .tls,
            "Accept only these public keys: sha256//BASE64, several with ; between."),
        Option(
            .crlfile, nil, "crlfile", "FILE", of: .fetch, in: .tls,
            "Refuse certificates revoked by the lists in FILE (PEM)."),
        Option(
            .certStatus, nil, "cert-status", of: .fetch, in: .tls,
            "Require an OCSP staple. A staple that says revoked is refused without this option, too."),
        Option(
            .pass, nil, "pass", "PASSPHRASE", of: .fetch, in: .tls,
            "Use this passphrase for the key of --cert. --cert FILE:PASSPHRASE does the same. On a terminal h2get asks for one."
        ),
        Option(
            .certType, nil, "cert-type", "TYPE", of: .fetch, in: .tls,
            "Say what the file of --cert is: PEM or DER. Default: PEM."),
        Option(
            .keyType, nil, "key-type", "TYPE", of: .fetch, in: .tls,
            "Say what the file of --key is: PEM or DER. Default: PEM."),
        Option(
            .tlsEarlyData, nil, "tls-earlydata", of: .fetch, in: .tls,
            "Send GET and HEAD in TLS 1.3 early data, which others can replay. Needs --ssl-sessions to matter in a first "
                + "connection."),
        Option(
            .sslSessions, nil, "ssl-sessions", "FILE", of: .fetch, in: .tls,
            "Keep TLS sessions in FILE, so that the next run resumes them."),
    ]
}
