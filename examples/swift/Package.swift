// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "linear-example",
  dependencies: [.package(name: "maxlinear", path: "../..")],
  targets: [
    .executableTarget(name: "linear", dependencies: [.product(name: "MaxLinear", package: "maxlinear")])
  ],
  swiftLanguageModes: [.v6]
)
