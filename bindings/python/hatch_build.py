"""What hatchling does not know: a wheel carries libmaxlinear.so, an sdist the sources that it is built from."""

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: What the Swift build reads: of the tests, because the manifest names them.
SOURCES = (
    "Package.swift",
    "Sources",
    "Tests/KernelChecks",
    "Tests/KernelTests",
    "Tests/MaxLinearTests",
    "abi/libmaxlinear.map",
    "include",
    "scripts/build-library",
    "scripts/swift",
)
SWIFT = (6, 2)


class Hook(BuildHookInterface):
    def initialize(self, version, build_data):
        root = Path(self.root)
        unpacked = root / "swift"
        sources = unpacked if unpacked.exists() else root.parent.parent
        if self.target_name == "sdist":
            self._add_sources(sources, build_data)
        else:
            library = self._library(sources)
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{re.sub('[-.]', '_', sysconfig.get_platform())}"
            # An editable install finds the library where it was built.
            if version != "editable":
                build_data["force_include"][str(library)] = "maxlinear/lib/libmaxlinear.so"

    def _add_sources(self, sources, build_data):
        include = build_data["force_include"]
        for path in [path for path in include if os.path.islink(path)]:
            include[os.path.realpath(path)] = include.pop(path)
        for name in SOURCES:
            include[str(sources / name)] = f"swift/{name}"

    def _library(self, sources):
        """The library that MAXLINEAR_LIBRARY names, else the one that is built now."""
        given = os.environ.get("MAXLINEAR_LIBRARY")
        if given:
            if not os.path.isfile(given):
                self.app.abort(f"MAXLINEAR_LIBRARY is {given}, which is no file")
            return Path(given).resolve()
        self._check_swift()
        library = sources / "build" / "lib" / "libmaxlinear.so"
        # An installer may have given the scripts other modes.
        if subprocess.run(["sh", "scripts/build-library", str(library)], cwd=sources, check=False).returncode != 0:
            self.app.abort(
                "maxlinear: the Swift build failed, see above. It needs LLVM's OpenMP runtime (Debian, Ubuntu: libomp-dev; where it is "
                "called libomp.so, set MAXLINEAR_OPENMP_LIBRARY=omp) and binutils."
            )
        return library

    def _check_swift(self):
        wanted = ".".join(map(str, SWIFT))
        otherwise = (
            f"maxlinear is built from Swift sources and needs a Swift toolchain of {wanted} or later on PATH "
            "(https://www.swift.org/install), or MAXLINEAR_LIBRARY, the path of a libmaxlinear.so"
        )
        if shutil.which("swift") is None:
            self.app.abort(f"{otherwise}. There is no `swift` here.")
        said = subprocess.run(["swift", "--version"], capture_output=True, text=True, check=False)
        found = re.search(r"Swift version (\d+)\.(\d+)", said.stdout + said.stderr)
        if found is None or tuple(map(int, found.groups())) < SWIFT:
            self.app.abort(f"{otherwise}. This is: {(said.stdout + said.stderr).strip()}")
