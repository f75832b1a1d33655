// swift-tools-version: 6.2
import PackageDescription

let maxLinear = Target.Dependency.product(name: "MaxLinear", package: "maxlinear")

let package = Package(
  name: "examples",
  dependencies: [.package(name: "maxlinear", path: "../..")],
  targets: [
    .executableTarget(name: "linear", dependencies: [maxLinear]),
    .executableTarget(name: "mlp", dependencies: [maxLinear]),
    .executableTarget(name: "tasks", dependencies: [maxLinear]),
    .executableTarget(name: "ranks", dependencies: [maxLinear]),
  ],
  swiftLanguageModes: [.v6]
)
