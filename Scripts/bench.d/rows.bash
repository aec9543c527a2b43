# What is measured; sourced by Scripts/bench. Each `row_…` measures in interleaved rounds, then adds its lines to the table.

# Which place for callers on the loop is the cheaper one; `small` and `instructions` look, the others follow.
best=executor
choose_best() {
    local isolated executor
    isolated="$(summary "$1" isolated "$2")" executor="$(summary "$1" executor "$2")"
    best="$(awk -v a="${isolated%% *}" -v b="${executor%% *}" 'BEGIN { print a < b ? "isolated" : "executor" }')"
}
described() {
    case "$1" in
        isolated) echo "callers isolated to the connection" ;;
        executor) echo "callers prefer the connection's executor" ;;
    esac
}
other_place() { [ "$best" = isolated ] && echo executor || echo isolated; }

row_small() {
    for ((round = 1; round <= rounds; round++)); do
        for name in executor h2load isolated; do
            per_request small "$name" 1000 101000 100 "$origin/small" "$name"
        done
        [ -z "$gobench" ] || per_request small Go 1000 21000 100 "$origin/small" Go
        [ -z "$ahcbench" ] || per_request small AHC 1000 21000 100 "$origin/small" AHC
    done
    choose_best small cpu
    compare "3-byte GETs, 100 streams, $(described "$best"): CPU a request" small cpu us "$best" h2load "<=1.4"
    compare "the same, $(described "$(other_place)")" small cpu us "$(other_place)" h2load
    [ -z "$gobench" ] || compare "the same, beside Go" small cpu us "$best" Go
    [ -z "$ahcbench" ] || compare "the same, beside AsyncHTTPClient" small cpu us "$best" AHC
}

row_global() {
    for ((round = 1; round <= rounds; round++)); do
        for name in global h2load; do
            per_request global "$name" 1000 101000 100 "$origin/small" "$name"
        done
    done
    compare "3-byte GETs, 100 streams, callers on the global pool: CPU a request" global cpu us global h2load "<=2.5"
}

# What the pool costs, on top of the same connection and with callers in the same place.
row_client() {
    local name place
    for ((round = 1; round <= rounds; round++)); do
        for name in client executor client-global global; do
            per_request client "$name" 1000 101000 100 "$origin/small" "$name"
        done
    done
    count_instructions client client executor client-global global
    for place in executor global; do
        name="$([ $place = executor ] && echo client || echo client-global)"
        compare "through HTTPClient, callers on the $([ $place = executor ] && echo "client's loop" || echo "global pool"), beside a bare connection: instructions a request" \
            client count "" "$name" "$place" "<=1.1"
        compare "the same: CPU a request" client cpu us "$name" "$place"
    done
    profile client >"$work/client.profile"
}

# nginx answers both, which nghttpd cannot in HTTP/1.1.
row_http1() {
    local name peers=(h2load-h1)
    if have curl; then peers+=(curl-h1); fi
    serve_nginx
    for ((round = 1; round <= rounds; round++)); do
        for name in http1 "${peers[@]}"; do
            per_request http1 "$name" 1000 21000 100 "$url/small" "$name"
        done
    done
    compare "3-byte GETs, 100 HTTP/1.1 connections: CPU a request" http1 cpu us http1 h2load-h1 "<=1.5"
    ! have curl || compare "the same, beside curl" http1 cpu us http1 curl-h1 "<1"
    count_instructions http1 http1 h2load-h1
    compare "the same, beside h2load: instructions a request" http1 count "" http1 h2load-h1
    profile http1 >"$work/http1.profile"
}

# What a tunnel adds to a request, apart from the second layer of TLS. OpenSSL's own instructions, by which the tunnel costs more
# than the direct connection, are the cost of that layer: the same bytes are encrypted and decrypted once more.
row_tunnel() {
    serve_proxy
    count_instructions tunnel tunnel executor
    record tunnel tunnel tls "$(tls_part tunnel)"
    record tunnel executor tls "$(tls_part executor)"
    record tunnel tunnel-less-tls count \
        "$(summary tunnel tunnel count | cut -d' ' -f1) - ($(tls_part tunnel) - ($(tls_part executor)))"
    compare "3-byte GETs, 100 streams, through a tunnel of an HTTP/2 proxy, beside direct: instructions a request" \
        tunnel count "" tunnel executor
    compare "the same: those in OpenSSL" tunnel tls "" tunnel executor
    compare "the same, less the second layer of TLS: instructions a request" tunnel count "" tunnel-less-tls executor "<=1.15"
    profile tunnel >"$work/tunnel.profile"
}
# tls_part CLIENT: the instructions of a request in OpenSSL's libraries, as an expression.
tls_part() { echo "($(tls_total "$work/$1-12000.callgrind") - $(tls_total "$work/$1-2000.callgrind")) / 10000"; }
# Lines with a position and a count belong to the object that `ob=` names; one after `calls=` is what a callee costs. An object has
# its path only where it is first mentioned, perhaps as that of a callee.
tls_total() {
    awk '
        /^c?ob=/ {
            id = $1
            sub(/^c?ob=/, "", id)
            if (NF > 1) is_tls[id] = /lib(crypto|ssl)/
            if (/^ob=/) counts = is_tls[id]
        }
        /^calls=/ { is_callee = 1; next }
        /^[0-9+*-]/ {
            if (counts && !is_callee) sum += $2
            is_callee = 0
        }
        END { printf "%.0f\n", sum }' "$1"
}

# 200 callers are far more than 8 workers with 8 places to wait take; what is refused is not sent again.
row_adaptive() {
    local name
    serve_origin --workers 8 --worker-queue 8 --service-time 5ms
    for ((round = 1; round <= rounds; round++)); do
        for name in adaptive fixed; do
            client client 3000 200 "$url/small" --count-refusals $([ $name = fixed ] || echo --adaptive)
            record adaptive $name ok "$(said ok)"
            record adaptive $name refused "$(said refused)"
            record adaptive $name ratio "$(said refused) / $(said ok)"
        done
    done
    compare "3,000 requests, 200 at once, for a server with 8 workers: completed" adaptive ok "" adaptive fixed ">=2"
    compare "the same: refused" adaptive refused "" adaptive fixed "<=0.1"
    compare "the same: refusals for each that was completed" adaptive ratio "" adaptive fixed
}

row_reuse() {
    serve_nginx
    "$h2bench" "$url/1k" --reuse -n 1000 --rounds "$rounds" --cacert "$ca" >"$work/reuse.profile"
}

# The engine of h2get bench with all its measuring on, beside h2load, which is the floor, and hey, which measures as oha does.
row_bench() {
    local name names=(bench h2load bench-async)
    if have hey; then names+=(hey); else echo "Scripts/bench: going on without hey" >&2; fi
    for ((round = 1; round <= rounds; round++)); do
        for name in "${names[@]}"; do
            bench_rate "$name" 1000 "$([ "$name" = hey ] && echo 21000 || echo 101000)" 100 "$origin/small"
        done
        # Ten times as many connections, less what a few cost.
        for name in bench h2load; do
            bench_connections "$name" 100
            local few=$rss
            bench_connections "$name" 4000
            record bench "$name" connection "($rss - $few) / 3900"
        done
        for name in bench h2load; do bench_latency "$name" 100 "$origin/small" p100; done
    done
    compare "h2get bench, 3-byte GETs, 100 streams, one thread: CPU a request" bench cpu us bench h2load "<=1.15"
    compare "the same: requests/s" bench speed "" bench h2load ">=1"
    ! have hey || compare "the same, beside hey: CPU a request" bench cpu us bench hey
    ! have hey || compare "the same, beside hey: requests/s" bench speed "" bench hey
    compare "h2get bench --api async, beside h2load: CPU a request" bench cpu us bench-async h2load
    count_instructions bench bench h2load
    compare "h2get bench: instructions a request" bench count "" bench h2load "<=1.15"
    compare "4,000 connections x 1 stream: memory of one more connection" bench connection KiB bench h2load "<=1.2"
    compare "p50 of the latency, 100 streams" bench p100 us bench h2load "<=1.05"
    # One stream at a time on the server's core: else it is the machine's wake-ups that are measured.
    serve_nghttpd taskset -c 0
    for ((round = 1; round <= rounds; round++)); do
        for name in bench h2load; do bench_latency -c 0 "$name" 1 "$url/small" p1; done
    done
    compare "p50 of the latency, one stream, client and server on one core" bench p1 us bench h2load "<=1.05"
    serve_origin
    for ((round = 1; round <= rounds; round++)); do
        for name in bench h2load; do n=200 bench_latency "$name" 10 "$url/delay/5" delay; done
    done
    compare "p50 of the latency where the server waits for 5 ms" bench delay us bench h2load "<=1.05"
    absolute "the same, beside the 5 ms" bench delay us bench "<=5250"
    profile bench >"$work/bench.profile"
}
# bench_rate CLIENT BASE REQUESTS STREAMS URL: CPU and rate of what comes after the base.
bench_rate() {
    local base_cpu base_wall
    client "$1" "$2" "$4" "$5"
    base_cpu=$cpu base_wall=$wall
    client "$1" "$3" "$4" "$5"
    record bench "$1" cpu "($cpu - $base_cpu) / ($3 - $2)"
    record bench "$1" speed "1e6 * ($3 - $2) / ($wall - $base_wall)"
}
bench_connections() {
    case "$1" in
        bench) client bench "$(($2 * 2))" 1 "$origin/small" -c "$2" ;;
        h2load)
            run h2load -c "$2" -t 1 -n "$(($2 * 2))" "$origin/small"
            grep -q "status codes: $(($2 * 2)) 2xx" "$work/out" || { cat "$work/out" >&2 && fail "h2load: not every answer was a 2xx"; }
            ;;
    esac
}
# bench_latency [-c CPU] CLIENT STREAMS URL METRIC: the median latency of `n` requests, 20,000 if it is not set otherwise.
bench_latency() {
    local pin=() count="${n:-20000}"
    if [ "$1" = -c ]; then
        pin=(-c "$2")
        shift 2
    fi
    case "$1" in
        bench)
            client "${pin[@]}" bench "$count" "$2" "$3" --json "$work/bench.json"
            record bench bench "$4" "1e6 * $(latency_seconds p50_seconds)"
            ;;
        h2load)
            rm -f "$work/log"
            run "${pin[@]}" h2load -c 1 -t 1 -m "$2" -n "$count" --log-file="$work/log" "$3"
            record bench h2load "$4" "$(cut -f3 "$work/log" | sort -n | sed -n "$((count / 2))p")"
            ;;
    esac
}
# latency_seconds NAME: a figure of the latency in the last run's JSON.
latency_seconds() {
    awk -v name="\"$1\":" '$1 == "\"latency\":" { found = 1 } found && $1 == name { print $2 + 0; exit }' "$work/bench.json"
}

# The server runs on the same core as the client, so nothing but their own work is between two requests.
row_latency() {
    local base=2000 n=22000 base_wall name
    serve_nghttpd taskset -c 0
    for ((round = 1; round <= rounds; round++)); do
        for name in executor isolated h2load ${gobench:+Go}; do
            client -c 0 "$name" "$base" 1 "$url/small"
            base_wall=$wall
            client -c 0 "$name" "$n" 1 "$url/small"
            record latency "$name" wall "($wall - $base_wall) / ($n - $base)"
            # The percentiles are of another run, so that taking the time twice a request is not in the figure above.
            case "$name" in
                h2load)
                    rm -f "$work/log"
                    run -c 0 h2load -c 1 -t 1 -m 1 -n "$base" --log-file="$work/log" "$url/small"
                    record latency h2load p50 "$(cut -f3 "$work/log" | sort -n | sed -n "$((base / 2))p")"
                    ;;
                Go)
                    run -c 0 "$gobench" -n "$base" -m 1 -cacert "$ca" -latency "$url/small"
                    record latency Go p50 "$(said p50_us)"
                    ;;
                *)
                    client -c 0 "$name" "$base" 1 "$url/small" --latency
                    record latency "$name" p50 "$(said p50_us)"
                    ;;
            esac
        done
    done
    choose_best latency wall
    compare "one stream at a time, client and server on one core: time a request" latency wall us "$best" h2load "<=1.2"
    compare "the same: p50 of the latency" latency p50 us "$best" h2load
    compare "the same, $(described "$(other_place)"): time a request" latency wall us "$(other_place)" h2load
    if [ -n "$gobench" ]; then
        compare "one stream at a time, beside Go: p50 of the latency" latency p50 us "$best" Go "<1"
    fi
}

row_bulk() {
    local name size n m
    for size in 100m 100k; do
        n=10 m=10
        [ $size = 100m ] || n=5000 m=100
        for ((round = 1; round <= rounds; round++)); do
            for name in "$best" h2load; do
                bulk_run "$size" "$name" "$name" "$n" "$m" --write-null
            done
            [ $size = 100m ] || bulk_run "$size" collect "$best" "$n" "$m"
        done
    done
    compare "10 x 100 MB at once to /dev/null: CPU s a GiB" bulk cpu-100m s "$best" h2load "<=1.1"
    compare "the same: MB/s" bulk speed-100m MB/s "$best" h2load ">=1"
    compare "5,000 x 100 KB, 100 streams, to /dev/null: CPU s a GiB" bulk cpu-100k s "$best" h2load "<=1.1"
    compare "the same: MB/s" bulk speed-100k MB/s "$best" h2load ">=1"
    compare "the same, each body collected into an array: CPU s a GiB" bulk cpu-100k s collect h2load
}
# bulk_run SIZE LABEL CLIENT REQUESTS STREAMS [OPTION…]: whole processes, less what a small GET costs them.
bulk_run() {
    local bytes=100000000 base_wall base_cpu
    [ "$1" = 100m ] || bytes=102400
    client "$3" 1 1 "$origin/small"
    base_wall=$wall base_cpu=$cpu
    client "$3" "$4" "$5" "$origin/$1" "${@:6}"
    record bulk "$2" "cpu-$1" "($cpu - $base_cpu) / 1e6 / ($4 * $bytes / (1024 * 1024 * 1024))"
    record bulk "$2" "speed-$1" "$4 * $bytes / ($wall - $base_wall)"
}

# What decoding costs on top of receiving. nginx has the encoded bytes ready.
row_decode() {
    local coding names=()
    serve_nginx
    mkdir -p "$work/site/encoded"
    # Lines as a service logs them, the same in each run; they shrink to a fifth.
    awk 'BEGIN {
        srand(7)
        for (size = 0; size < 100000000; size += length(line) + 1) {
            line = sprintf("{\"id\":%d,\"user\":\"user%d\",\"path\":\"/api/v1/orders/%d\",\"status\":%d,\"seconds\":%.6f}",
                ++id, rand() * 5000, rand() * 1000000, rand() < 0.9 ? 200 : 404, rand())
            print line
        }
    }' | head -c 100000000 >"$work/lines"
    gzip -6 -c "$work/lines" >"$work/site/encoded/gzip"
    ! have brotli || brotli -q 5 -c "$work/lines" >"$work/site/encoded/br"
    ! have zstd || zstd -q -3 -c "$work/lines" >"$work/site/encoded/zstd"
    rm "$work/lines"
    for coding in gzip br zstd; do
        [ ! -s "$work/site/encoded/$coding" ] || names+=("$coding")
    done
    for ((round = 1; round <= rounds; round++)); do
        for coding in "${names[@]}"; do
            decode_run "$coding" ours
            decode_run "$coding" curl
        done
    done
    for coding in "${names[@]}"; do
        compare "100 MB of text as $coding, decoded to /dev/null: CPU" decode "$coding" ms ours curl "<=1.1"
    done
}
# decode_run CODING CLIENT: a whole process, less what a small GET costs it.
decode_run() {
    local base_cpu path="encoded/$1?coding=$1"
    if [ "$2" = curl ]; then
        run curl -s --http2 --compressed --cacert "$ca" -o /dev/null "$url/small"
        base_cpu=$cpu
        run curl -s -f --http2 --compressed --cacert "$ca" -o /dev/null -w '%{size_download}' "$url/$path"
        grep -qx "$(stat -c %s "$work/site/encoded/$1")" "$work/out" || fail "curl got another body"
    else
        client client 1 1 "$url/small" --write-null
        base_cpu=$cpu
        client client 1 1 "$url/$path" --write-null
        [ "$(said bytes)" = 100000000 ] || { cat "$work/out" >&2 && fail "h2bench has not decoded 100 MB of $1"; }
    fi
    record decode "$2" "$1" "($cpu - $base_cpu) / 1000"
}

row_jar() {
    for ((round = 1; round <= rounds; round++)); do
        run "$h2bench" --cookies 10000 -n 100000 --rounds 1
        record jar jar cpu "$(said with_cookies_ns) / 1000"
        record jar other cpu "$(said other_host_ns) / 1000"
    done
    absolute "a request's five cookies from a jar with 10,000: CPU" jar cpu us jar "<5"
    absolute "the same for a host without any" jar cpu us other
}

row_oneget() {
    for ((round = 1; round <= rounds * 10; round++)); do
        run "$released" -s --cacert "$ca" -o /dev/null "$origin/small" && oneget_record h2get
        if have curl; then
            run curl -s --http2 --cacert "$ca" -o /dev/null "$origin/small" && oneget_record curl
        fi
        if [ -n "$gobench" ]; then run "$gobench" -n 1 -cacert "$ca" "$origin/small" && oneget_record Go; fi
        # nghttp verifies nothing.
        if have nghttp; then run nghttp -n "$origin/small" && oneget_record nghttp; fi
    done
    compare "one GET, whole process: wall time" oneget wall ms h2get curl "<=0.8"
    absolute "the same, the aim" oneget wall ms h2get "<=7"
    compare "the same, beside Go" oneget wall ms h2get Go
    compare "the same, beside nghttp" oneget wall ms h2get nghttp
    compare "one GET, whole process: CPU time" oneget cpu ms h2get curl
    compare "one GET, whole process: peak memory" oneget rss MB h2get curl
    absolute "the same, the aim" oneget rss MB h2get "<=12"
}
oneget_record() {
    record oneget "$1" wall "$wall / 1000"
    record oneget "$1" cpu "$cpu / 1000"
    record oneget "$1" rss "$rss * 1024 / 1e6"
}

# Each with 100 transfers at once, over HTTP/2 where it can. Files of 10 kB, in a folder that is empty before each run.
row_cli() {
    local index n name
    serve_nginx
    mkdir -p "$work/site/files"
    head -c 10000 /dev/urandom >"$work/site/files/1"
    for ((index = 2; index <= 10000; index++)); do ln -f "$work/site/files/1" "$work/site/files/$index"; done
    for n in 1000 10000; do
        for ((index = 1; index <= n; index++)); do echo "$nginx/files/$index"; done >"$work/urls-$n"
    done
    for ((round = 1; round <= rounds; round++)); do
        for n in 1000 10000; do
            for name in h2get curl wget2 aria2; do cli_run "$name" "$n"; done
        done
    done
    for n in 1000 10000; do
        for name in curl wget2 aria2; do
            compare "$n files of 10 kB, h2get beside $name: wall time" "cli-$n" wall ms h2get "$name" "<=1"
            compare "the same: CPU time" "cli-$n" cpu ms h2get "$name" "<=1"
            compare "the same: peak memory" "cli-$n" rss MB h2get "$name"
            compare "the same: connections" "cli-$n" connections "" h2get "$name"
        done
    done
    sed -i 's/^cli-[0-9]*/cli/' "$work/table"
}
# cli_run NAME COUNT: one run of one tool, its files counted and one of them compared.
cli_run() {
    local got="$work/got" log="$work/nginx/connections"
    rm -rf "$got" && mkdir "$got"
    : >"$log"
    case "$1" in
        h2get) run "$h2get" -s --cacert "$ca" --remote-name-all --output-dir "$got" --input-file "$work/urls-$2" ;;
        curl)
            run curl -s -Z --parallel-max 100 --http2 --cacert "$ca" --remote-name-all --output-dir "$got" "$nginx/files/[1-$2]"
            ;;
        wget2) run wget2 -q --config=/dev/null --ca-certificate="$ca" --max-threads=100 -P "$got" -i "$work/urls-$2" ;;
        # HTTP/1.1 only.
        aria2) run aria2c -q --no-conf --ca-certificate="$ca" -j 100 -d "$got" -i "$work/urls-$2" ;;
    esac
    [ "$(find "$got" -type f | wc -l)" -eq "$2" ] || fail "$1 did not download $2 files"
    cmp -s "$work/site/files/1" "$got/$2" || fail "a file that $1 downloaded differs"
    record "cli-$2" "$1" wall "$wall / 1000"
    record "cli-$2" "$1" cpu "$cpu / 1000"
    record "cli-$2" "$1" rss "$rss * 1024 / 1e6"
    record "cli-$2" "$1" connections "$(sort -u "$log" | wc -l)"
}

row_memory() {
    local index urls=()
    for ((index = 0; index < 1000; index++)); do echo "$origin/100k"; done >"$work/urls"
    for ((round = 1; round <= rounds; round++)); do
        memory_run chunks "$best" --chunks
        memory_run null "$best" --write-null
        memory_run h2load h2load
        [ -z "$ahcbench" ] || memory_run AHC AHC
        run "$h2get" -s --cacert "$ca" --parallel-max 1000 -o /dev/null --input-file "$work/urls"
        record memory h2get rss "$rss * 1024 / 1e6"
    done
    compare "1,000 streams x 100 KB, chunks pulled: peak memory" memory rss MB chunks h2load
    absolute "the same, the bar" memory rss MB chunks "<=20"
    absolute "1,000 streams x 100 KB, each written to /dev/null" memory rss MB null "<=20"
    absolute "1,000 streams x 100 KB by h2get -o /dev/null" memory rss MB h2get "<=20"
    [ -z "$ahcbench" ] || compare "1,000 streams x 100 KB, beside AsyncHTTPClient" memory rss MB chunks AHC
}
memory_run() {
    client "$2" 1000 1000 "$origin/100k" "${@:3}"
    record memory "$1" rss "$rss * 1024 / 1e6"
}

# Fewer rounds than elsewhere suffice: what is looked for here grows with a number or does not.
row_scale() {
    local m n name requests=(10000 100000 1000000) repeats=$(((rounds + 1) / 2))
    [ -z "$long" ] || requests+=(10000000)
    for ((round = 1; round <= repeats; round++)); do
        for m in 1 10 100 1000 10000; do
            n=$((m < 100 ? 20000 : 100000 + m))
            for name in "$best" h2load; do
                per_request scale "$name-$m-streams" "$m" "$n" "$m" "$origin/small" "$name"
            done
        done
        for n in "${requests[@]}"; do
            [ "$round" -eq 1 ] || [ "$n" -lt 10000000 ] || continue
            per_request scale "$best-$n-requests" 1000 $((n + 1000)) 100 "$origin/small" "$best"
        done
    done
    for m in 1 10 1000 10000; do
        compare "$m stream(s), beside 100: CPU a request" scale cpu us "$best-$m-streams" "$best-100-streams" "<=1.15"
        compare "h2load's own, likewise" scale cpu us "h2load-$m-streams" "h2load-100-streams"
        compare "$m stream(s), beside h2load" scale cpu us "$best-$m-streams" "h2load-$m-streams"
    done
    compare "10000 streams, beside h2load: peak memory" scale rss MB "$best-10000-streams" h2load-10000-streams
    for n in "${requests[@]:1}"; do
        compare "$n requests, beside 10000: CPU a request" scale cpu us "$best-$n-requests" "$best-10000-requests" "<=1.15"
        compare "the same: peak memory" scale rss MB "$best-$n-requests" "$best-10000-requests" "<=1.15"
    done
    # The same number of streams at once against another server: h2get's own.
    serve_origin
    for ((round = 1; round <= repeats; round++)); do
        for m in 100 10000; do
            per_request scale "$best-$m-H2ClientTesting" "$m" $((50000 + m)) "$m" "$url/small" "$best"
        done
    done
    compare "10000 streams at H2ClientTesting, beside 100" scale cpu us "$best-10000-H2ClientTesting" "$best-100-H2ClientTesting" "<=1.15"
}

row_instructions() {
    local name
    count_instructions instructions executor isolated global h2load
    choose_best instructions count
    compare "3-byte GETs, 100 streams, $(described "$best"): instructions a request" \
        instructions count "" "$best" h2load "<=1.4"
    compare "the same, $(described "$(other_place)")" instructions count "" "$(other_place)" h2load
    compare "the same, callers on the global pool" instructions count "" global h2load "<=2.5"
    for name in "$best" h2load; do
        profile "$name"
    done >"$work/instructions.profile"
}

# Each way of a small GET beside the figure that the repository keeps for it.
row_gate() {
    local kept=Benchmarks/instructions.txt name
    local -A labels=(
        [executor]="callers on the connection's loop" [global]="callers on the global pool"
        [client]="an HTTPClient, callers on its loop" [http1]="100 HTTP/1.1 connections" [bench]="h2get bench"
    )
    local -A least=()
    local pending=(executor global client http1 bench) attempt count limit
    serve_nginx
    # The least of up to three counts: on a busy machine bytes come in other pieces.
    for attempt in 1 2 3; do
        count_instructions "gate$attempt" "${pending[@]}"
        for name in "${pending[@]}"; do
            count="$(summary "gate$attempt" "$name" count | cut -d' ' -f1)"
            limit="$(awk -v name="$name" '$1 == name { print $2 }' "$kept" 2>/dev/null || true)"
            # Far less is no gain: dials that failed on a busy machine were counted in the shorter run.
            [ "$(calculate "$count > 0.8 * ${limit:-0}")" = 1 ] || continue
            least[$name]="$(calculate "${least[$name]:-$count} < $count ? ${least[$name]:-$count} : $count")"
        done
        pending=()
        for name in executor global client http1 bench; do
            [ -n "${least[$name]:-}" ] || { pending+=("$name") && continue; }
            limit="$(awk -v name="$name" '$1 == name { print $2 * 1.02 }' "$kept" 2>/dev/null || true)"
            [ "$(calculate "${least[$name]} > ${limit:-0}")" = 0 ] || pending+=("$name")
        done
        [ ${#pending[@]} -gt 0 ] || break
    done
    round=1
    [ ${#least[@]} -eq 5 ] || fail "gate: this machine is too busy to count on; measured were: ${!least[*]}"
    for name in "${!least[@]}"; do record gate "$name" count "${least[$name]}"; done
    if [ -n "$update" ]; then
        {
            echo "# Instructions that a small GET costs, by callgrind. Scripts/bench gate compares with these and"
            echo "# --update writes them; another CPU or another OpenSSL has figures of its own."
            for name in executor global client http1 bench; do
                printf '%s %.0f\n' "$name" "$(summary gate "$name" count | cut -d' ' -f1)"
            done
        } >"$work/instructions.txt"
        cp "$work/instructions.txt" "$kept"
    fi
    [ -f "$kept" ] || fail "there is no $kept; Scripts/bench gate --update writes it"
    for name in executor global client http1 bench; do
        round=1
        record gate "kept-$name" count "$(awk -v name="$name" '$1 == name { print $2 }' "$kept")"
        compare "3-byte GET, ${labels[$name]}: instructions" gate count "" "$name" "kept-$name" "<=1.02"
    done
}

# count_instructions ROW CLIENT…: records what one request more costs each.
count_instructions() {
    local row=$1 name n whole=$h2bench whole_h2get=$h2get
    shift
    have valgrind || fail "$row: valgrind is not installed"
    # valgrind 3.19 cannot read the debug information that Swift 6.3 writes; the names of functions stay.
    [ -x "$work/h2bench" ] || strip -g -o "$work/h2bench" "$h2bench"
    [ -x "$work/h2get" ] || strip -g -o "$work/h2get" "$h2get"
    h2bench="$work/h2bench" h2get="$work/h2get"
    round=1
    for name in "$@"; do
        for n in 2000 12000; do
            before=(valgrind -q --tool=callgrind "--callgrind-out-file=$work/$name-$n.callgrind")
            client "$name" "$n" 100 "$(at_server "$name")/small"
            before=()
        done
        record "$row" "$name" count \
            "($(total "$work/$name-12000.callgrind") - $(total "$work/$name-2000.callgrind")) / 10000"
    done
    h2bench=$whole h2get=$whole_h2get
}
at_server() { case "$1" in *1) echo "$nginx" ;; *) echo "$origin" ;; esac; }
total() { sed -nE 's/^(totals|summary): ([0-9]+).*/\2/p' "$1" | tail -1; }

# profile CLIENT: where the instructions of one request go.
profile() {
    local n
    for n in 2000 12000; do
        callgrind_annotate --threshold=100 --show-percs=no "$work/$1-$n.callgrind" >"$work/$1-$n.functions"
    done
    awk -v name="$1" -f Scripts/bench.d/profile.awk "$work/$1-2000.functions" "$work/$1-12000.functions" |
        swift demangle --simplified | cut -c1-150
}
