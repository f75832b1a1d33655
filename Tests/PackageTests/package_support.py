"""Clean environments for Python packages: nothing of this checkout, of a Swift toolchain or of MAXLINEAR_LIBRARY."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON_PACKAGE = ROOT / "bindings" / "python"
WHEELHOUSE = ROOT / "build" / "wheelhouse"
TOOLS = Path(sys.executable).parent
PLAIN = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def run(*command, environment=PLAIN, timeout=300, **keywords):
    """What the command says; fails the test with it when the command fails."""
    result = attempt(*command, environment=environment, timeout=timeout, **keywords)
    assert result.returncode == 0, f"{' '.join(map(str, command))}\n{result.stdout}{result.stderr}"
    return result.stdout


def attempt(*command, environment=PLAIN, timeout=300, **keywords):
    words = [str(word) for word in command]
    return subprocess.run(
        words, check=False, capture_output=True, text=True, timeout=timeout, env=environment, **keywords
    )


def clean_environment(folder):
    """A virtual environment's Python."""
    run(sys.executable, "-m", "venv", folder)
    return folder / "bin" / "python"


def install(python, what):
    run(python, "-m", "pip", "install", "-q", "--no-index", "--find-links", WHEELHOUSE, what)
