extension ForeignOption {
    /// wget2's long options. Its letters mean other things to curl, whose letters are ours.
    static let wget2: [ForeignOption] = [
        ForeignOption("--output-document", "wget2", "use -o FILE"),
        ForeignOption("--output-file --append-output", "wget2", "messages go to stderr; write 2> FILE"),
        ForeignOption("--directory-prefix", "wget2", "use --output-dir DIR, with --create-dirs if it is not there"),
        ForeignOption(
            "--directories --no-directories --force-directories --host-directories --no-host-directories "
                + "--protocol-directories --cut-dirs --cut-file-get-vars --cut-url-get-vars --default-page "
                + "--restrict-file-names --ignore-case", "wget2",
            "files are named by -O or -o, without folders of their own; name them with -o and #1 of a range"),
        ForeignOption("--quiet", "wget2", "use -s"),
        ForeignOption("--no-verbose --debug", "wget2", "use -v or -vv to see more, -s to see less"),
        ForeignOption("--tries", "wget2", "use --retry N"),
        ForeignOption("--waitretry", "wget2", "use --retry-delay SECONDS"),
        ForeignOption("--retry-on-http-error", "wget2", "use --retry N, which retries 408, 429, 500, 502, 503 and 504"),
        ForeignOption("--timeout --read-timeout", "wget2", "use --stall-timeout, or -m for a whole transfer"),
        ForeignOption("--dns-timeout", "wget2", "use --connect-timeout, which counts the look-up too"),
        ForeignOption("--wait --random-wait --no-random-wait", "wget2", "use --rate N/s, or --polite"),
        ForeignOption("--max-threads", "wget2", "use --parallel-max N"),
        ForeignOption("--method", "wget2", "use -X METHOD"),
        ForeignOption("--post-data --body-data", "wget2", "use -d DATA"),
        ForeignOption("--post-file --body-file", "wget2", "use --data-binary @FILE, or -T FILE for a PUT"),
        ForeignOption("--spider", "wget2", "use -I, or -o /dev/null"),
        ForeignOption("--server-response --save-headers --no-save-headers", "wget2", "use -i, or -v"),
        ForeignOption(
            "--check-certificate --no-check-certificate --check-hostname --no-check-hostname", "wget2", "use -k"),
        ForeignOption("--ca-certificate", "wget2", "use --cacert FILE"),
        ForeignOption("--ca-directory", "wget2", "use --capath DIR"),
        ForeignOption("--certificate", "wget2", "use --cert FILE"),
        ForeignOption("--private-key", "wget2", "use --key FILE"),
        ForeignOption(
            "--certificate-type --private-key-type", "wget2", "certificates and keys are PEM files; leave it out"),
        ForeignOption("--http2-only", "wget2", "use --http2-prior-knowledge"),
        ForeignOption("--http2-request-window", "wget2", "use --parallel-max N"),
        ForeignOption("--https-only", "wget2", "use --proto =https"),
        ForeignOption("--https-enforce", "wget2", "use --proto-default https, and --proto =https"),
        ForeignOption("--base", "wget2", "give whole URLs; --base-uri is an option of h2get bench"),
        ForeignOption(
            "--quota", "wget2",
            "there is no limit of bytes; use --max-total-time for the time of the run, --max-filesize for each file"),
        ForeignOption("--content-on-error --no-content-on-error", "wget2", "bodies of errors are written without -f"),
        ForeignOption(
            "--save-content-on --verify-save-failed", "wget2",
            "bodies are written whatever the status, and with -f below 400"),
        ForeignOption(
            "--progress --show-progress --force-progress --report-speed", "wget2",
            "progress is shown on a terminal; use -# for one bar, and --no-progress-meter for none"),
        ForeignOption("--background", "wget2", "use & of the shell"),
        ForeignOption("--execute", "wget2", "use -K FILE"),
        ForeignOption("--delete-after", "wget2", "use -o /dev/null"),
        ForeignOption(
            "--cache --no-cache", "wget2", "use -H 'Cache-Control: no-cache'; h2get has no cache of its own"),
        ForeignOption("--dns-caching --no-dns-caching --dns-cache-preload", "wget2", "use --resolve HOST:PORT:ADDRESS"),
        ForeignOption("--http-keep-alive --no-http-keep-alive", "wget2", "use --max-requests-per-connection 1"),
        ForeignOption(
            "--recursive --level --mirror --page-requisites --parent --no-parent --span-hosts --no-span-hosts --domains "
                + "--exclude-domains --include-directories --exclude-directories --accept --reject --accept-regex "
                + "--reject-regex --regex-type --filter-mime-type --filter-urls --follow-tags --ignore-tags "
                + "--follow-sitemaps --no-follow-sitemaps --robots --no-robots --convert-links --convert-file-only "
                + "--download-attr --force-html --force-css --force-sitemap --force-atom --force-rss --force-metalink "
                + "--strict-comments --sitemap-index --backup-converted --html-extension --adjust-extension "
                + "--keep-extension", "wget2",
            "h2get follows no links in pages; give the URLs, with --input-file for many"),
        ForeignOption(
            "--input-encoding --local-encoding --remote-encoding --iri --no-iri", "wget2",
            "URLs are UTF-8, and host names may be international; leave it out"),
        ForeignOption(
            "--hpkp --no-hpkp --hpkp-file", "wget2", "browsers and servers have given HPKP up; leave it out"),
        ForeignOption(
            "--ocsp --no-ocsp --ocsp-date --ocsp-file --ocsp-nonce --ocsp-server --ocsp-stapling --no-ocsp-stapling",
            "wget2", "h2get asks no OCSP server; leave it out"),
        ForeignOption(
            "--gnutls-options --secure-protocol --tls-false-start --no-tls-false-start --tls-resume --no-tls-resume "
                + "--signature-extensions --verify-sig --no-verify-sig --gnupg-homedir", "wget2",
            "it is about GnuTLS or GnuPG, which are not here; leave it out"),
        ForeignOption(
            "--plugin --plugin-dirs --plugin-help --plugin-opt --list-plugins --local-plugin", "wget2",
            "there are no plugins here; leave it out"),
        ForeignOption(
            "--stats-dns --stats-ocsp --stats-server --stats-site --stats-tls --stats-all", "wget2",
            "use --summary, or h2get bench for a measurement"),
        ForeignOption("--chunk-size", "wget2", "use --range-split N, which fetches a file in N ranges"),
        ForeignOption("--fsync-policy", "wget2", "files are not forced to the disk; call sync afterwards"),
        ForeignOption(
            "--unlink --no-unlink", "wget2", "a file is replaced as a whole when its download is complete; leave it out"
        ),
        ForeignOption("--default-http-port --default-https-port", "wget2", "write the port into the URL"),
        ForeignOption(
            "--bind-address --prefer-family", "wget2", "use --resolve HOST:PORT:ADDRESS to choose the server's address"),
    ]

    /// nghttp's long options, for the same reason.
    static let nghttp: [ForeignOption] = [
        ForeignOption("--null-out", "nghttp", "use -o /dev/null"),
        ForeignOption("--get-assets", "nghttp", "h2get follows no links in pages; give the URLs"),
        ForeignOption("--stat", "nghttp", "use -v, or h2get bench --breakdown for a measurement"),
        ForeignOption("--multiply", "nghttp", "give a range, such as 'URL?[1-10]', or measure with h2get bench"),
        ForeignOption("--upgrade", "nghttp", "RFC 9113 has dropped it; use --http2-prior-knowledge"),
        ForeignOption("--extpri", "nghttp", "use --priority u=N,i"),
        ForeignOption("--weight --no-dep --no-rfc7540-pri", "nghttp", "RFC 9113 has dropped it; use --priority u=N"),
        ForeignOption("--no-verify-peer", "nghttp", "use -k"),
        ForeignOption("--no-color", "nghttp", "use --color never"),
        ForeignOption("--hexdump", "nghttp", "use -vv, which shows frames in one line each"),
        ForeignOption("--har", "nghttp", "use -v, which shows each request's times"),
        ForeignOption(
            "--window-bits --connection-window-bits --max-frame-size", "nghttp",
            "windows grow as they have to; these are options of h2get bench"),
        ForeignOption("--max-concurrent-streams", "nghttp", "use --parallel-max N"),
        ForeignOption(
            "--peer-max-concurrent-streams --no-push", "nghttp",
            "servers may not push here, as browsers do it; leave it out"),
        ForeignOption(
            "--header-table-size --encoder-header-table-size --padding --continuation --ktls", "nghttp",
            "frames are made by the library's own rules; leave it out"),
        ForeignOption("--no-content-length", "nghttp", "use -T -, whose length is not known"),
    ]

    /// h2load's options that measuring lacks.
    static let h2load: [ForeignOption] = [
        ForeignOption(
            "--h3 --alpn-h3 --qlog-file-base --no-udp-gso --max-udp-payload-size", "h2load",
            "there is no HTTP/3 here; leave it out for HTTP/2"),
        ForeignOption(
            "--npn-list --alpn-list", "h2load", "use --h1 for HTTP/1.1; HTTP/2 is what is offered without it"),
        ForeignOption(
            "--header-table-size --encoder-header-table-size", "h2load",
            "the tables have the sizes of nghttp2, which cannot be set; leave it out"),
        ForeignOption("--log-file", "h2load", "use --csv FILE, which has a line for each request"),
        ForeignOption(
            "--histogram", "h2load", "the result has one; --html FILE shows it, and --hdr FILE keeps all of it"),
        ForeignOption("--output-file", "h2load", "use --json FILE"),
        ForeignOption("--ktls --ech-config-list", "h2load", "TLS is OpenSSL's, in this process; leave it out"),
        ForeignOption("--tls-session-file", "h2load", "TLS sessions are not kept between runs; leave it out"),
    ]

    /// oha's options that measuring lacks, and its letters as far as they are free.
    static let oha: [ForeignOption] = [
        ForeignOption("-q --qps", "oha", "use --request-rate N"),
        ForeignOption("-z", "oha", "use -D TIME"),
        ForeignOption(
            "--burst-delay --burst-rate", "oha", "use --stages LIST, or --arrivals poisson for uneven arrivals"),
        ForeignOption("--wait-ongoing-requests-after-deadline", "oha", "use --drain TIME"),
        ForeignOption(
            "--latency-correction", "oha", "use --request-rate N, whose latencies begin when a request was due"),
        ForeignOption(
            "--rand-regex-url --max-repeat --dump-urls", "oha", "use ranges such as [1-100] and {a,b} in the URL"),
        ForeignOption("--urls-from-file", "oha", "use -i FILE"),
        ForeignOption("--no-tui --fps", "oha", "progress is one line on a terminal; leave it out"),
        ForeignOption("--method", "oha", "use -X METHOD"),
        ForeignOption("-A --accept --host --basic-auth --content-type", "oha", "use -H 'Name: value'"),
        ForeignOption(
            "--body-path --body-path-lines -Z -F --form", "oha", "use -d FILE, with the body as it is to be sent"),
        ForeignOption(
            "--aws-session --aws-sigv4", "oha", "requests are not signed here; compute the field, and send it with -H"),
        ForeignOption(
            "-x --proxy --proxy-header --proxy-http-version --proxy-http2", "oha",
            "a measurement goes to the server itself; measure the proxy as the server"),
        ForeignOption("--http-version", "oha", "use --h1 for HTTP/1.1; HTTP/2 is what is used without it"),
        ForeignOption("--http2", "oha", "HTTP/2 is what is used without it; leave it out"),
        ForeignOption("--disable-compression", "oha", "bodies are counted as they come, and not decoded; leave it out"),
        ForeignOption("--redirect", "oha", "redirects are not followed; measure the URL that they lead to"),
        ForeignOption("--disable-keepalive", "oha", "use --requests-per-connection 1"),
        ForeignOption("--no-pre-lookup", "oha", "looking up the name is no part of a request's time; leave it out"),
        ForeignOption("--ipv4 --ipv6", "oha", "write an address into --connect-to"),
        ForeignOption("--vsock-addr", "oha", "there are no vsock connections here; use --unix-socket PATH"),
        ForeignOption("--timeout --connect-timeout", "oha", "use -N TIME, which ends a connection without an answer"),
        ForeignOption("--output --output-format", "oha", "use --json FILE, --csv FILE or --html FILE"),
        ForeignOption("--stats-success-breakdown", "oha", "use --breakdown"),
        ForeignOption("--db-url", "oha", "use --csv FILE, and import that"),
        ForeignOption(
            "-u --time-unit --no-color --disable-color --debug", "oha", "results are shown in one way; leave it out"),
    ]
}
