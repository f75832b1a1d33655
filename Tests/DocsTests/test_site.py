"""The site of `make docs`: it builds without a warning, all of its links lead somewhere, and nothing of it comes from elsewhere."""

import importlib
import pkgutil
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import maxlinear

ROOT = Path(__file__).resolve().parents[2]


class Page(HTMLParser):
    """What a page refers to, and the places in it."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loaded, self.places = [], [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.places |= {attributes[key] for key in ("id", "name") if attributes.get(key)}
        for key in ("href", "src", "srcset"):
            if attributes.get(key):
                self.links.append(attributes[key])
                if tag != "a":
                    self.loaded.append(attributes[key])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-d",
        folder / "pages",
        "docs",
        folder / "html",
    ]
    result = subprocess.run(list(map(str, command)), cwd=ROOT, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder / "html"


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in site.rglob("*.html")}


def test_every_page_is_there(site):
    written = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert written <= {path.stem for path in site.glob("*.html")}
    assert {path.stem for path in (site / "api").glob("*.html")} == {"c", "python", "swift"}


def test_links_lead_somewhere(site, pages):
    checked = 0
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            # The Swift reference has a build of its own.
            if parts.scheme or parts.netloc or parts.path.startswith("../swift/"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_relative_to(site) and target.exists(), f"{path.name}: {link}"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].places, f"{path.name}: {link}"
            checked += 1
    assert checked > 500


def test_nothing_is_loaded_from_elsewhere(site, pages):
    for path, page in pages.items():
        assert not [link for link in page.loaded if urlsplit(link).netloc], path.name
    for path in site.rglob("*.css"):
        assert "url(http" not in path.read_text(encoding="utf-8").replace('url("', "url("), path.name


def test_c_reference_is_whole(site):
    text = re.sub(r"<[^>]+>", "", (site / "api" / "c.html").read_text(encoding="utf-8"))
    for header in sorted((ROOT / "include").rglob("*.h*")):
        assert header.name in text
    functions = re.findall(r"\b(mxl_\w+)\(", (ROOT / "abi" / "symbols.txt").read_text())
    assert len(functions) > 30
    for function in functions:
        assert f"{function}(" in text, function


def test_python_reference_is_whole(site):
    """Every public name of every public module."""
    text = (site / "api" / "python.html").read_text(encoding="utf-8")
    names = []
    for _, module, _ in pkgutil.walk_packages(maxlinear.__path__, "maxlinear."):
        if "._" not in module:
            names += [
                getattr(importlib.import_module(module), name)
                for name in getattr(importlib.import_module(module), "__all__", [])
            ]
    names += [getattr(maxlinear, name) for name in maxlinear.__all__ if not name.startswith("__")]
    of_library = {value for value in names if getattr(value, "__module__", "").startswith("maxlinear")}
    assert len(of_library) > 30
    for value in of_library:
        places = [f'id="{module}.{value.__name__}"' for module in (value.__module__, "maxlinear")]
        assert any(place in text for place in places), value
