"""Names in code: of globals and attributes, and those in texts where code looks things up by texts."""

from __future__ import annotations

import dis
import functools
import re
import types
from collections.abc import Iterator
from typing import Any

Names = tuple[str, ...]

BY_STRING = frozenset({"getattr", "hasattr", "vars", "__dict__", "asdict", "astuple", "attrgetter"})
OF_ALL_GLOBALS, OF_ENVIRONMENT = frozenset({"globals", "eval", "exec"}), frozenset({"environ", "getenv"})
"""Code that names these may read any attribute, any global, and any variable of the environment."""
IMPORTING = frozenset({"import_module", "__import__"})
"""Code that names these may read any module that a text of its own names."""
WRITTEN_BY = frozenset({"repr", "str", "format", "ascii", "print", "join"})
"""Code that names these writes objects as texts."""
_WRITTEN_IN = {
    dis.opmap[name] for name in ("FORMAT_VALUE", "FORMAT_SIMPLE", "FORMAT_WITH_SPEC") if name in dis.opmap
}


@functools.lru_cache(maxsize=1024)
def names_in(code: types.CodeType) -> Names:
    """The names in code and in all code within it: comprehensions, lambdas and inner functions."""
    return tuple(dict.fromkeys(_each_name(code)))


def _each_name(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    if not _WRITTEN_IN.isdisjoint(code.co_code[::2]):
        yield "format"
    in_texts = not OF_ALL_GLOBALS.isdisjoint(code.co_names)
    for constant in code.co_consts:
        if in_texts and isinstance(constant, str):
            yield from re.findall(r"[^\W\d]\w*", constant)
        if isinstance(constant, types.CodeType):
            yield from _each_name(constant)


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
