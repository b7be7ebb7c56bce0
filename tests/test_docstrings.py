"""What the public names say of themselves: a docstring for every member, a word on every field, every error stated."""

from __future__ import annotations

import ast
import builtins
import dataclasses
import inspect
import re
import textwrap
from collections.abc import Iterator
from itertools import pairwise

import pytest

import qlazy
from tests.odd_values import ODD, Point, calls

NAMES = [name for name in qlazy.__all__ if name != "__version__"]
CLASSES = [
    name
    for name in NAMES
    if inspect.isclass(getattr(qlazy, name)) and not issubclass(getattr(qlazy, name), BaseException)
]
WRONG = ("an object", "letter", "NaN", "negative", "5-d tensor", "complex tensor")
"""Odd values that are of a wrong type for some arguments, and of a wrong value for others."""


def fields_with_docstrings(public: type) -> list[str]:
    """The fields of a class below which a text stands."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(public))).body
    assert isinstance(tree, ast.ClassDef)
    return [
        ast.unparse(field.target)
        for field, below in pairwise(tree.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
    ]


def members(public: type) -> Iterator[tuple[str, str]]:
    """Methods and properties that qlazy gives a class, and what they say, there or where they are inherited from."""
    for name in dir(public):
        lines = [owner for owner in public.__mro__ if name in owner.__dict__]
        if name.startswith("_") or not lines[0].__module__.startswith("qlazy"):
            continue
        values = [owner.__dict__[name] for owner in lines]
        if callable(getattr(values[0], "__func__", values[0])) or hasattr(values[0], "__get__"):
            yield name, next((value.__doc__ for value in values if value.__doc__), "")


@pytest.mark.parametrize("name", NAMES)
def test_every_name_and_member_has_a_docstring(name) -> None:
    public = getattr(qlazy, name)
    assert len(inspect.getdoc(public) or "") > 20
    if name in CLASSES:
        assert [member for member, words in members(public) if not words] == []


@pytest.mark.parametrize("name", [name for name in CLASSES if dataclasses.is_dataclass(getattr(qlazy, name))])
def test_every_field_is_explained(name) -> None:
    public = getattr(qlazy, name)
    fields = {field.name for field in dataclasses.fields(public) if not field.name.startswith("_")}
    owners = [owner for owner in public.__mro__ if owner.__module__.startswith("qlazy")]
    named = {word for owner in owners for word in re.findall(r"\w+", owner.__doc__ or "")}
    explained = {field for owner in owners for field in fields_with_docstrings(owner)}
    assert fields - named - explained == set()


def stated(words: str) -> tuple[type[BaseException], ...]:
    """The errors that a docstring names, from its first "Raises" on."""
    names = re.findall(r"\b\w+Error\b", words.partition("Raises")[2])
    return tuple(getattr(qlazy, name, None) or getattr(builtins, name) for name in names)


@pytest.mark.parametrize("name", [name for name in calls(Point(None)) if name in NAMES])
@pytest.mark.filterwarnings("ignore")
def test_every_error_is_stated(name, tmp_path, monkeypatch) -> None:
    """Wrong values of every argument raise what the docstring says, and nothing that it does not say."""
    monkeypatch.chdir(tmp_path)
    call, good = calls(Point(tmp_path))[name]
    raised = {}
    for argument in good:
        for odd in WRONG:
            try:
                call(**{**good, argument: ODD[odd]()})
            except Exception as error:
                raised[type(error)] = f"{argument}: {error}"
    assert raised
    public = getattr(qlazy, name)
    allowed = stated(inspect.getdoc(public) or "")
    unsaid = {kind.__name__: words for kind, words in raised.items() if not issubclass(kind, allowed)}
    assert unsaid == {}
