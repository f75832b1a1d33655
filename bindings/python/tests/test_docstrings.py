"""Every public name says what it is; what takes arrays names their shapes and dtypes; what takes several arguments names each."""

import importlib
import inspect
import pkgutil
import re
from dataclasses import is_dataclass

import pytest

import maxlinear

MODULES = [
    info.name
    for info in pkgutil.walk_packages(maxlinear.__path__, "maxlinear.")
    if not any(part.startswith("_") for part in info.name.split(".")[1:])
]
#: Arguments that are arrays, and what a documentation of them has: a shape, or says that it is another's.
ARRAYS = {"x", "xs", "array", "blocks", "gate", "up"}


def public(module):
    """Names and objects that are the module's own."""
    names = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
    for name in names:
        value = getattr(module, name)
        if (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__ == module.__name__:
            yield name, value


def functions(owner):
    """A class's public methods and properties, and its call."""
    for name, value in vars(owner).items():
        if name.startswith("_") and name != "__call__":
            continue
        plain = getattr(value, "fget", None) or getattr(value, "__func__", value)
        if inspect.isfunction(plain):
            yield name, plain


def documented():
    for module_name in MODULES:
        for name, value in public(importlib.import_module(module_name)):
            yield f"{module_name}.{name}", value, value
            if inspect.isclass(value):
                for method, function in functions(value):
                    yield f"{module_name}.{name}.{method}", value, function


DOCUMENTED = {name: (owner, value) for name, owner, value in documented()}


def parameters(value):
    target = value.__init__ if inspect.isclass(value) and "__init__" in vars(value) else value
    if inspect.isclass(target):
        return []
    return [
        name
        for name in inspect.signature(target).parameters
        if name not in ("self", "cls", "options") and name[0] != "_"
    ]


def test_names_are_found():
    assert len(MODULES) >= 12 and len(DOCUMENTED) >= 70
    for name in ("maxlinear.nn.linear.GPTQLinear", "maxlinear.nn.mlp.MLP.__call__", "maxlinear.blocks.quantize_gptq"):
        assert name in DOCUMENTED


@pytest.mark.parametrize("module", ["maxlinear", *MODULES])
def test_module(module):
    assert importlib.import_module(module).__doc__


@pytest.mark.parametrize("name", DOCUMENTED)
def test_documented(name):
    owner, value = DOCUMENTED[name]
    text = value.__doc__ or ""
    assert text.strip(), "no docstring"
    named = parameters(value)
    refers = re.search(r"[Aa]s (in )?`", text) is not None
    if len(named) > 1 and not issubclass(owner if inspect.isclass(owner) else object, Exception):
        missing = [parameter for parameter in named if not re.search(rf"\b{parameter}\b", text)]
        assert not missing or refers, f"says nothing of {missing}"
        assert "Args:" in text or "Attributes:" in text or refers, "no Args"
        assert "Raises" in text or refers or is_dataclass(value), "no Raises"
    if ARRAYS & set(named) and not refers:
        assert re.search(r"\(.*\.\.\.|\(out_dim|of one shape|columns of x", text), "no shape"
        assert re.search(r"float32|uint8", text), "no dtype"
