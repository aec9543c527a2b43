// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// For what needs no speed, in a release of h2get. Packages that depend on this one must not see flags.
let small: [SwiftSetting] = Context.environment["H2_RELEASE"] == nil ? [] : [.unsafeFlags(["-Osize"])]

let httpTypes: Target.Dependency = .product(name: "HTTPTypes", package: "swift-http-types")

let histogram: Target.Dependency = .product(name: "Histogram", package: "hdrhistogram-swift")

let package = Package(
    name: "H2Client",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "H2Client", targets: ["H2Client"]),
        .library(name: "H2ClientJSON", targets: ["H2ClientJSON"]),
        .library(name: "H2ClientTesting", targets: ["H2ClientTesting"]),
        .executable(name: "h2get", targets: ["h2get"]),
    ],
    // Without a trait the library does without what it names.
    traits: [
        .default(enabledTraits: ["Brotli", "PublicSuffixes", "Zlib", "Zstd"]),
        .trait(name: "Brotli", description: "The content coding br, by libbrotlidec and libbrotlienc"),
        .trait(name: "PublicSuffixes", description: "Cookies checked against the public suffix list, by libpsl"),
        .trait(name: "Zlib", description: "The content codings gzip and deflate, by zlib"),
        .trait(name: "Zstd", description: "The content coding zstd, by libzstd"),
    ],
    dependencies: [
        // No traits: one of them brings FoundationEssentials into every binary, for HTTPRequest(url:), which is not used here.
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0", traits: []),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        .systemLibrary(
            name: "CLibnghttp2", pkgConfig: "libnghttp2",
            providers: [.apt(["libnghttp2-dev"]), .brew(["nghttp2"])]),
        .systemLibrary(
            name: "COpenSSL", pkgConfig: "openssl",
            providers: [.apt(["libssl-dev"]), .brew(["openssl@3"])]),
        .target(name: "CNghttp2", dependencies: ["CLibnghttp2", "COpenSSL"]),
        .target(name: "CYAML"),
        .target(name: "H2Platform", swiftSettings: strict),
        .systemLibrary(
            name: "CBrotli", pkgConfig: "libbrotlienc", providers: [.apt(["libbrotli-dev"]), .brew(["brotli"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"]), .brew(["zstd"])]),
        .target(
            name: "H2Client",
            dependencies: [
                "CNghttp2", "H2Platform", httpTypes,
                .target(name: "CBrotli", condition: .when(traits: ["Brotli"])),
                .target(name: "CZlib", condition: .when(traits: ["Zlib"])),
                .target(name: "CZstd", condition: .when(traits: ["Zstd"])),
            ],
            swiftSettings: strict),
        .target(name: "H2ClientJSON", dependencies: ["H2Client", httpTypes], swiftSettings: strict),
        .target(
            name: "H2ClientTesting", dependencies: ["CNghttp2", "H2Client", "H2Platform", httpTypes],
            swiftSettings: strict),
        .target(
            name: "H2Measure", dependencies: ["CYAML", "CZlib", "H2Client", "H2Platform", histogram, httpTypes],
            swiftSettings: strict + small),
        .executableTarget(
            name: "h2get",
            dependencies: [
                "H2Client", "H2Measure", "H2ClientTesting", "H2Platform", httpTypes,
            ],
            swiftSettings: strict + small),
        .executableTarget(
            name: "h2bench", dependencies: ["H2Client", "H2Platform", httpTypes], path: "Benchmarks/h2bench",
            swiftSettings: strict),
        .target(
            name: "H2TestSupport", dependencies: ["CNghttp2", "H2Client", "H2ClientTesting", "H2Platform", httpTypes],
            path: "Tests/H2TestSupport", swiftSettings: strict),
        .testTarget(
            name: "H2ClientTests",
            dependencies: ["CNghttp2", "H2Client", "H2ClientTesting", "H2Platform", "H2TestSupport", httpTypes],
            swiftSettings: strict),
        .testTarget(
            name: "H2ClientTestingTests",
            dependencies: ["CNghttp2", "H2Client", "H2ClientTesting", "H2Platform", "H2TestSupport", httpTypes],
            swiftSettings: strict),
        .testTarget(
            name: "ClientGuideTests",
            dependencies: [
                "H2Client", "H2ClientJSON", "H2ClientTesting", "H2Platform", "H2TestSupport", httpTypes,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "SimulationTests", dependencies: ["CNghttp2", "H2Client", "H2Platform", "H2TestSupport", httpTypes],
            swiftSettings: strict),
        .testTarget(
            name: "IntegrationTests",
            dependencies: ["H2Client", "H2ClientJSON", "H2ClientTesting", "H2Platform", "H2TestSupport", httpTypes],
            swiftSettings: strict),
        .testTarget(
            name: "H2MeasureTests",
            dependencies: [
                "CZlib", "H2Client", "H2Measure", "H2ClientTesting", "H2Platform", "H2TestSupport", histogram,
                httpTypes,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "h2getTests",
            dependencies: ["h2get", "H2Client", "H2ClientTesting", "H2Platform", "H2TestSupport", httpTypes],
            swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .gnu17
)

// The fuzzers need a runtime that not every toolchain has. `Scripts/sanitize fuzz` builds them.
if Context.environment["H2_FUZZ"] != nil {
    package.targets += [
        .target(name: "CFuzzer", path: "Fuzz/CFuzzer"),
        .executableTarget(
            name: "h2fuzz", dependencies: ["CFuzzer", "H2Client", "H2Platform", httpTypes], path: "Fuzz/h2fuzz",
            swiftSettings: strict
        ),
    ]
}
