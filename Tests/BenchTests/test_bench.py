"""`maxlinear bench` times every encoding and the machine; Benchmarks/ turns such figures into tables."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import gguf
import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRATCH = ROOT / "build" / "test"
ENCODINGS = ["f32", "bf16", "Q4_0", "Q4_K", "Q5_K", "Q6_K", "Q8_0", "GPTQ-sym", "GPTQ-asym", "GPTQ-act-order"]
SMALL = ["--k", "512", "--n", "512", "--seconds", "0.01", "--rotate", "0", "--json"]
BYTES = {"f32": 4, "bf16": 2, "Q4_0": 18 / 32, "Q4_K": 144 / 256, "Q5_K": 176 / 256, "Q6_K": 210 / 256, "Q8_0": 34 / 32}
BYTES |= {"GPTQ-sym": 0.5 + 2 / 128, "GPTQ-act-order": 0.5 + 2 / 128, "GPTQ-asym": 0.5 + 2.5 / 128}


@pytest.fixture(scope="session")
def command():
    """The command as `swift test` has built it: this only brings it up to date."""
    build = [str(ROOT / "scripts" / "swift"), str(SCRATCH), "build", "--product", "maxlinear-cli"]
    result = subprocess.run(build, cwd=ROOT, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return str(SCRATCH / "debug" / "maxlinear-cli")


def lines(command, *arguments, **keywords):
    result = subprocess.run(
        [command, "bench", *arguments], check=False, capture_output=True, text=True, timeout=300, **keywords
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("layer", ["linear", "mlp"])
def test_every_encoding(command, layer):
    found = lines(command, "--m", "1,4", "--layer", layer, "--encoding", "all", *SMALL)
    assert [(line["encoding"], line["M"]) for line in found] == [(name, rows) for name in ENCODINGS for rows in (1, 4)]
    weights = 512 * 512 * (1 if layer == "linear" else 3)
    for line in found:
        assert (line["layer"], line["K"], line["N"], line["pack"]) == (layer, 512, 512, "always")
        assert line["calls"] >= 1 and line["threads"] >= 1
        assert 0 < line["seconds_10"] <= line["seconds"] <= line["seconds_90"] < 60
        assert line["gflops"] == pytest.approx(2e-9 * line["M"] * weights / line["seconds"])
        assert line["weight_gbs"] == pytest.approx(1e-9 * weights * BYTES[line["encoding"]] / line["seconds"])
        assert line["pack_gbs"] > 0
        kind = "gptq_128" if line["encoding"].startswith("GPTQ") else line["encoding"].lower()
        assert line["kernel"].startswith(f"mxlk_linear_{kind}_{'bf16' if kind == 'bf16' else ''}")


@pytest.mark.parametrize(
    "words",
    [
        ["--rotate", str(2**43 - 1)],
        ["--k", str(2**63 - 1), "--encoding", "GPTQ-sym"],
        ["--n", str(2**31)],
        ["--m", f"1,{2**63 - 1}"],
        ["--rotate=-1"],
        ["--k", "0"],
    ],
)
def test_sizes_beyond_reason_are_refused(command, words):
    result = subprocess.run([command, "bench", *words], check=False, capture_output=True, text=True, timeout=60)
    assert result.returncode == 64 and f"to {2**31 - 1}" in result.stderr, result.stderr


def test_never_packed(command):
    found = lines(command, "--m", "2", "--encoding", "all", "--pack", "never", *SMALL)
    assert [line["encoding"] for line in found] == ENCODINGS[:7]
    assert all(line["pack"] == "never" and "pack_gbs" not in line for line in found)


def formats():
    """ggml_type, weights and bytes of a block by name, as Benchmarks/ knows them."""
    return runpy.run_path(str(ROOT / "Benchmarks" / "peers" / "formats.py"))["BLOCKS"]


def test_formats_are_ggufs():
    for name, facts in formats().items():
        kind = gguf.GGMLQuantizationType[name]
        assert facts == (kind, *gguf.GGML_QUANT_SIZES[kind])


def test_encodings_beyond_all(command):
    """Every block encoding of the registry can be timed by its name, and Benchmarks/ knows it."""
    text = subprocess.run([command, "info", "--json"], check=True, capture_output=True, text=True).stdout
    known = [item["name"] for item in json.loads(text)["encodings"] if item["elements_per_block"] > 1]
    others = [name for name in known if not name.startswith("GPTQ") and name not in ENCODINGS]
    assert {"Q4_1", "Q5_0", "Q5_1", "IQ4_NL"} <= set(others) <= set(formats())
    found = lines(command, "--m", "2", "--encoding", ",".join(others), *SMALL)
    assert [line["encoding"] for line in found] == others
    for line in found:
        _, elements, size = formats()[line["encoding"]]
        assert line["kernel"].startswith(f"mxlk_linear_{line['encoding'].lower()}_")
        assert line["weight_gbs"] == pytest.approx(1e-9 * 512 * 512 * size / elements / line["seconds"])


def test_gptq_of_other_bits(command):
    found = lines(command, "--m", "2", "--encoding", "GPTQ-2,GPTQ-3,GPTQ-8", "--copies", "1", *SMALL)
    assert [line["encoding"] for line in found] == ["GPTQ-2", "GPTQ-3", "GPTQ-8"]
    for line in found:
        bits = int(line["encoding"][-1])
        # Codes of 3 bits are packed as those of 4.
        assert line["kernel"].startswith(f"mxlk_linear_gptq{'' if bits == 3 else bits}_128_")
        assert line["weight_gbs"] == pytest.approx(1e-9 * 512 * 512 * (bits + 16 / 128) / 8 / line["seconds"])


def test_requests(command):
    first, *found = lines(command, "--encoding", "Q4_K", "--requests", *SMALL, input="4 0.01\n1 0.02\n")
    assert first["ready"] and first["peer"].startswith("maxlinear ")
    assert [line["M"] for line in found] == [4, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--encoding", "Q9"], "invalid for '--encoding"),
        (["--m", "0"], "must be 1 to 2147483647"),
        (["--encoding", "Q4_K", "--k", "500"], "expected a multiple of Q4_K's 256"),
        (["--requests"], "one layer and one encoding"),
        (["--copies", "0"], "copies must be 1 to 1024"),
    ],
)
def test_refuses(command, arguments, message):
    result = subprocess.run([command, "bench", *arguments], check=False, capture_output=True, text=True, timeout=60)
    assert result.returncode != 0 and message in result.stderr


def test_ceilings(command):
    found = {line["ceiling"]: line for line in lines(command, "--ceilings", "--seconds", "0.05", "--json")}
    assert found["read"]["giga_per_second"] >= found["read"]["median_giga_per_second"] > 0
    info = json.loads(subprocess.run([command, "info", "--json"], check=True, capture_output=True, text=True).stdout)
    expected = {"read"} | ({"f32", "int8", "int8 of 4-bit codes"} if "avx2" in info["isa"]["features"] else set())
    expected |= {"bf16"} if "avx512bf16" in info["isa"]["features"] else set()
    assert set(found) == expected


def results():
    """maxlinear and two peers on one encoding, a cell without a peer, and one without maxlinear."""
    cell = {"layer": "linear", "K": 4096, "N": 14336, "threads": 2}
    operations = 2 * 4096 * 14336

    def at(encoding, rows, name, *rates):
        times = [operations * rows / rate / 1e9 for rate in rates]
        return {**cell, "encoding": encoding, "M": rows, "name": name, "peer": name.upper(), "rounds": times}

    return {
        "cells": [
            at("Q4_K", 1, "maxlinear", 100, 120, 110),
            at("Q4_K", 1, "max", 50, 80, 55),
            at("Q4_K", 1, "ggml", 40, 40, 40),
            at("Q4_K", 512, "maxlinear", 400, 400, 400),
            at("Q4_K", 512, "max", 800, 800, 800),
            at("f32", 1, "maxlinear", 10, 10, 10),
            at("f32", 512, "max", 100, 100, 100),
        ],
        "ceilings": {
            "f32": {"instructions": "fma", "giga_per_second": 250, "threads": 2},
            "int8": {"instructions": "dots", "giga_per_second": 700, "threads": 2},
            "int8 of 4-bit codes": {"instructions": "small dots", "giga_per_second": 1000, "threads": 2},
            "read": {"instructions": "loads", "giga_per_second": 50, "threads": 2},
        },
        "failures": ["mlp f32: M=4: max: ended"],
        "machine": "A CPU",
        "date": "2026-01-01",
    }


def render(folder, *arguments):
    (folder / "results.json").write_text(json.dumps(results()))
    command = [sys.executable, str(ROOT / "Benchmarks"), "--render", str(folder / "results.json"), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)


def columns(text, *beginning):
    rows = [[column.strip() for column in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    return next(row[len(beginning) :] for row in rows if row[: len(beginning)] == list(beginning))


def test_tables(tmp_path):
    result = render(tmp_path)
    assert result.returncode == 0, result.stderr
    table = (tmp_path / "table.md").read_text()
    # The ratio is the middle one of three rounds: 2, 1.5, 2. 110 GFLOP/s at M=1 are 55 GIPS of weights of 4.5 bits.
    first = columns(table, "linear", "Q4_K", "1")
    assert first == ["110", "100 to 120", "MAX", "55.0", "2.00", "11 %", "30.9", "62 %"]
    assert columns(table, "linear", "Q4_K", "512")[2:6] == ["MAX", "800", "0.50", "40 %"]
    assert columns(table, "linear", "f32", "1")[2:5] == ["-", "-", "-"]
    assert columns(table, "linear", "f32", "512")[:3] == ["-", "-", "MAX"]
    assert "mlp f32: M=4: max: ended" in table and "A CPU" in table
    summary = (tmp_path / "summary.md").read_text()
    assert summary in result.stdout
    assert columns(summary, "linear", "Q4_K") == ["110 (2.00)", "400 (0.50)", "62 %", "40 %"]
    assert columns(summary, "linear", "f32") == ["10", "-", "40 %", "-"]


def test_plot(tmp_path):
    assert render(tmp_path).returncode == 0
    image = (tmp_path / "linear.png").read_bytes()
    assert image.startswith(b"\x89PNG") and 2_000 < len(image) < 150_000
    assert not (tmp_path / "mlp.png").exists()


def test_reading_in_turn(tmp_path):
    """The share of reading is the middle one of the rounds' own, where they have it."""
    sys.path.insert(0, str(ROOT / "Benchmarks"))
    try:
        import results as module
    finally:
        sys.path.remove(str(ROOT / "Benchmarks"))
    first = results()["cells"][0]
    # 100, 120 and 110 GFLOP/s of 4.5 bits are 28.1, 33.8 and 30.9 GB/s.
    assert module.reading_share(first, 50) == pytest.approx(30.9 / 50, abs=1e-3)
    assert module.reading_share(first, None) is None
    assert module.reading_share(first | {"reading": [28.125, 67.5, 61.875]}, 50) == pytest.approx(0.5)


def test_requests_of_reading(command):
    first, *found = lines(command, "--ceilings", "--requests", "--json", "--threads", "1", input="1 0\n1 0.2\n")
    assert first["ready"]
    assert [line["ceiling"] for line in found] == ["read", "read"]
    assert all(line["giga_per_second"] >= line["median_giga_per_second"] > 0 for line in found)


def test_peers_warm_every_copy(monkeypatch):
    """Each copy is called once before any is timed."""
    monkeypatch.syspath_prepend(ROOT / "Benchmarks" / "peers")
    import serve

    called = []
    clock = iter(range(1000))
    monkeypatch.setattr(serve.time, "perf_counter", lambda: 10.0 if len(called) <= 5 else 10.0 + next(clock))
    found = serve.measure(called.append, 5, 0.5)
    assert sorted(called[:5]) == [0, 1, 2, 3, 4]
    assert found["calls"] == len(called) - 6 and 0 < found["seconds_10"] <= found["seconds"] <= found["seconds_90"]


def test_readme_keeps_what_is_around(tmp_path):
    sys.path.insert(0, str(ROOT / "Benchmarks"))
    try:
        import table
    finally:
        sys.path.remove(str(ROOT / "Benchmarks"))
    before, after = f"# Title\n\n{table.BEGIN}", f"{table.END}\n\nmore\n"
    text = f"{before}\nold\n{after}"
    assert table.filled(text, "new\n") == f"{before}\nnew\n{after}"
    assert table.filled(table.filled(text, "a\n"), "b\n") == table.filled(text, "b\n")
    with pytest.raises(SystemExit):
        table.filled("# Title\n", "new\n")


def test_the_loading_benchmark_compiles():
    include = ["-I" + str(ROOT / folder) for folder in ("include", "Sources/Kernels", "Sources/Kernels/include")]
    command = ["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", *include]
    subprocess.run([*command, str(ROOT / "Benchmarks" / "loading.c")], check=True)
