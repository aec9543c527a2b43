// swift-tools-version: 6.2
import PackageDescription

// A package of its own, that uses H2Client as any other package would.
let h2client: Target.Dependency = .product(name: "H2Client", package: "H2Client")
let json: Target.Dependency = .product(name: "H2ClientJSON", package: "H2Client")
let testing: Target.Dependency = .product(name: "H2ClientTesting", package: "H2Client")
let httpTypes: Target.Dependency = .product(name: "HTTPTypes", package: "swift-http-types")

let package = Package(
    name: "Examples",
    platforms: [.macOS(.v15)],
    dependencies: [
        // Elsewhere: .package(url: "…", from: "…")
        .package(name: "H2Client", path: ".."),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    ],
    targets: [
        .executableTarget(name: "ParallelFetch", dependencies: [h2client, httpTypes]),
        .executableTarget(name: "StreamingUpload", dependencies: [h2client, httpTypes]),
        .executableTarget(name: "DownloadWithCancellation", dependencies: [h2client, httpTypes]),
        .executableTarget(name: "WaysOfReuse", dependencies: [h2client, httpTypes]),
        .executableTarget(name: "TestingYourCode", dependencies: [h2client, testing, httpTypes]),
        .executableTarget(name: "ServiceClient", dependencies: [h2client, json, testing, httpTypes]),
        // The programs of README.md and docs/library.md, word for word.
        .executableTarget(name: "Readme", dependencies: [h2client]),
        .executableTarget(name: "GuideClient", dependencies: [h2client]),
        .executableTarget(name: "GuideConnection", dependencies: [h2client, httpTypes]),
    ],
    swiftLanguageModes: [.v6]
)
