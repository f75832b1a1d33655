"""Where these tests find how C is built and run against the library."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "CTests"))
