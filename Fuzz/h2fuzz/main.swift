// Runs one fuzzer: h2fuzz NAME [LIBFUZZER-OPTION… CORPUS…]. Without a name it lists them. `Scripts/sanitize fuzz` builds it.

import CFuzzer
import H2Platform

guard CommandLine.argc > 1, let test = fuzzers[CommandLine.arguments[1]] else {
    for name in fuzzers.keys.sorted() { print(name) }
    // A misspelt name must not look like a run without a finding.
    exit(CommandLine.argc > 1 ? 2 : 0)
}
current = test
// libFuzzer sees its own arguments only.
var count = CommandLine.argc - 1
var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv + 1
let status = LLVMFuzzerRunDriver(&count, &arguments) { start, size in
    current(Array(UnsafeBufferPointer(start: start, count: size)))
    return 0
}
exit(status)
