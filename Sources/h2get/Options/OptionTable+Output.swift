extension OptionTable {
    /// The options for text about transfers, and for files.
    static let writingOptions: [Option] = [
        Option(
            .writeOut, "w", "write-out", "FORMAT", of: .fetch, in: .output,
            "Write this after each transfer, with variables such as %{http_code}, %{time_total}, %{url}, %{json} and "
                + "%header{NAME}, and \\n for a line end. @FILE reads the format, @- from stdin.", common: true),
        Option(
            .jsonLines, nil, "json-lines", "FILE", of: .fetch, in: .output,
            "Write a JSON object about each transfer to FILE as it ends, one a line; - is stdout. docs/json-lines.md says what "
                + "its members mean."),
        Option(
            .dumpHeader, "D", "dump-header", "FILE", of: .fetch, in: .output,
            "Write the header fields of all responses to FILE; - is stdout."),
        Option(
            .failWithBody, nil, "fail-with-body", of: .fetch, in: .output,
            "Fail with 22 if the status is 400 or more, but write the body."),
        Option(
            .failEarly, nil, "fail-early", of: .fetch, in: .output,
            "Stop all transfers once one has failed. Default: carry on with the others."),
        Option(
            .removeOnError, nil, "remove-on-error", of: .fetch, in: .output,
            "Remove the bytes of a download that fails. Default: keep them in NAME.XXXXXX.part."),
        Option(
            .noClobber, nil, "no-clobber", of: .fetch, in: .output,
            "Replace no file: write to FILE.1 if FILE exists, or to the next free name up to FILE.100."),
        Option(
            .skipExisting, nil, "skip-existing", of: .fetch, in: .output,
            "Leave out the URLs whose file exists. That is no failure."),
        Option(
            .createFileMode, nil, "create-file-mode", "MODE", of: .fetch, in: .output,
            "Give new files this mode, in octal, such as 600. Default: 666 without the bits of the umask."),
        Option(
            .maxFilesize, nil, "max-filesize", "BYTES", of: .fetch, in: .output,
            "Fail with 63 if a body is longer, and keep none of its file. K, M and G are powers of 1,024; 0 is no limit."
        ),
        Option(
            .remoteNameAll, nil, "remote-name-all", of: .fetch, in: .output,
            "Name files as the last part of their URLs, like -O."),
        Option(
            .remoteHeaderName, "J", "remote-header-name", of: .fetch, in: .output,
            "Name the files of -O as the server's content-disposition says, if it does. An existing file is not "
                + "replaced."),
        Option(
            .remoteTime, "R", "remote-time", of: .fetch, in: .output,
            "Give files the time of the server's last-modified field."),
        Option(
            .xattr, nil, "xattr", of: .fetch, in: .output,
            "Store the URL, the referrer and the media type in extended attributes of the file."),
        Option(
            .noBuffer, "N", "no-buffer", of: .fetch, in: .output,
            "Write bodies as they come. This is the default: the option is accepted for curl's sake."),
        Option(
            .range, "r", "range", "RANGE", of: .fetch, in: .request,
            "Ask for these bytes only: 0-499, 500-, -500, or several with commas."),
        Option(
            .continueAt, "C", "continue-at", "OFFSET", of: .fetch, in: .output,
            "Continue a download after its first OFFSET bytes. - finds out how many are here, in NAME.part or NAME, and "
                + "starts again if the server's file has changed.", common: true),
        Option(
            .rangeSplit, nil, "range-split", "N", of: .fetch, in: .output,
            "Fetch each file in up to N ranges at once, of 1 MiB at least, if the server has ranges."),
        Option(
            .checksum, nil, "checksum", "ALGORITHM:HEX", of: .fetch, in: .output,
            "Name the file only if its bytes, as they were received, have this checksum: sha-256, sha-512, sha-1 or md5. "
                + "Give one for each URL, in order.", repeats: true),
        Option(
            .checksumFile, nil, "checksum-file", "FILE", of: .fetch, in: .output,
            "Check each file against its line in FILE, which sha256sum or a similar tool has made."),
        Option(
            .verifyDigest, nil, "verify-digest", of: .fetch, in: .output,
            "Verify bodies with the digest that the server states (Content-Digest, Repr-Digest), and fail without one."),
        Option(
            .timeCond, "z", "time-cond", "TIME", of: .fetch, in: .request,
            "Fetch only what changed after TIME: a date in UTC such as 2026-01-31 or 'Sat, 31 Jan 2026 12:00:00 GMT', or a "
                + "file, whose time counts. With - before it: only what did not."),
        Option(
            .etagSave, nil, "etag-save", "FILE", of: .fetch, in: .output,
            "Save the entity tag of a successful response in FILE, for --etag-compare. FILE is empty if there is none."),
        Option(
            .etagCompare, nil, "etag-compare", "FILE", of: .fetch, in: .request,
            "Fetch only what has another entity tag than FILE says."),
        Option(
            .stderrFile, nil, "stderr", "FILE", of: .fetch, in: .messages,
            "Write messages to FILE instead of stderr; - is stdout."),
        Option(
            .trace, nil, "trace", "FILE", of: .fetch, in: .messages,
            "Write all header fields, bodies and HTTP/2 frames to FILE, in hexadecimal and as text; - is stdout, % is stderr."
        ),
        Option(
            .traceASCII, nil, "trace-ascii", "FILE", of: .fetch, in: .messages,
            "Like --trace, as text alone."),
        Option(
            .traceTime, nil, "trace-time", of: .fetch, in: .messages,
            "Begin the lines of --trace and -v with the time."),
        Option(
            .traceIDs, nil, "trace-ids", of: .fetch, in: .messages,
            "Begin the lines of --trace with the numbers of the transfer and the connection."),
    ]
}
