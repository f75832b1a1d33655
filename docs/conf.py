"""The site of `make docs`: README.md is its front page, the rest of docs/ follows, then the C headers, the Python package and the Swift module."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "bindings" / "python" / "src"))

project = "maxlinear"
html_title = "maxlinear"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["images"]
html_theme = "furo"
html_show_sourcelink = False
html_show_copyright = False
myst_heading_anchors = 3
default_role = "code"
smartquotes = False
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_typehints = "signature"
napoleon_use_rtype = False

LINK = re.compile(r"(\[[^\]\n]*\])\((?!https?:|#)([^)\s#]+)(#[^)\s]*)?\)")
FENCED = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)


def linked(text, folder):
    """The text with its links as the site has them: pages to pages, headers to the C reference, other files and folders of the repository as text."""

    def replace(match):
        label, target, anchor = match.group(1), match.group(2), match.group(3) or ""
        path = (folder / target).resolve()
        if path == ROOT / "README.md":
            return f"{label}(/index.md{anchor})"
        if path.is_relative_to(ROOT / "docs"):
            return f"{label}(/{path.relative_to(ROOT / 'docs')}{anchor})"
        if path.is_relative_to(ROOT / "include"):
            return f"{label}(/api/c.md)"
        if not path.exists():
            # Left as it is, so that the build fails.
            return match.group(0)
        return label[1:-1]

    parts = FENCED.split(text)
    return "".join(part if part.startswith("```") else LINK.sub(replace, part) for part in parts)


def read(app, name, source):
    """README.md in front of the index, and links."""
    if name == "index":
        source[0] = linked((ROOT / "README.md").read_text(encoding="utf-8"), ROOT) + "\n" + source[0]
    elif (ROOT / "docs" / f"{name}.md").exists():
        source[0] = linked(source[0], (ROOT / "docs" / name).parent)


def setup(app):
    app.connect("source-read", read)
