"""What a function reads beside its arguments: closure cells, globals it names, and those of the functions it calls.

A circuit that was traced once holds what these were then. They are looked at before every call, which must cost next
to nothing: numbers, strings and small arrays by value, tensors by version, all else by identity.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any, final

import numpy as np
import torch

NUMBERS = (bool, int, float, complex, str, bytes, type(None), np.generic)
LIBRARIES = frozenset({*sys.stdlib_module_names, "pennylane", "torch", "numpy", "scipy", "qlazy"}) - {
    "__main__"
}
ARRAY_BYTES = 4096
DEPTH = 4


@final
class Same:
    """A value compared by identity, and held, so that no other takes its place in memory."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self._value is other._value

    __hash__ = None  # type: ignore[assignment]


def surroundings(function: Any) -> tuple[Any, ...]:
    """What ``function`` reads, to be compared with what it read before."""
    return tuple(_read(function, DEPTH))


def _read(function: Any, depth: int) -> Iterator[Any]:
    if isinstance(function, functools.partial):
        yield from (_seen(part, (), depth) for part in (function.func, function.args, function.keywords))
    elif isinstance(function, types.MethodType):
        names = function.__func__.__code__.co_names
        yield _seen(function.__self__, names, depth)
        yield from _read(function.__func__, depth)
    elif isinstance(function, types.FunctionType):
        names, globals_ = function.__code__.co_names, function.__globals__
        for cell in function.__closure__ or ():
            try:
                yield _seen(cell.cell_contents, names, depth)
            except ValueError:  # a cell that is not filled yet
                yield None
        for name in names:
            value = globals_.get(name)
            if value is not None and not (type(value) is types.ModuleType and _is_of_a_library(value)):
                yield _seen(value, names, depth)
        if function.__defaults__:
            yield _seen(function.__defaults__, names, depth)


def _seen(value: Any, names: tuple[str, ...], depth: int) -> Any:
    kind = type(value)
    if kind is int or kind is float or kind is str:
        return (kind, value if value == value else "nan")
    if isinstance(value, NUMBERS):
        return (kind, value if value == value else repr(value))
    if isinstance(value, torch.Tensor):
        return (Same(value), None if value.is_inference() else value._version)
    if isinstance(value, np.ndarray):
        return (Same(value), value.tobytes() if value.nbytes <= ARRAY_BYTES else None)
    if depth == 0 or _is_of_a_library(value):
        return Same(value)
    if isinstance(value, Mapping):
        return (Same(value), tuple((key, _seen(part, names, depth - 1)) for key, part in value.items()))
    if isinstance(value, list | tuple):
        return (kind, tuple(_seen(part, names, depth - 1) for part in value))
    if callable(value) and not isinstance(value, type):
        return (Same(value), tuple(_read(value, depth - 1)))
    inner = getattr(value, "__dict__", {})
    named = tuple((name, _seen(inner[name], names, depth - 1)) for name in names if name in inner)
    return (Same(value), named)


def _is_of_a_library(value: Any) -> bool:
    home = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
    if not isinstance(home, str):
        home = type(value).__module__
    return home.split(".")[0] in LIBRARIES and not isinstance(value, list | tuple | dict | functools.partial)
