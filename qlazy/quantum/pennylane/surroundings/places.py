"""Places where a change may come from, with what stands in them, and whether anything has changed since."""

from __future__ import annotations

import array
import contextvars
import ctypes
import functools
import io
import mmap
import operator
import types
import weakref
import zlib
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Protocol, final

import numpy as np
import torch
from numpy.typing import NDArray

from qlazy.base.identity import content_of
from qlazy.quantum.pennylane.surroundings.opened import File

ARRAY_BYTES = 2**24
"""Arrays of more bytes are told by a checksum."""
BUFFERS = (
    array.array, bytearray, memoryview, mmap.mmap, np.void,
    ctypes._SimpleCData, ctypes.Array, ctypes.Structure, ctypes.Union,
)  # fmt: skip
HOLDERS = (*BUFFERS, ctypes._Pointer, io.StringIO, io.BytesIO)
"""What holds bytes that can be looked at."""
MISSING = object()

Place = tuple[int, str]
"""A name and what it is looked up in, by its identity; the empty name for a cell or a list itself."""
Get = Callable[[str, Any], Any]
"""Looks up a name; a default where there is none."""


@final
class Places:
    """Every place that was looked at, and what stood there; each method notes one, and returns what is there."""

    def __init__(self) -> None:
        self._answers: list[tuple[Callable[[], object], object]] = []
        self._names: list[tuple[Get, str, Any]] = []
        self._cells: list[tuple[types.CellType, Any]] = []
        self._lists: list[tuple[Any, list[Any]]] = []
        self._sets: list[tuple[AbstractSet[Any], frozenset[Any]]] = []
        self._mappings: list[tuple[Mapping[Any, Any], list[Any], list[Any]]] = []
        self._tensors: list[tuple[torch.Tensor, int]] = []
        self._memory: list[tuple[torch.Tensor, int]] = []
        self._arrays: list[tuple[NDArray[Any], bytes | int]] = []
        self._buffers: list[tuple[Any, bytes | int | None]] = []
        self._keys: list[tuple[Mapping[str, Any], list[str]]] = []

    def are_untouched(self) -> bool:
        """Whether the same objects stand in all places, with the same numbers in arrays and buffers."""
        for ask, answer in self._answers:
            if ask() != answer:
                return False
        for get, name, value in self._names:
            if get(name, MISSING) is not value:
                return False
        for cell, value in self._cells:
            if content_of(cell, MISSING) is not value:
                return False
        for tensor, version in self._tensors:
            if tensor._version != version:
                return False
        for now, before in self._lists:
            if not are_one(list(now), before):
                return False
        for mapping, keys, values in self._mappings:
            if len(mapping) != len(keys):
                return False
            if keys and not (are_one(list(mapping), keys) and are_one(list(mapping.values()), values)):
                return False
        return (
            all(are_one(list(own), keys) for own, keys in self._keys)
            and all(numbers == before for numbers, before in self._sets)
            and all(tensor.data_ptr() == address for tensor, address in self._memory)
            and all(_bytes(array) == content for array, content in self._arrays)
            and all(_content_now(value) == content for value, content in self._buffers)
        )

    def moved(self) -> dict[Place, Any]:
        """The places where something else stands now, with what they are in."""
        names = {
            place_of(get, name): get for get, name, value in self._names if get(name, MISSING) is not value
        }
        cells = {
            (id(cell), ""): cell for cell, value in self._cells if content_of(cell, MISSING) is not value
        }
        lists = {(id(now), ""): now for now, before in self._lists if not are_one(list(now), before)}
        return {**names, **cells, **lists}

    def name(self, get: Get, name: str) -> Any:
        """What stands under a name; MISSING where nothing does."""
        self._names.append((get, name, value := get(name, MISSING)))
        return value

    def answer(self, ask: Callable[[], object]) -> object:
        """What a question is answered now."""
        self._answers.append((ask, answer := ask()))
        return answer

    def cell(self, cell: types.CellType) -> Any:
        self._cells.append((cell, value := content_of(cell, MISSING)))
        return value

    def sequence(self, value: Any) -> list[Any]:
        self._lists.append((value, parts := list(value)))
        return parts

    def elements(self, value: AbstractSet[Any]) -> None:
        self._sets.append((value, frozenset(value)))

    def mapping(self, value: Mapping[Any, Any]) -> tuple[list[Any], list[Any]]:
        """Keys and values."""
        keys, parts = list(value), list(value.values())
        self._mappings.append((value, keys, parts))
        return keys, parts

    def keys(self, own: Mapping[str, Any]) -> None:
        """Which attributes an object has."""
        self._keys.append((own, list(own)))

    def version(self, tensor: torch.Tensor) -> int | None:
        """How often a tensor was changed in place; None where torch does not count."""
        if tensor.is_inference():
            return None
        self._tensors.append((tensor, version := tensor._version))
        return version

    def memory(self, tensor: torch.Tensor) -> None:
        """Where a tensor's numbers lie: others may be put in their place."""
        self._memory.append((tensor, tensor.data_ptr()))

    def array(self, array: NDArray[Any]) -> bytes | int:
        self._arrays.append((array, content := _bytes(array)))
        return content

    def buffer(self, value: Any) -> bytes | int | None:
        """The bytes of a file, of one of HOLDERS, or of the numbers in a table; None where there are none to see."""
        content = _content_now(value)
        if content is not None or isinstance(value, File):
            self._buffers.append((value, content))
        return content


class Read(Protocol):
    """What was read, as a walk over it finds it."""

    found: list[Any]
    places: Places
    is_untold: bool


@final
class Surroundings:
    """What a function read when it was traced; ``read`` reads it again, ``is_told`` says that all of it is seen."""

    def __init__(self, read: Callable[[], Read], is_told: bool = True) -> None:
        self._read, self._last = read, read()
        self._is_told = is_told and not self._last.is_untold

    def are_as_before(self) -> bool:
        """Whether the function reads the same now, as far as that can be seen."""
        if not self._is_told:
            return False
        if self._last.places.are_untouched():
            return True
        now = self._read()
        if now.found != self._last.found:
            return False
        self._last = now  # equal values in other objects
        return True

    def moved(self) -> dict[Place, Any]:
        """The places where something else stands now, with what they are in."""
        return self._last.places.moved()


def class_of(value: Any, *_: Any) -> type:
    return type(value)


def content_of_variable(variable: contextvars.ContextVar[Any], _: str, default: Any) -> Any:
    return variable.get(default)


def referent_of(reference: weakref.ref[Any], *_: Any) -> Any:
    return reference()


def place_of(get: Get, name: str) -> Place:
    """The dict of ``dict.get``, or the object of a ``partial(getattr, object)``, and the name in it."""
    owner = get.args[0] if isinstance(get, functools.partial) else getattr(get, "__self__", get)
    return id(owner), name


def _content_now(value: Any) -> bytes | int | None:
    if isinstance(value, np.void):
        return value.tobytes()
    if isinstance(value, BUFFERS):
        return memoryview(value).tobytes()  # type: ignore[arg-type]
    if isinstance(value, ctypes._Pointer):
        return memoryview(value.contents).tobytes() if value else None
    if isinstance(value, io.StringIO | io.BytesIO):
        return repr((value.getvalue(), value.tell())).encode("utf-8", "surrogatepass")
    return value.content() if isinstance(value, File) else _numbers_of(value)


def _numbers_of(value: Any) -> bytes | None:
    """The numbers and texts in an installed package's table or series; None where it is none."""
    if not hasattr(type(value), "__array__"):
        return None
    try:
        found = np.asarray(value)
    except Exception:  # whatever an object does that is no array
        return None
    return repr(found.tolist()).encode("utf-8", "replace") if found.dtype.hasobject else found.tobytes()


def _bytes(array: NDArray[Any]) -> bytes | int:
    if array.nbytes <= ARRAY_BYTES:
        return array.tobytes()
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data)


def are_one(now: Sequence[Any], before: Sequence[Any]) -> bool:
    """Whether both hold the same objects."""
    return len(now) == len(before) and all(map(operator.is_, now, before))
