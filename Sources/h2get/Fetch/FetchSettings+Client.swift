import H2Client
import H2Measure
import H2Platform
import HTTPTypes

/// The options for redirects, credentials, cookies, codings and HSTS.
extension FetchSettings {
    /// curl's default of --max-redirs.
    private static let defaultRedirects = 50

    mutating func setRedirects(_ arguments: Arguments) throws {
        let isTrusted = arguments.isOn(.locationTrusted)
        let limit = try arguments.value(.maxRedirs) { text in
            guard let limit = Int(text), limit >= -1 else { throw BadValue("write a whole number, or -1 for no limit") }
            return limit
        }
        guard arguments.isOn(.location) || isTrusted else {
            let others = arguments.all(.maxRedirs, .post301, .post302, .post303)
            if let option = others.first(where: \.isOn)?.spelling {
                throw Failure.usage("\(option) is about redirects, which -L follows: give -L, too")
            }
            return
        }
        var policy = HTTPClient.RedirectPolicy(limit: limit.map { $0 < 0 ? .max : $0 } ?? Self.defaultRedirects)
        if limit == 0 {
            policy.limit = 1
            refusesRedirects = true
        }
        // As curl does.
        policy.allowsDowngrade = true
        policy.sendsCredentialsElsewhere = isTrusted
        for (key, status) in [
            (OptionKey.post301, HTTPResponse.Status.movedPermanently), (.post302, .found), (.post303, .seeOther),
        ] where arguments.isOn(key) { policy.methodKeepingStatuses.insert(status) }
        redirects = policy
    }

    mutating func setCredentials(_ arguments: Arguments) throws {
        let schemes = arguments.all(.basic, .digest, .anyauth).filter(\.isOn)
        let token = try arguments.text(.oauth2Bearer)
        if let first = schemes.first, let other = schemes.first(where: { $0.key != first.key }) {
            throw Failure.usage("\(first.spelling) and \(other.spelling) cannot be combined; --anyauth takes either")
        }
        guard token == nil || !arguments.isGiven(.user) else {
            throw Failure.usage("-u and --oauth2-bearer cannot be combined")
        }
        if token != nil, let scheme = schemes.first?.spelling {
            throw Failure.usage("\(scheme) is for passwords, and --oauth2-bearer is a token: leave one out")
        }
        passwordScheme =
            switch schemes.first?.key {
            case .digest: .digest
            case .anyauth: .any
            default: .basic
            }
        if let token {
            try check(HTTPAuthentication.bearer(token), "--oauth2-bearer")
            credentials = .bearer(token)
        } else if let text = try arguments.text(.user) {
            let login = try Self.login(text, "-u")
            credentials = .password(login.user, login.password, passwordScheme)
        }
        let file = try arguments.text(.netrcFile)
        if arguments.isOn(.netrc) || arguments.isOn(.netrcOptional) || file != nil {
            if let file, access(file, R_OK) != 0 {
                throw Failure(.readFailed, "cannot read \(printable(file)) (--netrc-file): \(errnoText(errno))")
            }
            netrc = .netrc(file, scheme: passwordScheme)
        }
    }

    private func check(_ authentication: HTTPAuthentication, _ option: String) throws {
        var configuration = HTTPClient.Configuration()
        configuration.authentication = authentication
        do { try configuration.validate() } catch {
            throw Failure.usage("\(option) cannot be sent: \(error.message)")
        }
    }

    /// The user name and the password of `USER:PASSWORD`. On a terminal the password may be typed.
    static func login(_ text: String, _ option: String) throws -> (user: String, password: String) {
        var text = text
        if !text.utf8.contains(UInt8(ascii: ":")), !text.isEmpty, Terminal.canAsk {
            let kind = option == "-U" ? "proxy" : "host"
            text += ":" + (try Terminal.secret("Enter \(kind) password for user '\(printable(text))': "))
        }
        guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else {
            throw Failure.usage(
                "\(option) has no password: write \(option) USER:PASSWORD, with nothing after the colon for an empty one, or "
                    + "keep it in ~/.netrc and use -n")
        }
        let (user, password) = (String(text[..<colon]), String(text[text.utf8.index(after: colon)...]))
        guard !text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) else {
            throw Failure.usage("\(option) has a control character, which no credentials can have")
        }
        return (user, password)
    }

    mutating func setCookies(_ arguments: Arguments) throws {
        let jarFile = try arguments.text(.cookieJar)
        let values = try arguments.texts(.cookie)
        let files = values.filter { !$0.utf8.contains(UInt8(ascii: "=")) }
        let literal = values.filter { $0.utf8.contains(UInt8(ascii: "=")) }
        if !literal.isEmpty {
            let text = literal.joined(separator: "; ")
            guard let name = HTTPField.Name("cookie"), HTTPField.isValidValue(text) else {
                throw Failure.usage("-b has a control character, which no cookie can have")
            }
            // As in curl, -H comes before it.
            if fields[name] == nil { fields[name] = text }
        }
        guard jarFile != nil || !files.isEmpty else {
            guard !arguments.isOn(.junkSessionCookies) else { throw Failure.usage("-j is for the files of -b FILE") }
            return
        }
        let jar = CookieJar()
        for file in files where !file.isEmpty {
            // A first run has no file yet.
            guard file == "-" || access(file, F_OK) == 0 else { continue }
            let report = jar.load(try readWhole(file, remedy: "name a cookie file"))
            if let line = report.firstSkippedLine {
                let name = file == "-" ? "stdin" : printable(file)
                remarks.append("line \(line) of \(name) (-b) is not a cookie; write -b 'NAME=VALUE' to send one")
            }
        }
        dropsSessionCookies = arguments.isOn(.junkSessionCookies)
        if dropsSessionCookies { jar.removeAll { $0.expires == nil } }
        cookies = jar
        cookieSources = files
        cookieFile = jarFile
    }

    mutating func setStrictTransport(_ arguments: Arguments) throws {
        guard let file = try arguments.text(.hsts) else { return }
        let store = StrictTransportStore()
        if !file.isEmpty {
            if access(file, F_OK) == 0 { store.load(try readWhole(file, remedy: "name an HSTS file")) }
            strictTransportFile = file
        }
        strictTransport = store
    }

    /// Writes the files of -c and --hsts.
    /// - Throws: `Failure` (`writeFailed`) for the first that cannot be written, after trying both.
    nonisolated(nonsending) func saveMemory() async throws {
        var failure: Failure?
        func failed(_ error: H2Error, _ option: String) {
            failure = failure ?? Failure(.writeFailed, "\(error.message) (\(option))")
        }
        if let cookies, let cookieFile {
            do {
                if cookieFile == "-" {
                    try await BodyOutput.standardOutput.write(cookies.netscapeFile())
                } else if BodyOutput.isWrittenAsItIs(cookieFile) {
                    let output = try await BodyOutput.opening(cookieFile)
                    defer { output.close() }
                    try await output.write(cookies.netscapeFile())
                } else {
                    try await cookies.save(to: cookieFile)
                }
            } catch let error as H2Error { failed(error, "-c") } catch let error as Failure {
                failure = failure ?? error
            }
        }
        if let strictTransport, let strictTransportFile {
            do { try await strictTransport.save(to: strictTransportFile) } catch { failed(error, "--hsts") }
        }
        if let failure { throw failure }
    }
}

/// Credentials of the command line.
enum Credentials: Sendable, Hashable {
    case password(String, String, HTTPAuthentication.PasswordScheme)
    case bearer(String)

    /// A value to keep, since it learns nonces.
    var authentication: HTTPAuthentication {
        switch self {
        case .password(let user, let password, .digest): .digest(user: user, password: password)
        case .password(let user, let password, .any): .any(user: user, password: password)
        case .password(let user, let password, _): .basic(user: user, password: password)
        case .bearer(let token): .bearer(token)
        }
    }

    /// The credentials in a URL's user info; nil if it is not UTF-8.
    init?(userInfo: String, _ scheme: HTTPAuthentication.PasswordScheme) {
        let parts = userInfo.utf8.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
        guard let user = PercentEncoding.decoded(parts[0]),
            let password = parts.count > 1 ? PercentEncoding.decoded(parts[1]) : ""
        else {
            return nil
        }
        self = .password(user, password, scheme)
    }
}
