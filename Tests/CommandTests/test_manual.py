"""The command's manual page, completions and exit codes."""

import shutil
import subprocess
import sys

import command_support
import pytest
from command_support import ROOT, misused, printed, run

#: The fixture, which pytest looks for in this file.
command = command_support.command

PAGE = ROOT / "docs" / "maxlinear.1"


def test_manual_page_says_what_the_command_says(command):
    page = printed(sys.executable, ROOT / "scripts" / "make_manual.py", command)
    assert page == PAGE.read_text(), "make manual"


def test_manual_page_is_clean():
    if shutil.which("groff") is None:
        pytest.skip("needs groff")
    result = run("groff", "-man", "-Tutf8", "-ww", "-P-cbou", PAGE)
    assert (result.returncode, result.stderr) == (0, "")
    for words in ("maxlinear inspect", "--no-checksum", "-o, --output", "EXIT STATUS", "MAXLINEAR_VERBOSE"):
        assert words in result.stdout.replace("\N{HYPHEN}", "-").replace("\N{MINUS SIGN}", "-")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions(command, tmp_path, shell):
    script = printed(command, "--generate-completion-script", shell)
    for word in ("bench", "compare", "info", "inspect", "quantize", "run", "no-checksum", "gelu_tanh", "Q4_K"):
        assert word in script
    if shutil.which(shell) is not None:
        (tmp_path / "script").write_text(script)
        printed(shell, "-n", tmp_path / "script")


@pytest.mark.parametrize(
    "words, expected",
    [
        (["ins"], ["inspect"]),
        (["run", "model.gguf", "--act"], ["--activation"]),
        (["run", "model.gguf", "--activation", "gelu"], ["gelu", "gelu_tanh"]),
        (["quantize", "--encoding", "Q4"], ["Q4_0", "Q4_1", "Q4_K"]),
    ],
)
def test_completing(command, tmp_path, words, expected):
    """What bash offers behind these words."""
    (tmp_path / "script").write_text(printed(command, "--generate-completion-script", "bash"))
    line = " ".join(["maxlinear", *words])
    source = (
        f"source {tmp_path}/script; COMP_WORDS=({line}); COMP_CWORD={len(words)}; COMP_LINE='{line}'; "
        f'COMP_POINT={len(line)}; COMP_TYPE=9; COMP_KEY=9; _maxlinear maxlinear {words[-1]} "${{COMP_WORDS[-2]}}"; '
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    result = subprocess.run(["bash", "-c", source], check=False, capture_output=True, text=True, timeout=60)
    assert sorted(result.stdout.split()) == expected, result.stderr


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--m", "m, k and n must be 1 to 2147483647"),
        ("--k", "m, k and n must be 1 to 2147483647"),
        ("--n", "m, k and n must be 1 to 2147483647"),
        ("--seconds", "seconds must not be negative"),
        ("--rotate", "rotate must be 0 to 2147483647"),
        ("--copies", "copies must be 1 to 1024"),
        ("--threads", "threads must be 1 to 1024"),
    ],
)
def test_numbers_below_the_range(command, option, message):
    misused(run(command, "bench", option, "-1"), message)


def test_usage(command):
    assert "SUBCOMMANDS" in printed(command)
    assert printed(command, "--version").strip()
    misused(run(command, "inpsect"), "")
    misused(run(command, "info", "--yaml"), "Unknown option '--yaml'")
