// swift-tools-version: 6.3
import PackageDescription

let package = Package(
    name: "training-loop",
    dependencies: [.package(name: "swiftlet", path: "../..")],
    targets: [
        .executableTarget(
            name: "training-loop", dependencies: [.product(name: "Swiftlet", package: "swiftlet")], path: "Sources")
    ],
    swiftLanguageModes: [.v6]
)
