"""The command's manual page: `make_manual.py COMMAND` prints what the command says of itself as maxlinear.1."""

import json
import subprocess
import sys

ENVIRONMENT = [
    ("MAXLINEAR_NUM_THREADS", "The default number of threads, 1 to 1024."),
    ("MAXLINEAR_ISA", "The strongest CPU variant to use, such as avx2; \\fBmaxlinear info\\fR lists them."),
    ("MAXLINEAR_PLUGIN_PATH", "Plugins to load, with colons between."),
    (
        "MAXLINEAR_VERBOSE",
        "1 prints a line on standard error for each piece of work that the library does: kernel, shape, threads, time.",
    ),
]
EXAMPLES = [
    ("What is in a checkpoint:", "maxlinear inspect model.gguf"),
    ("Quantize it, and see what that has cost:", "maxlinear quantize model.safetensors model.gguf --encoding Q4_K"),
    ("", "maxlinear compare model.safetensors model.gguf --plot errors.png"),
    ("Run a layer:", "maxlinear run model.gguf --layer 0 --input x.npy --output y.npy"),
]


def escaped(text):
    """Plain text for roff, one input line a line."""
    lines = text.replace("\\", "\\e").replace("-", "\\-").split("\n")
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line for line in lines)


def value(argument):
    return f"\\fI{escaped(argument['valueName'])}\\fR"


def spelled(argument):
    """-o, --output FILE"""
    if argument["kind"] == "positional":
        return value(argument)
    dashes = {"short": "-", "long": "--", "longWithSingleDash": "-"}
    names = [
        f"\\fB{escaped(dashes[name['kind']] + name['name'])}\\fR"
        for name in sorted(argument["names"], key=lambda name: name["kind"] != "short")
    ]
    return ", ".join(names) + (f" {value(argument)}" if argument["kind"] == "option" else "")


def synopsis(argument):
    word = spelled({**argument, "names": [argument.get("preferredName")]})
    return f"[{word}]" if argument["isOptional"] else word


def described(argument):
    text = argument.get("abstract", "")
    values = argument.get("allValues")
    if values:
        text += f" One of {', '.join(values)}."
    if argument.get("defaultValue") and argument["kind"] == "option":
        # With spaces, so that a line can end.
        text += f" Default: {argument['defaultValue'].replace(',', ', ')}."
    return escaped(text.strip())


def arguments_of(command):
    """Without those that every command has."""
    shown = [argument for argument in command.get("arguments", []) if argument["shouldDisplay"]]
    return [argument for argument in shown if argument["valueName"] not in ("help", "version")]


def section(command):
    arguments = arguments_of(command)
    yield f".SS maxlinear {command['commandName']}"
    yield escaped(command["abstract"])
    yield ".PP"
    yield " ".join([f"\\fBmaxlinear {command['commandName']}\\fR", *map(synopsis, arguments)])
    for paragraph in filter(None, command.get("discussion", "").split("\n")):
        yield ".PP"
        yield escaped(paragraph)
    for argument in arguments:
        yield ".TP"
        yield spelled(argument)
        yield described(argument)


def manual(command):
    dump = subprocess.run([command, "--experimental-dump-help"], check=True, capture_output=True, text=True).stdout
    version = subprocess.run([command, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    root = json.loads(dump)["command"]
    subcommands = [item for item in root["subcommands"] if item["shouldDisplay"] and item["commandName"] != "help"]
    yield f'.TH MAXLINEAR 1 "" "maxlinear {version}" "User Commands"'
    yield ".SH NAME"
    yield f"maxlinear \\- {escaped(root['abstract'][0].lower() + root['abstract'][1:].rstrip('.'))}"
    yield ".SH SYNOPSIS"
    yield "\\fBmaxlinear\\fR \\fIcommand\\fR [\\fIarguments\\fR]"
    yield ".PP"
    yield "\\fBmaxlinear help\\fR [\\fIcommand\\fR]"
    yield ".SH COMMANDS"
    for subcommand in subcommands:
        yield from section(subcommand)
    yield ".SH EXIT STATUS"
    yield escaped(root["discussion"])
    yield ".SH ENVIRONMENT"
    for name, text in ENVIRONMENT:
        yield f".TP\n\\fB{name}\\fR\n{text}"
    yield ".SH EXAMPLES"
    for text, line in EXAMPLES:
        yield f".PP\n{text}" if text else ".PP"
        yield f".PP\n.RS 4\n{escaped(line)}\n.RE"


if __name__ == "__main__":
    print("\n".join(manual(sys.argv[1])))
