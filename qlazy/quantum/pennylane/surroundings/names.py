"""Names in code: of globals and attributes, those in texts by which code looks things up, and those of operators."""

from __future__ import annotations

import dis
import functools
import re
import string
import types
from collections.abc import Iterator
from typing import Any

Names = tuple[str, ...]

BY_STRING = frozenset({
    "getattr", "hasattr", "vars", "__dict__", "asdict", "astuple", "fields", "attrgetter", "methodcaller",
    "getattr_static", "getmembers", "__getattribute__",
})  # fmt: skip
"""Code that names these may read any attribute, by a text."""
OF_ALL_GLOBALS, OF_ENVIRONMENT = frozenset({"globals", "eval", "exec"}), frozenset({"environ", "getenv"})
"""Code that names these may read any global, and any variable of the environment."""
IMPORTING = frozenset({"import_module", "__import__", "modules"})
"""Code that names these may read any module that a text of its own names."""
WRITTEN_BY = frozenset({"repr", "str", "format", "format_map", "ascii", "print", "join"})
"""Code that names these writes objects as texts."""
OF_FILES = frozenset({
    "stat", "lstat", "exists", "lexists", "is_file", "is_dir", "isfile", "isdir", "getsize", "getmtime", "scandir",
})  # fmt: skip
"""Code that names these may ask what files there are, where it reaches a module of :data:`PATHS`."""
PATHS = frozenset({"os", "posixpath", "ntpath", "genericpath", "pathlib", "posix", "nt"})
COMPARING = ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__")
_MORE = {
    "hash": ("__hash__",), **dict.fromkeys(("index", "count", "remove"), ("__eq__",)),
    **dict.fromkeys(("sorted", "sort", "min", "max"), ("__lt__", "__gt__")),
}  # fmt: skip
"""What else runs where code names these."""


def _codes(*names: str) -> frozenset[int]:
    return frozenset(dis.opmap[name] for name in names if name in dis.opmap)


_WRITTEN_IN = _codes("FORMAT_VALUE", "FORMAT_SIMPLE", "FORMAT_WITH_SPEC")
_MATCHING, _CONSTANTS = _codes("MATCH_CLASS"), _codes("LOAD_CONST", "LOAD_SMALL_INT")
_REMAINDERS = frozenset(
    (step.opcode, step.arg)
    for source in ("a % b", "a %= b")
    for step in dis.get_instructions(compile(source, "", "exec"))
    if step.opname == "BINARY_OP"
)


@functools.lru_cache(maxsize=1024)
def names_in(code: types.CodeType) -> Names:
    """The names in code and in all code within it: comprehensions, lambdas and inner functions."""
    return tuple(dict.fromkeys(_each_name(code)))


def _each_name(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    yield from _names_of_steps(code)
    in_texts = not (OF_ALL_GLOBALS | BY_STRING).isdisjoint(code.co_names)
    for name in code.co_names:
        yield from _MORE.get(name, ())
    for constant in code.co_consts:
        if isinstance(constant, str):
            yield from re.findall(r"[^\W\d]\w*", constant) if in_texts else names_in_fields(constant)
        elif isinstance(constant, types.CodeType):
            yield from _each_name(constant)


def _names_of_steps(code: types.CodeType) -> Iterator[str]:
    """What code does without a name: it writes by f-strings and %, compares, and takes objects apart by patterns."""
    steps = code.co_code[::2]
    if not _WRITTEN_IN.isdisjoint(steps) or not _REMAINDERS.isdisjoint(
        zip(steps, code.co_code[1::2], strict=True)
    ):
        yield "format"
    if not _MATCHING.isdisjoint(steps):
        yield "getattr"
        for constant in code.co_consts:
            if isinstance(constant, tuple):
                yield from (part for part in constant if isinstance(part, str))
    if _compares_objects(code):
        yield from COMPARING


def _compares_objects(code: types.CodeType) -> bool:
    """Whether two things are compared of which the second is no constant."""
    before = None
    for step in dis.get_instructions(code):
        if step.opname in ("COMPARE_OP", "CONTAINS_OP") and before not in _CONSTANTS:
            return True
        before = step.opcode
    return False


def names_in_fields(text: str) -> Iterator[str]:
    """The attributes that the fields of a format read, such as ``"{0.angle}"``."""
    if "{" not in text:
        return
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(text) if field]
    except ValueError:  # no format
        return
    for field in fields:
        yield from re.findall(r"\.([^\W\d]\w*)", field)


def texts_in(code: types.CodeType) -> Iterator[str]:
    """The texts in code and in all code within it."""
    for constant in code.co_consts:
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, types.CodeType):
            yield from texts_in(constant)


def names_of_getter(getter: Any) -> Iterator[str]:
    """The attributes that an ``attrgetter`` or a ``methodcaller`` looks up."""
    for part in getter.__reduce__()[1]:
        if isinstance(part, str):
            yield from part.split(".")
