"""What a function reads beside its arguments: closure cells, globals it names, and those of the functions it calls.

A circuit that was traced once holds what these were then. They are looked at before every call, which must cost next
to nothing: numbers, strings and small arrays by value, tensors by version, all else by identity. So the places where a
change may come from are noted once (:class:`Surroundings`), and only where another object stands in one of them is
everything read anew.
"""

from __future__ import annotations

import functools
import operator
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray

NUMBERS = (bool, int, float, complex, str, bytes, type(None), np.generic)
LIBRARIES = frozenset({*sys.stdlib_module_names, "pennylane", "torch", "numpy", "scipy", "qlazy"}) - {
    "__main__"
}
ARRAY_BYTES = 4096
DEPTH = 4
MISSING = object()


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


@final
class Surroundings:
    """What a function read when it was traced."""

    def __init__(self, function: Any) -> None:
        self._function = function
        self._read = surroundings(function)
        self._places = _Places(function)

    def are_as_before(self) -> bool:
        """Whether the function reads the same now."""
        if self._places.are_untouched():
            return True
        if surroundings(self._function) != self._read:
            return False
        self._places = _Places(self._function)  # equal values in other objects
        return True


@final
class _Places:
    """Everything that can change in what a function reads, with what is there: names, cells, lists, tensors, arrays.

    What cannot change, such as tuples of numbers, is told by the place that holds it.
    """

    def __init__(self, function: Any) -> None:
        self._names: list[tuple[Any, str, Any]] = []
        self._cells: list[tuple[types.CellType, Any]] = []
        self._lists: list[tuple[list[Any], list[Any]]] = []
        self._mappings: list[tuple[Mapping[Any, Any], list[Any], list[Any]]] = []
        self._tensors: list[tuple[torch.Tensor, int]] = []
        self._arrays: list[tuple[NDArray[Any], bytes]] = []
        self._add_function(function, DEPTH)

    def are_untouched(self) -> bool:
        for get, name, value in self._names:
            if get(name, MISSING) is not value:
                return False
        for cell, value in self._cells:
            if _content(cell) is not value:
                return False
        for tensor, version in self._tensors:
            if tensor._version != version:
                return False
        for now, before in self._lists:
            if not _are_one(now, before):
                return False
        for mapping, keys, values in self._mappings:
            if not (_are_one(list(mapping), keys) and _are_one(list(mapping.values()), values)):
                return False
        return all(array.tobytes() == content for array, content in self._arrays)

    def _add_function(self, function: Any, depth: int) -> None:
        if isinstance(function, functools.partial):
            for part in (function.func, function.args, function.keywords):
                self._add(part, (), depth)
        elif isinstance(function, types.MethodType):
            self._add(function.__self__, function.__func__.__code__.co_names, depth)
            self._add_function(function.__func__, depth)
        elif isinstance(function, types.FunctionType):
            names = function.__code__.co_names
            for cell in function.__closure__ or ():
                self._cells.append((cell, value := _content(cell)))
                self._add(value, names, depth)
            self._add_names(function.__globals__, names, names, depth)
            self._add(function.__defaults__, names, depth)

    def _add_names(
        self, space: Mapping[str, Any], names: tuple[str, ...], inner: tuple[str, ...], depth: int
    ) -> None:
        for name in names:
            value = space.get(name, MISSING)
            self._names.append((space.get, name, value))
            self._add(value, inner, depth)

    def _add(self, value: Any, names: tuple[str, ...], depth: int) -> None:
        if value is MISSING or isinstance(value, NUMBERS):
            return
        if isinstance(value, torch.Tensor):
            if not value.is_inference():
                self._tensors.append((value, value._version))
        elif isinstance(value, np.ndarray):
            if value.nbytes <= ARRAY_BYTES:
                self._arrays.append((value, value.tobytes()))
        elif depth == 0 or _is_of_a_library(value):
            return
        elif isinstance(value, Mapping | list | tuple):
            self._add_parts(value, names, depth)
        elif callable(value) and not isinstance(value, type):
            self._add_function(value, depth - 1)
        else:
            self._add_names(getattr(value, "__dict__", {}), names, names, depth - 1)

    def _add_parts(self, value: Any, names: tuple[str, ...], depth: int) -> None:
        if isinstance(value, list):
            self._lists.append((value, list(value)))
        parts = value
        if isinstance(value, Mapping):
            parts = list(value.values())
            self._mappings.append((value, list(value), parts))
        for part in parts:
            self._add(part, names, depth - 1)


def _are_one(now: list[Any], before: list[Any]) -> bool:
    return len(now) == len(before) and all(map(operator.is_, now, before))


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a cell that is not filled yet
        return MISSING


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
