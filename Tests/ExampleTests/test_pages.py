"""Code on the pages: README.md, bindings/python/README.md and docs/*.md.

A fenced block in a language is either to the letter in an example or a plugin, its lines in their order, or, in Python and sh, part of a program:
the blocks of a section (##), in their order, are run in a folder that has include/, examples/ and plugins/. So what a page claims, it asserts.
"""

import importlib.util
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "bindings" / "python" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
#: Where a language's blocks may come from.
SOURCES = {
    "c": ["examples/c/*.c", "plugins/*/*.[ch]"],
    "cpp": ["examples/cpp/*.cpp"],
    "swift": ["examples/swift/Sources/*/*.swift"],
    "python": ["examples/python/*.py"],
    "cmake": ["examples/c/CMakeLists.txt"],
    "sh": [],
}


def sections(page):
    """The text of each section, by its heading."""
    parts = re.split(r"^## (.*)$", page.read_text(), flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def blocks(text):
    """Language and code of the fenced blocks."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [(language, code) for language, code in found if language in SOURCES]


def first_missing(lines, source):
    """The first line that does not follow the ones before it; None when all do."""
    position = 0
    for line in lines:
        found = source.find(line, position)
        if found < 0:
            return line
        position = found + len(line)
    return None


def missing_in_examples(language, code):
    """For each example the first line of the block that is not in its place there; None where the block is a part of the example."""
    lines = [line.strip() for line in code.splitlines() if line.strip() not in ("", "...", "// ...", "# ...")]
    files = [path for pattern in SOURCES[language] for path in sorted(ROOT.glob(pattern))]
    return {str(path.relative_to(ROOT)): first_missing(lines, path.read_text()) for path in files}


def is_run(language, code):
    return language in ("python", "sh") and None not in missing_in_examples(language, code).values()


FROM_EXAMPLES, PROGRAMS = [], []
for page in PAGES:
    name = str(page.relative_to(ROOT))
    for heading, text in sections(page).items():
        found = blocks(text)
        shown = [block for block in found if not is_run(*block)]
        FROM_EXAMPLES += [pytest.param(*block, id=f"{name}-{heading}-{i}") for i, block in enumerate(shown)]
        program = [block for block in found if is_run(*block)]
        if program:
            PROGRAMS.append(pytest.param(program, id=f"{name}-{heading}"))


@pytest.mark.parametrize(("language", "code"), FROM_EXAMPLES)
def test_block_is_in_an_example(language, code):
    missing = missing_in_examples(language, code)
    assert None in missing.values(), f"not in the {language} examples, or not in this order: {missing}"


@pytest.mark.parametrize("program", PROGRAMS)
def test_section_works_as_it_says(program, tmp_path):
    text = "".join(code for _, code in program)
    if "import torch" in text and importlib.util.find_spec("torch") is None:
        pytest.skip("needs torch, which `make test` does not install")
    if "avx2" in text and platform.machine() != "x86_64":
        pytest.skip("is for x86-64")
    for name in ("include", "plugins", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "bindings" / "python" / "src")}
    environment.setdefault("MAXLINEAR_LIBRARY", str(ROOT / "build" / "lib" / "libmaxlinear.so"))
    for language, code in program:
        if language == "sh":
            run(["sh", "-ec", code], tmp_path, environment)
    python = "\n".join(code for language, code in program if language == "python")
    run([sys.executable, "-c", python], tmp_path, environment)


def run(command, folder, environment):
    result = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=300, cwd=folder, env=environment
    )
    assert result.returncode == 0, f"{command[-1]}\n{result.stdout}{result.stderr}"


def test_readme_shows_every_language():
    shown = {language for language, _ in blocks((ROOT / "README.md").read_text())}
    assert shown >= {"c", "cpp", "swift", "python"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_paths_exist(page):
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for path in re.findall(r"\]\((?!http)([^)#]+)(?:#[^)]*)?\)", prose):
        assert (page.parent / path).exists(), f"{page.name} links to {path}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_make_targets_exist(page):
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"`make ([a-z-]+)", page.read_text())):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page.name} names make {target}"
