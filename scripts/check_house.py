"""The house rules that no formatter knows: `check_house.py` prints each breach and exits 1 when there is one."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CODE = (".swift", ".c", ".h", ".cpp", ".hpp", ".py")
MOST_LINES = 500
MOST_BINARY_BYTES = 512 << 10

#: What input could reach inside the library must not trap, abort or print.
TRAPS = re.compile(
    r"\btry!|\bas!|\bfatalError\(|\bprecondition\(|\bpreconditionFailure\(|\bassert(ionFailure)?\(|"
    r"\babort\(|\bexit\(|\bprintf\(|\bfputs\(|\bprint\("
)
#: Nor write to where a host program's user looks, but for one file, where that user asks for it.
WRITES = re.compile(r"\bSTD(OUT|ERR)_FILENO\b|\bstd(out|err)\b|\bv?dprintf\(|\bsyslog\(")
WRITER = Path("Sources/Kernels/trace.c")
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


def tracked():
    output = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [Path(name) for name in output.split("\0") if name and (ROOT / name).is_file()]


def unreasoned(text):
    """The lines that keep the compiler from checking Sendable and do not say why."""
    lines = text.splitlines()
    for index, line in enumerate(lines):
        if "@unchecked Sendable" in COMMENT.sub("", line):
            above = index
            while above > 0 and lines[above - 1].lstrip().startswith(("///", "@")):
                above -= 1
            if "Unchecked: " not in "\n".join(lines[above:index]):
                yield index + 1


def breaches(path):
    """What is wrong with one file."""
    data = (ROOT / path).read_bytes()
    if b"\0" in data:
        is_image = path.parent == Path("docs/images") and path.suffix == ".png"
        is_expected = is_image or str(path).startswith(("Tests/Golden/", "Tests/CTests/abi-v"))
        if not is_expected or len(data) > MOST_BINARY_BYTES:
            yield "a binary file"
        return
    text = data.decode()
    if path.suffix in CODE and text.count("\n") > MOST_LINES:
        yield f"{text.count(chr(10))} lines, more than {MOST_LINES}"
    for number, line in enumerate(text.splitlines(), 1):
        if line != line.rstrip():
            yield f"line {number}: trailing white space"
        if "\t" in line and path.name != "Makefile":
            yield f"line {number}: a tab"
        if path.suffix in CODE and len(line) > 160:
            yield f"line {number}: {len(line)} characters"
    if text and not text.endswith("\n"):
        yield "no newline at the end"
    if path.suffix == ".swift":
        for number in unreasoned(text):
            yield f"line {number}: unchecked Sendable without a comment above that begins its reason with Unchecked:"
    if path.parts[0] == "Sources" and path.parts[1] != "maxlinear-cli" and path.suffix in CODE:
        code = COMMENT.sub(lambda match: "\n" * match.group().count("\n"), text)
        for number, line in enumerate(code.splitlines(), 1):
            if TRAPS.search(line):
                yield f"line {number}: may trap, abort or print: {line.strip()}"
            if WRITES.search(line) and path != WRITER:
                yield f"line {number}: writes to a standard stream: {line.strip()}"
            if "#pragma omp" in line and path.name != "parallel.c":
                yield f"line {number}: OpenMP outside parallel.c"


def main():
    found = [f"{path}: {breach}" for path in tracked() for breach in breaches(path)]
    print("\n".join(found) if found else "the house is in order")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
