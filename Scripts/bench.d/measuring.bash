# How one run is made, recorded, compared and shown; sourced by Scripts/bench.

# MARK: One run

# run [-c CPU] COMMAND…: bounded in time; sets wall and cpu in microseconds, rss in KiB; its output is in $work/out. What
# `before` holds stands before the command.
wall=0 cpu=0 rss=0
before=()
run() {
    local pin=()
    if [ "$1" = -c ]; then
        pin=(-c "$2")
        shift 2
    fi
    local limit=$((${long:-0} ? 900 : 180))
    if ! "$measure" -o "$work/measured" -t "$limit" "${pin[@]}" "${before[@]}" "$@" >"$work/out" 2>"$work/err"; then
        tail -5 "$work/out" "$work/err" >&2
        fail "this failed, or took over $limit s: $*"
    fi
    read -r wall cpu rss <"$work/measured"
}

# client [-c CPU] NAME REQUESTS STREAMS URL [OPTION-OF-h2bench…]: one run of one client, its answers counted.
client() {
    local pin=()
    if [ "$1" = -c ]; then
        pin=(-c "$2")
        shift 2
    fi
    local name=$1 n=$2 m=$3 url=$4
    shift 4
    case "$name" in
        isolated) run "${pin[@]}" "$h2bench" "$url" -n "$n" -m "$m" --cacert "$ca" "$@" ;;
        executor) run "${pin[@]}" "$h2bench" "$url" -n "$n" -m "$m" --cacert "$ca" --task-executor "$@" ;;
        global) run "${pin[@]}" "$h2bench" "$url" -n "$n" -m "$m" --cacert "$ca" --global "$@" ;;
        client) run "${pin[@]}" "$h2bench" "$url" -n "$n" -m "$m" --cacert "$ca" --client --task-executor "$@" ;;
        client-global) run "${pin[@]}" "$h2bench" "$url" -n "$n" -m "$m" --cacert "$ca" --client --global "$@" ;;
        tunnel) run "${pin[@]}" "$h2bench" "$url" -n "$n" -m "$m" --cacert "$ca" --task-executor --proxy "$proxy" "$@" ;;
        http1) run "${pin[@]}" "$h2bench" "$url" -n "$n" -m "$m" --cacert "$ca" --http1 --task-executor "$@" ;;
        h2load-h1)
            run "${pin[@]}" h2load --h1 -c "$m" -t 1 -n "$n" "$url"
            grep -q "status codes: $n 2xx" "$work/out" || { cat "$work/out" >&2 && fail "h2load: not every answer was a 2xx"; }
            ;;
        # One process, as many connections; the query tells the requests apart for curl and nobody else.
        curl-h1)
            run "${pin[@]}" curl -s -f -Z --parallel-immediate --parallel-max "$m" --http1.1 --cacert "$ca" -o /dev/null "$url?[1-$n]"
            ;;
        h2load)
            run "${pin[@]}" h2load -c 1 -t 1 -n "$n" -m "$m" "$url"
            grep -q "status codes: $n 2xx" "$work/out" || { cat "$work/out" >&2 && fail "h2load: not every answer was a 2xx"; }
            ;;
        bench) run "${pin[@]}" "$h2get" bench -s -n "$n" -m "$m" --cacert "$ca" "$url" "$@" ;;
        bench-async) run "${pin[@]}" "$h2get" bench -s --api async -n "$n" -m "$m" --cacert "$ca" "$url" "$@" ;;
        hey)
            # Its workers are what streams are elsewhere: all over one connection.
            run "${pin[@]}" hey -h2 -cpus 1 -n "$n" -c "$m" "$url"
            grep -qE "\[200\][[:space:]]+$n responses" "$work/out" || { cat "$work/out" >&2 && fail "hey: not every answer was a 200"; }
            ;;
        Go) run "${pin[@]}" "$gobench" -n "$n" -m "$m" -cacert "$ca" "$url" ;;
        AHC) run "${pin[@]}" "$ahcbench" "$url" -n "$n" -m "$m" --cacert "$ca" ;;
    esac
}

# said NAME: the value that the last client printed as NAME=value.
said() { sed -nE "s/(.* )?$1=([^ ]+).*/\2/p" "$work/out"; }

# record ROW CLIENT METRIC VALUE-EXPRESSION
round=0
record() { printf '%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$round" "$(calculate "$4")" >>"$work/results"; }
# In parentheses: awk takes a bare > for the name of a file to write.
calculate() { awk "BEGIN { printf \"%.6g\", ($1) }"; }

# per_request ROW CLIENT-LABEL BASE-REQUESTS REQUESTS STREAMS URL CLIENT [OPTION…]: records what one request more costs,
# so that starting, connecting and shaking hands, which the base run does too, do not count.
per_request() {
    local row=$1 label=$2 base=$3 n=$4 m=$5 url=$6 base_cpu
    shift 6
    client "$1" "$base" "$m" "$url" "${@:2}"
    base_cpu=$cpu
    client "$1" "$n" "$m" "$url" "${@:2}"
    record "$row" "$label" cpu "($cpu - $base_cpu) / ($n - $base)"
    record "$row" "$label" rss "$rss * 1024 / 1e6"
}

# MARK: Comparing

# summary ROW CLIENT METRIC: median, minimum and maximum over the rounds.
summary() {
    awk -F'\t' -v row="$1" -v client="$2" -v metric="$3" '$1 == row && $2 == client && $3 == metric { print $5 }' \
        "$work/results" | sort -g | awk '
        { value[NR] = $1 }
        END {
            if (!NR) exit
            print NR % 2 ? value[(NR + 1) / 2] : (value[NR / 2] + value[NR / 2 + 1]) / 2, value[1], value[NR]
        }'
}

# ratios ROW METRIC OURS PEER: the same of ours / peer, taken round by round: two runs next to each other in time saw the
# same machine.
ratios() {
    awk -F'\t' -v row="$1" -v metric="$2" -v ours="$3" -v peer="$4" '
        $1 == row && $3 == metric && $2 == ours { a[$4] = $5 }
        $1 == row && $3 == metric && $2 == peer { b[$4] = $5 }
        END { for (round in a) if (round in b && b[round] > 0) print a[round] / b[round] }' \
        "$work/results" | sort -g | awk '
        { value[NR] = $1 }
        END {
            if (!NR) exit
            print NR % 2 ? value[(NR + 1) / 2] : (value[NR / 2] + value[NR / 2 + 1]) / 2, value[1], value[NR]
        }'
}

# shown "MEDIAN MIN MAX" UNIT
shown() {
    # shellcheck disable=SC2086
    set -- $1 "${2-}"
    [ $# -eq 4 ] || { echo - && return; }
    awk -v median="$1" -v low="$2" -v high="$3" -v unit="$4" '
        function text(value) {
            return sprintf(value >= 1000 ? "%.0f" : value >= 100 ? "%.0f" : value >= 10 ? "%.1f" : "%.2f", value)
        }
        BEGIN {
            range = text(low) == text(high) ? "" : " (" text(low) "-" text(high) ")"
            print text(median) (unit == "" ? "" : " " unit) range
        }'
}

# verdict VALUE BAR: BAR is <=NUMBER, <NUMBER or >=NUMBER.
verdict() {
    [ -n "$2" ] && [ -n "$1" ] || return 0
    awk -v value="$1" "BEGIN { print (value ${2/[^<>=]*/} ${2##*[<>=]}) ? \"PASS\" : \"MISS\" }"
}

line() { printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$@" >>"$work/table"; }

# compare LABEL ROW METRIC UNIT OURS PEER [BAR]: a line of the table; the bar is on the ratio of ours to the peer's.
compare() {
    local label=$1 row=$2 metric=$3 unit=$4 ours=$5 peer=$6 bar=${7-} ratio
    ratio="$(ratios "$row" "$metric" "$ours" "$peer")"
    line "$row" "$label" "$(shown "$(summary "$row" "$ours" "$metric")" "$unit")" "$peer" \
        "$(shown "$(summary "$row" "$peer" "$metric")" "$unit")" "$(shown "$ratio" x)" "${bar:+$bar x}" \
        "$(verdict "${ratio%% *}" "$bar")"
}

# absolute LABEL ROW METRIC UNIT OURS [BAR]: the bar is on our median itself.
absolute() {
    local value
    value="$(summary "$2" "$5" "$3")"
    line "$2" "$1" "$(shown "$value" "$4")" - - - "${6:+$6 $4}" "$(verdict "${value%% *}" "${6-}")"
}

# MARK: Showing

# report_text ROW: that row's lines, aligned.
report_text() {
    awk -F'\t' -v row="$1" '
        BEGIN { split("work\tours\tpeer\t\tratio\tbar\t", heading, "\t") }
        $1 == row {
            count++
            for (field = 2; field <= 8; field++) cell[count, field] = $field
        }
        END {
            if (!count) exit
            for (field = 2; field <= 8; field++) {
                cell[0, field] = heading[field - 1]
                for (number = 0; number <= count; number++)
                    if (length(cell[number, field]) > width[field]) width[field] = length(cell[number, field])
            }
            print ""
            for (number = 0; number <= count; number++) {
                text = ""
                for (field = 2; field <= 8; field++) text = text sprintf("%-" width[field] "s  ", cell[number, field])
                sub(/ +$/, "", text)
                print text
            }
        }' "$work/table"
    [ ! -s "$work/$1.profile" ] || { echo && cat "$work/$1.profile"; }
}

# facts: of the machine and the versions.
facts() {
    echo "Date: $(date -u +%Y-%m-%d), $rounds rounds, $elapsed s without building; load average $load_before before, $load_after after"
    echo "CPU: $(sed -nE 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -1), $(nproc) cores; Linux $(uname -r)"
    echo "H2Client: $(git describe --always --dirty 2>/dev/null || echo unknown); swift build ${build[*]//$PWD\//}"
    echo "Swift: $(swift --version 2>/dev/null | sed -nE 's/.*Swift version ([^ ]+).*/\1/p' | head -1)"
    echo "libnghttp2: $(pkg-config --modversion libnghttp2); $(openssl version | cut -d' ' -f1-2)"
    echo "nghttpd, h2load, nghttp: $(h2load --version | sed -nE 's/^h2load //p')"
    have curl && curl --version | sed -nE '1s/^(curl [^ ]+).*/\1/p'
    [ -z "$gobench" ] || go version | sed -E 's/^go version go/Go: /'
    have valgrind && valgrind --version
    [ -z "$nginx" ] || nginx -v 2>&1 | sed -E 's/^nginx version: nginx./nginx /'
    [ -z "$ahcbench" ] || echo "AsyncHTTPClient: $(ahc_version)"
    echo "TLS between h2get and nghttpd: $("$h2get" -v --cacert "$ca" -o /dev/null "$origin/small" 2>&1 |
        sed -nE 's/.*(TLSv[0-9.]+, TLS_[A-Z0-9_]+).*/\1/p' | head -1)"
}
ahc_version() {
    sed -nE '/async-http-client/,/version/ s/.*"version" : "([^"]+)".*/\1/p' \
        Benchmarks/peers/ahc/Package.resolved | head -1
}

# report_markdown FILE: the table and the facts; where the file has the marks, what is between them is replaced.
report_markdown() {
    local begin='<!-- Scripts/bench writes from here -->' end='<!-- Scripts/bench writes to here -->'
    {
        [ ! -s "$work/reuse.profile" ] || cat "$work/reuse.profile"
        if [ -s "$work/table" ]; then
            [ ! -s "$work/reuse.profile" ] || echo
            echo '| work | ours | peer | | ratio | bar | |'
            echo '|---|---|---|---|---|---|---|'
        fi
        awk -F'\t' '
            {
                for (field = 2; field <= 8; field++) { gsub(/</, "\\&lt;", $field); gsub(/>/, "\\&gt;", $field) }
                print "| " $2 " | " $3 " | " $4 " | " $5 " | " $6 " | " $7 " | " $8 " |"
            }' "$work/table"
        echo
        sed 's/^/- /' "$work/facts"
        if [ -s "$work/instructions.profile" ]; then
            echo
            echo '```text'
            cat "$work/instructions.profile"
            echo '```'
        fi
    } >"$work/markdown"
    if [ -f "$1" ] && grep -qF "$begin" "$1"; then
        awk -v begin="$begin" -v end="$end" -v part="$work/markdown" '
            $0 == begin { print; while ((getline line < part) > 0) print line; skipping = 1; next }
            $0 == end { skipping = 0 }
            !skipping' "$1" >"$work/page"
        cat "$work/page" >"$1"
    else
        cat "$work/markdown" >"$1"
    fi
}
