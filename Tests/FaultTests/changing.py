"""What becomes of layers whose file changes while it is mapped: `changing.py FILE WHEN CHANGE` prints what each call said.

A process of its own, which a SIGBUS may end. WHEN is the last call before the file changes."""

import os
import sys

import numpy as np

import maxlinear
from maxlinear.dtype import DType
from maxlinear.graph.weights import load_weights
from maxlinear.nn.linear import LinearV2


def change(path, how):
    if how == "truncated":
        os.truncate(path, 4096)
    elif how == "emptied":
        os.truncate(path, 0)
    elif how == "grown":
        with open(path, "ab") as file:
            file.write(b" ")
    elif how == "written":
        before = os.stat(path).st_mtime_ns
        with open(path, "r+b") as file:
            file.seek(-4, os.SEEK_END)
            file.write(b"\0\0\0\0")
        # A clock may tick less often than files change.
        os.utime(path, ns=(before + 1, before + 1))
    elif how == "renamed over":
        with open(path + ".new", "wb") as file:
            file.write(b"another file")
        os.rename(path + ".new", path)
    elif how == "removed":
        os.remove(path)
    elif how == "made unreadable":
        os.chmod(path, 0)


def main():
    path, when, how = sys.argv[1:]
    dtype = DType.bfloat16 if when == "convert" else DType.float32
    pack = "never" if when == "prepare without packing" else "always"
    weights = load_weights(path)
    layer = LinearV2(256, 512, dtype)
    x, y = np.ones((2, 256), np.float32), np.full((2, 512), np.nan, np.float32)

    def say(name, call):
        try:
            call()
            print(f"{name}: done")
        except maxlinear.Error as error:
            print(f"{name}: {type(error).__name__} {error}")

    def forward():
        layer(x, out=y)
        np.save(path + ".npy", y)

    steps = [
        ("load", lambda: layer.load_state_dict({"weight": weights["weight"].data()})),
        ("prepare", lambda: layer.prepare(pack=pack)),
        ("forward", forward),
    ]
    last = {"open": 0, "convert": 0, "load": 1}.get(when, 2)
    for name, call in steps[:last]:
        say(name, call)
    held = layer.memory() if last else None
    change(path, how)
    for name, call in steps[last:]:
        say(name, call)
        if last == 1 and name == "prepare":
            print("held:", "the same" if layer.memory() == held else "other")
    if not os.path.exists(path + ".npy"):
        print("y:", "untouched" if np.isnan(y).all() else "touched")


if __name__ == "__main__":
    main()
