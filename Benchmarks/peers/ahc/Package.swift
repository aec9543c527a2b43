// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that nobody who builds H2Client needs AsyncHTTPClient. Scripts/bench builds it where
// H2_BENCH_AHC=1 is set: it takes minutes. (Its folder must not be called async-http-client: SwiftPM would take the two for
// one package.)
let package = Package(
    name: "ahcbench",
    platforms: [.macOS(.v15)],
    dependencies: [.package(url: "https://github.com/swift-server/async-http-client", from: "1.30.0")],
    targets: [
        .executableTarget(
            name: "ahcbench", dependencies: [.product(name: "AsyncHTTPClient", package: "async-http-client")])
    ],
    swiftLanguageModes: [.v6]
)
