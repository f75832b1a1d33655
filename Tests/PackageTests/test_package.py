"""A Swift package that depends on a tagged clone of this one."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / "build" / "package-test"

MANIFEST = """// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "consumer",
  dependencies: [.package(url: "{url}", from: "0.1.0")],
  targets: [
    .executableTarget(name: "consumer", dependencies: [.product(name: "MaxLinear", package: "maxlinear")])
  ],
  swiftLanguageModes: [.v6]
)
"""

MAIN = """import MaxLinear

let layer = try LinearV2(inDim: 3, outDim: 2, dtype: .float32)
try layer.loadStateDict(["weight": Tensor([1, 2, 3, 4, 5, 6], shape: [2, 3])])
let prepared = try layer.prepared()
print(await fourAtOnce(prepared))
do {
  _ = try layer(Tensor([1, 2], shape: [2]))
} catch let error as MaxLinearError {
  print(error.status, error.message)
}

/// A prepared layer is Sendable: four tasks call it at once.
func fourAtOnce(_ layer: PreparedLayer) async -> [[Float]] {
  await withTaskGroup(of: [Float].self) { group in
    for _ in 0..<4 {
      group.addTask { (try? layer(Tensor([1, 1, 1], shape: [3])).floats()) ?? [] }
    }
    var results: [[Float]] = []
    for await result in group { results.append(result) }
    return results
  }
}
"""


def run(*command, **keywords):
    result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=900, **keywords)
    assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
    return result.stdout + result.stderr


def commit_of(repository):
    return run("git", "-C", str(repository), "rev-parse", "HEAD^{commit}").strip()


def start_anew(clone):
    """Nothing is left from another commit."""
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True)
    run("git", "clone", "-q", "--no-local", str(ROOT), str(clone))
    run("git", "-C", str(clone), "tag", "-f", "0.1.0")


def test_a_package_that_depends_on_a_tag():
    clone = PLACE / "maxlinear"
    consumer = PLACE / "consumer"
    program = consumer / ".build" / "debug" / "consumer"
    # Built anew where the commit is another one: minutes.
    if not program.exists() or commit_of(clone) != commit_of(ROOT):
        start_anew(clone)
    (consumer / "Sources" / "consumer").mkdir(parents=True, exist_ok=True)
    (consumer / "Package.swift").write_text(MANIFEST.format(url=clone.as_uri()))
    (consumer / "Sources" / "consumer" / "main.swift").write_text(MAIN)
    environment = {**os.environ, "SWIFTPM_DISABLE_CACHE": "1"}
    # SwiftPM writes down which commit a tag named; here, where each run may name another, that goes with the consumer.
    location = [
        "--package-path",
        str(consumer),
        "--disable-dependency-cache",
        "--security-path",
        str(PLACE / "security"),
    ]
    built = run("swift", "build", *location, env=environment)
    assert "warning:" not in built, built
    output = run(str(program))
    assert output.splitlines() == [
        "[[6.0, 15.0], [6.0, 15.0], [6.0, 15.0], [6.0, 15.0]]",
        "invalidShape x: last dimension is 2, expected in_dim = 3",
    ]
