// swift-tools-version: 6.2
// 6.2 or later: below it SwiftPM refuses unsafeFlags in a dependency that is imported by a tag.
import Foundation
import PackageDescription

/// Debian and Ubuntu name LLVM's OpenMP runtime libomp5.so; elsewhere set MAXLINEAR_OPENMP_LIBRARY=omp.
let openMP = Context.environment["MAXLINEAR_OPENMP_LIBRARY"] ?? "omp5"
let root = Context.packageDirectory

/// Files under build/ would be looked at by each build; a folder that is not there must not be named.
let products = FileManager.default.fileExists(atPath: "\(root)/build") ? ["build"] : []

let package = Package(
  name: "maxlinear",
  products: [
    .library(name: "MaxLinear", targets: ["MaxLinear"]),
    .library(name: "maxlinear", type: .dynamic, targets: ["MaxLinearDylib"]),
    .executable(name: "maxlinear-cli", targets: ["maxlinear-cli"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0")
  ],
  targets: [
    .target(
      name: "CMaxLinear", path: ".", exclude: products, sources: ["Sources/CMaxLinear"], publicHeadersPath: "include",
      cSettings: [.unsafeFlags(["-Wall", "-Wextra", "-std=c11"])]),
    .target(name: "CHandles", dependencies: ["CMaxLinear"]),
    .target(
      name: "Kernels", dependencies: ["CMaxLinear"],
      cSettings: [
        .headerSearchPath("."),
        .unsafeFlags([
          "-O3", "-std=c11", "-fopenmp", "-ffp-contract=off", "-fno-math-errno", "-falign-loops=32", "-Wall", "-Wextra",
        ]),
      ],
      linkerSettings: [.linkedLibrary(openMP), .linkedLibrary("m", .when(platforms: [.linux]))]),
    .target(name: "MaxLinear", dependencies: ["CMaxLinear", "Kernels"]),
    .target(name: "MaxLinearC", dependencies: ["CHandles", "MaxLinear"]),
    .target(
      name: "MaxLinearDylib", dependencies: ["MaxLinearC"],
      linkerSettings: [
        .unsafeFlags(
          [
            // gold leaves local Swift symbols in the dynamic table.
            "-static-stdlib", "-use-ld=lld", "-Xlinker", "--version-script=\(root)/abi/libmaxlinear.map",
            "-Xlinker", "-soname", "-Xlinker", "libmaxlinear.so.0", "-Xlinker", "-z", "-Xlinker", "nodelete",
          ], .when(platforms: [.linux]))
      ]),
    .executableTarget(
      name: "maxlinear-cli",
      dependencies: ["Ceilings", "MaxLinear", .product(name: "ArgumentParser", package: "swift-argument-parser")]),
    .target(
      name: "Ceilings", cSettings: [.unsafeFlags(["-O3", "-std=c11", "-ffp-contract=off", "-Wall", "-Wextra"])]),
    .testTarget(name: "MaxLinearTests", dependencies: ["CHandles", "MaxLinear", "MaxLinearC", "Kernels"]),
    .target(
      name: "KernelChecks", dependencies: ["Kernels"], path: "Tests/KernelChecks",
      cSettings: [
        .headerSearchPath("../../Sources/Kernels"),
        .unsafeFlags(["-O3", "-std=c11", "-ffp-contract=off", "-fno-math-errno", "-Wall", "-Wextra"]),
      ]),
    .testTarget(name: "KernelTests", dependencies: ["Kernels", "KernelChecks"]),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c11
)
