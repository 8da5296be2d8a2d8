// swift-tools-version: 6.3
import PackageDescription

// The CPU that Kernels is compiled for: `native` (this machine, the default), or a name that the compiler knows,
// such as x86-64-v4, when the executable must also run on other machines of a cluster. SwiftPM takes such flags from a
// dependency too, of any kind, since its version 6.2.
let cpu = Context.environment["SWIFTLET_CPU"] ?? "native"

let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]

// Kernels holds every inner loop: full-width vectors, and optimised as a whole in debug builds too, where its loops would
// be a hundred times slower.
let kernelSettings: [SwiftSetting] =
    strict + [
        .unsafeFlags(["-Xcc", "-march=\(cpu)"]),
        .unsafeFlags(["-O", "-whole-module-optimization", "-num-threads", "2"], .when(configuration: .debug)),
    ]

// What `swiftlet --version` says; `make build` knows the commit.
let buildFacts: [CSetting] = [
    .define("SWIFTLET_CPU", to: "\"\(cpu)\""),
    .define("SWIFTLET_COMMIT", to: "\"\(Context.environment["SWIFTLET_COMMIT"] ?? "")\""),
]

func library(_ name: String, _ dependencies: [Target.Dependency], settings: [SwiftSetting] = strict) -> Target {
    .target(name: name, dependencies: dependencies, exclude: ["README.md"], swiftSettings: settings)
}

func libraryProduct(_ name: String, _ targets: [String]) -> Product { Product.library(name: name, targets: targets) }

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(
        name: name, dependencies: dependencies + ["Basics", "TestSupport"], exclude: exclude, swiftSettings: strict)
}

let package = Package(
    name: "swiftlet",
    products: [
        .executable(name: "swiftlet", targets: ["swiftlet"]),
        libraryProduct("Swiftlet", ["SwiftletTraining", "SwiftletTokenizer"]),
        libraryProduct("SwiftletTokenizer", ["SwiftletTokenizer"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-system", exact: "1.8.1"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    ],
    targets: [
        // System libraries and the one C target.
        .systemLibrary(name: "COpenMPI", pkgConfig: "ompi-c", providers: [.apt(["libopenmpi-dev"])]),
        .systemLibrary(name: "COneDNN", providers: [.apt(["libdnnl-dev"])]),
        .systemLibrary(name: "CLibcrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CLinux"),
        .systemLibrary(name: "CInstructions"),
        .target(
            name: "CMPI", dependencies: ["COpenMPI"], exclude: ["README.md"],
            cSettings: [.unsafeFlags(["-Wall", "-Wextra", "-Werror"])]),
        .target(name: "CBuild", exclude: ["README.md"], cSettings: buildFacts),

        // Bottom to top: a module imports only modules that stand before it in this list.
        library("Basics", ["CLinux", "CLibcrypto", .product(name: "SystemPackage", package: "swift-system")]),
        library("Collectives", ["Basics"]),
        library("MPICollectives", ["Collectives", "Basics", "CMPI"]),
        library("Watchdog", ["Collectives", "Basics"]),
        library("Kernels", ["Basics", "COneDNN", "CInstructions"], settings: kernelSettings),
        library("TokenData", ["Basics"]),
        library("SwiftletTokenizer", ["TokenData", "Basics"]),
        library("Optimization", ["Kernels", "Basics"]),
        library("Transformer", ["Kernels", "Basics"]),
        library("Checkpointing", ["Transformer", "Optimization", "Basics"]),
        library("DataParallel", ["Collectives", "Kernels", "Basics"]),
        library(
            "Training",
            [
                "DataParallel", "Checkpointing", "Transformer", "Optimization", "TokenData", "Kernels", "Collectives",
                "Basics",
            ]),
        .target(
            name: "RunReports", dependencies: ["Checkpointing", "Basics"], exclude: ["README.md"],
            // The page's template, style and script: part of the executable, so that it stays one file.
            resources: [.embedInCode("Resources")], swiftSettings: strict),
        library(
            "SwiftletTraining",
            [
                "Training", "SwiftletTokenizer", "Checkpointing", "Optimization", "Watchdog", "MPICollectives",
                "Collectives", "Basics",
            ]),
        .executableTarget(
            name: "swiftlet",
            dependencies: [
                "RunReports", "Training", "DataParallel", "Checkpointing", "Transformer", "Optimization", "TokenData",
                "Kernels", "Watchdog", "MPICollectives", "Collectives", "Basics", "CBuild",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Yams", package: "Yams"),
            ],
            exclude: ["README.md"],
            swiftSettings: strict),

        // Tests mirror Sources. Two programs of theirs: `collectives-check` runs under mpirun, `allocation-check` counts
        // what a training step allocates.
        .target(
            name: "TestSupport", dependencies: ["Checkpointing", "Collectives", "Kernels", "Basics"],
            path: "Tests/TestSupport",
            swiftSettings: strict),
        .executableTarget(
            name: "collectives-check",
            dependencies: [
                "CMPI", "MPICollectives", "Collectives", "DataParallel", "Kernels", "Basics", "TestSupport",
            ],
            path: "Tests/collectives-check", swiftSettings: strict),
        .executableTarget(
            name: "allocation-check", dependencies: ["Training", "Kernels", "Collectives", "TestSupport"],
            path: "Tests/allocation-check", swiftSettings: strict,
            // Its allocation functions in place of glibc's, for shared libraries too. Swift reserves the name malloc.
            linkerSettings: [
                .unsafeFlags(["-Xlinker", "--export-dynamic", "-Xlinker", "--defsym=malloc=counting_malloc"])
            ]),
        // Also a package of its own, as a user would have it.
        .executableTarget(
            name: "training-loop-example", dependencies: ["SwiftletTraining", "SwiftletTokenizer"],
            path: "Examples/TrainingLoop/Sources", swiftSettings: strict),
        tests("BasicsTests", []),
        tests("CollectivesTests", ["Collectives"]),
        tests("MPICollectivesTests", ["MPICollectives", "Collectives", "collectives-check"]),
        tests("WatchdogTests", ["Watchdog", "Collectives"]),
        tests("KernelsTests", ["Kernels", "CInstructions"]),
        tests("TokenDataTests", ["TokenData"]),
        tests("OptimizationTests", ["Optimization", "Kernels"]),
        tests("TransformerTests", ["Transformer", "Kernels", "Checkpointing"], exclude: ["Fixtures"]),
        tests("CheckpointingTests", ["Checkpointing", "Transformer", "Optimization"]),
        tests("DataParallelTests", ["DataParallel", "Collectives", "Kernels"]),
        tests(
            "TrainingTests",
            [
                "Training", "DataParallel", "Checkpointing", "Transformer", "Optimization", "TokenData", "Kernels",
                "Collectives", "allocation-check",
            ]),
        tests("RunReportsTests", ["RunReports", "Checkpointing"]),
        tests("SwiftletTokenizerTests", ["SwiftletTokenizer"]),
        tests("SwiftletTrainingTests", ["SwiftletTraining", "SwiftletTokenizer"]),
        tests("EndToEndTests", ["swiftlet", "training-loop-example", "Training", "Checkpointing", "Kernels"]),
        tests("DocsTests", ["swiftlet", "Training", "Optimization", "TokenData"]),
        tests("LaunchTests", ["swiftlet"]),
    ],
    swiftLanguageModes: [.v6]
)
