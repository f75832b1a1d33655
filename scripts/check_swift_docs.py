"""Every public Swift symbol says what it is and what it throws, and the catalogue's front page has a place for every type:
check_swift_docs.py SYMBOLS.json ... prints those that lack it, and exits 1 when there are some.
"""

import json
import sys
from pathlib import Path

FRONT = Path(__file__).resolve().parents[1] / "Sources" / "MaxLinear" / "MaxLinear.docc" / "MaxLinear.md"
#: Characters of a comment that says something.
LEAST = 12


def lacking(symbol):
    """What is missing in a symbol's comment; None when nothing is."""
    # Without a place the compiler made it.
    if "location" not in symbol:
        return None
    comment = " ".join(line["text"] for line in symbol.get("docComment", {"lines": []})["lines"]).strip()
    if len(comment) < LEAST:
        return f"its comment is {comment!r}"
    throws = any(part["spelling"] == "throws" for part in symbol["declarationFragments"])
    is_type = symbol["kind"]["identifier"] in ("swift.typealias", "swift.class", "swift.struct")
    if throws and not is_type and "throw" not in comment.lower() and "error" not in comment.lower():
        return "its comment does not say what it throws"
    if len(symbol["pathComponents"]) == 1 and f"- ``{symbol['pathComponents'][0]}``" not in FRONT.read_text():
        return f"{FRONT.name} does not list it"
    return None


def main():
    found = []
    for path in map(Path, sys.argv[1:]):
        for symbol in json.loads(path.read_text())["symbols"]:
            missing = lacking(symbol)
            if missing is not None:
                place = symbol["location"]
                file = place["uri"].rsplit("/", 1)[-1]
                found.append(f"{file}:{place['position']['line'] + 1}: {'.'.join(symbol['pathComponents'])}: {missing}")
    print("\n".join(sorted(found)) or "every public symbol is documented", file=sys.stderr if found else sys.stdout)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
