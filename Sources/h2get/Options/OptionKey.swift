/// The options by what they mean. An option that two commands describe differently has one key and two entries in the table.
enum OptionKey: CaseIterable, Sendable {
    // General
    case help, generate, version
    // General: configuration files
    case config, disable, variable, curl
    // The request
    case request, header, userAgent, data, dataBinary, uploadFile, head, trailer, pathAsIs, priority, expectContinue
    case retry, retryDelay, retryMaxTime, retryAllErrors, retryConnrefused
    // Redirects, credentials, cookies, codings and proxies
    case location, maxRedirs, post301, post302, post303, locationTrusted, compressed, cookie, cookieJar
    case junkSessionCookies, hsts, user, basic, digest, anyauth, oauth2Bearer, netrc, netrcFile, netrcOptional
    case proxy, noproxy, proxyUser, proxyBasic, proxyDigest, proxyAnyauth, socks5, socks5Hostname, socks4, socks4a
    case preproxy
    case proxyTunnel, proxyHeader, proxyInsecure, proxyCacert, proxyCert, proxyKey
    // The request: its body, its query
    case dataRaw, dataAscii, dataUrlencode, jsonBody, get, urlQuery, referer, form, formString, formEscape
    // URLs
    case url, globoff, protoDefault, proto, protoRedir, requestTarget, parallel, parallelImmediate, next
    // Where bodies go
    case output, remoteName, outputDir, createDirs, include, fail, inputFile, parallelMax
    // Text about transfers
    case writeOut, dumpHeader, failWithBody, failEarly, removeOnError, noClobber, skipExisting, createFileMode
    case range, timeCond, etagSave, etagCompare
    case continueAt, checksum, checksumFile, verifyDigest, rangeSplit
    case maxFilesize, remoteNameAll, remoteHeaderName, remoteTime, xattr, noBuffer, stderrFile
    // Connections
    case http10, http11, http2, http2PriorKnowledge, connectionsPerOrigin, maxRequestsPerConnection, rate, polite
    case informationalMax, informationalPerSecond, connectTo, resolve, ipv4, ipv6, interface, localPort
    case happyEyeballsTimeout, ipTOS, keepalive, keepaliveCount, tcpNodelay
    // TLS
    case insecure, cacert, capath, caNative, cert, key, ciphers, tls13Ciphers, groups, sni
    case tlsv12, tlsv13, tlsMax, sigalgs, pinnedPublicKey, crlfile, certStatus, pass, certType, keyType, tlsEarlyData
    case sslSessions
    // Time limits
    case maxTime, maxTotalTime, connectTimeout, queueTimeout, firstByteTimeout, stallTimeout, keepaliveTime
    case limitRate, speedLimit, speedTime
    // Messages
    case silent, showError, verbose, summary, progressMeter, progressBar, color, jsonLines
    case trace, traceASCII, traceTime, traceIDs
    // Measuring: load
    case requests, duration, clients, streams, threads, warmUpTime, requestRate, ramp, rps, stages, timingScriptFile
    case arrivals, seed, thinkTime, startAt, drain, rounds, roundTrip, loss, sweepStreams, sweepConnections, slo
    case locustMaster, userKind, usersPerConnection, scenario, firstUser, alignClock, clockOffset
    // Measuring: requests and connections
    case expectStatus, expectSize, expectSHA256, baseURI, h1, noTLSProto, connectionRate, ratePeriod
    case requestsPerConnection, connectionActiveTimeout, connectionInactivityTimeout, unixSocket, source, keepTrying
    case windowBits, connectionWindowBits, maxFrameSize, api
    // Measuring: results
    case json, csv, hdr, breakdown, html, markdown, svg, failIf, hgrm
    case metricsListen, metricsPrefix
    // Serving
    case port, address, cleartext, caFile, portFile, force, dotFiles, latency, goawayAfter, closeAfter, idleTimeout
    case headTimeout, bodyTimeout, maxConnections, refuseEvery, maxStreams, resetAfterBytes, workers, workerQueue
    case serviceTime, retryAfter, refusedStream
}
