# Two lists of functions by callgrind_annotate, of 2,000 and of 12,000 requests: prints what one request costs, by kind of
# code and by function. What the compiler inlined counts where it was inlined.

function kind(object, source, symbol) {
    # The list names an object only at its first use of a source file; only libc has sources to name.
    if (source ~ /^\.\//) return "libc"
    if (symbol ~ /^(malloc|free|calloc|realloc)$/) return "libc"
    if (object ~ /libnghttp2/) return "nghttp2"
    if (object ~ /libcrypto|libssl/) return "TLS (OpenSSL)"
    if (object ~ /libc\.so|libc-|ld-linux|libpthread|vgpreload/) return "libc"
    if (object ~ /libstdc|libev|libgcc/) return "C++ and libev"
    if (object ~ /\/h2load$/) return "h2load"
    if (symbol ~ /^(ch2|pool)_/ || symbol ~ /^\$s8H2Client/) return "H2Client"
    if (symbol ~ /^\$s9HTTPTypes/) return "HTTPTypes"
    if (symbol ~ /^\$s7h2bench/) return "the caller (h2bench)"
    if (symbol ~ /^\$s9H2Measure/ || symbol ~ /^\$s5h2get/) return "the engine (h2get bench)"
    if (symbol ~ /swift_(task|job|continuation|defaultActor|async|get_|executor|distributed)|AsyncTask|TaskGroup|TaskStatus|TaskLocal|StackAllocator|ActorImpl|_Concurrency|^\$sSc|ExecutorTracking|[Ee]xecutor|ActiveTask|taskFuture|swift::Job|removeStatusRecord|addStatusRecord|cancellationHandler|CancellationHandler|withContinuation/)
        return "Swift concurrency"
    if (symbol ~ /retain|release|alloc|Alloc|[Rr]efCount|swift_once|beginAccess|endAccess|initStack|unknownObject|bridgeObject/)
        return "Swift runtime (memory)"
    if (symbol ~ /swift/ || symbol ~ /^\$s/) return "Swift standard library"
    return "other"
}

FNR == 1 { file++ }
/^ *[0-9][0-9,]*  / && /:/ {
    count = $1
    gsub(/,/, "", count)
    symbol = $0
    sub(/^ *[0-9,]+ +/, "", symbol)
    object = ""
    if (match(symbol, / \[[^]]*\]$/)) {
        object = substr(symbol, RSTART + 2, RLENGTH - 3)
        symbol = substr(symbol, 1, RSTART - 1)
    }
    source = symbol
    sub(/:.*/, "", source)
    sub(/^[^:]*:/, "", symbol)
    if (symbol == "" || symbol ~ /PROGRAM TOTALS/) next
    sign = file == 1 ? -1 : 1
    kinds[kind(object, source, symbol)] += sign * count / 10000
    functions[symbol] += sign * count / 10000
    kind_of[symbol] = kind(object, source, symbol)
    sum += sign * count / 10000
}
END {
    printf "%s: %.0f instructions a request\n", name, sum
    sorted = "sort -rn"
    for (k in kinds) if (kinds[k] >= sum / 1000) printf "%8.0f  %4.1f %%  %s\n", kinds[k], 100 * kinds[k] / sum, k | sorted
    close(sorted)
    print "  of which:"
    sorted = "sort -rn | head -" (name == "h2load" ? 8 : 32)
    for (f in functions)
        # A stripped library has functions without names.
        if (f !~ /^0x/ && functions[f] >= sum / 400) printf "%8.0f  %-22s  %s\n", functions[f], kind_of[f], f | sorted
    close(sorted)
}
