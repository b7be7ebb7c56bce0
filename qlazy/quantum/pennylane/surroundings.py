"""What a function reads beside its arguments: closure cells, globals it names, and those of the functions it calls.

A circuit that was traced once holds what these were then. They are looked at before every call, which must cost next
to nothing: numbers, strings, arrays and tensors by value, all else by identity. So the places where a change may come
from are noted once (:class:`Surroundings`), and only where another object stands in one of them is everything read
anew. Names are those of a function's code with all code within it (comprehensions, lambdas, inner functions). Of an
object the attributes are looked at that are named in any code that is reached, since objects are handed on, and what
its methods and properties of such names read.
"""

from __future__ import annotations

import array
import contextvars
import ctypes
import dis
import functools
import operator
import os
import re
import sys
import types
import weakref
import zlib
from collections import UserList, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, ValuesView
from collections.abc import Set as AbstractSet
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray

from qlazy.base.chance import GENERATORS, is_global
from qlazy.base.identity import content_of, is_installed
from qlazy.base.torch_private import is_transformed, outside_transforms

NUMBERS = (bool, int, float, complex, str, bytes, type(None), np.generic)
LIBRARIES = frozenset({*sys.stdlib_module_names, "pennylane", "torch", "numpy", "scipy", "qlazy"}) - {
    "__main__"
}
ARRAY_BYTES = 2**24
"""Arrays of more bytes are told by a checksum."""
DEPTH, INSTALLED_DEPTH = 16, 4
"""How far objects are followed: the user's own, and those of installed packages."""
MOST = 20_000
"""How many objects are looked at; the nearest come first."""
PASSES = 6
"""Code reached by names in code is read so many times further, at most: what lies beyond is not looked at."""
BY_STRING = frozenset({"getattr", "hasattr", "vars", "__dict__", "asdict", "astuple", "attrgetter"})
OF_ALL_GLOBALS, OF_ENVIRONMENT = frozenset({"globals", "eval", "exec"}), frozenset({"environ", "getenv"})
"""Code that names these may read any attribute, any global, and any variable of the environment."""
IMPORTING = frozenset({"import_module", "__import__"})
"""Code that names these may read any module that a text of its own names."""
MAKING = ("__init__", "__new__", "__post_init__", "__class_getitem__")
"""What runs where a class is called, or indexed."""
WRITING = ("__repr__", "__str__", "__format__")
"""What runs where an object is written, in code that does so."""
WRITTEN_BY = frozenset({"repr", "str", "format", "ascii", "print", "join"})
WRITTEN_IN = {
    dis.opmap[name] for name in ("FORMAT_VALUE", "FORMAT_SIMPLE", "FORMAT_WITH_SPEC") if name in dis.opmap
}
NOT_READING = frozenset({
    *MAKING, *WRITING, "__del__", "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__init_subclass__",
    "__set_name__",
})  # fmt: skip
GENERATED = "<string>"
"""The file of code that was not written: that of a dataclass, which compares all that there is."""
FUNCTION_PARTS = ("__code__", "__defaults__", "__kwdefaults__")
BUFFERS = (array.array, bytearray, memoryview, ctypes._SimpleCData, ctypes.Array, ctypes.Structure)
MISSING = object()
BUILT_IN = (*NUMBERS, torch.Tensor, np.ndarray, Mapping, list, tuple, AbstractSet, deque)
"""Of these kinds values are looked at by what they hold, and by their attributes where they have any."""

Names = tuple[str, ...]
Place = tuple[int, str]
"""A name and what it is looked up in, by its identity; the empty name for a cell or a list itself."""


@final
class Same:
    """A value compared by identity, and held, so that no other takes its place in memory."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self._value is other._value

    __hash__ = None  # type: ignore[assignment]


@final
class Surroundings:
    """What a function read when it was traced.

    ``before`` are those from before it was called: what has changed since then the function changes itself, counters
    for instance. It was called several times and queued the same, so that these places say nothing and are left out.
    """

    def __init__(self, function: Any, before: Surroundings | None = None) -> None:
        self._function = function
        self._own: dict[Place, Any] = {} if before is None else before._reading.moved()
        self._reading: _Reading = _read(function, self._own)

    def are_as_before(self) -> bool:
        """Whether the function reads the same now."""
        if self._reading.is_untouched():
            return True
        now = _read(self._function, self._own)
        if now.found != self._reading.found:
            return False
        self._reading = now  # equal values in other objects
        return True


def generators_of(function: Any) -> list[Any]:
    """The generators of random numbers that a function reads, but for the global ones."""
    return [generator for generator in _read(function, {}).generators if not is_global(generator)]


def _read(function: Any, left_out: Mapping[Place, Any]) -> _Reading:
    """All that a function reads: anew, until no code is reached that names further attributes."""
    reading = _Reading(function, left_out, ())
    for _ in range(PASSES):
        if len(reading.met) == len(reading.named) or reading.is_full:
            break
        reading = _Reading(function, left_out, tuple(reading.met))
    return reading


@final
class _Reading:
    """All that a function reads (``found``), and every place where a change may come from, with what is there.

    Of objects the attributes ``named`` are looked at; ``met`` are those and the names in all code that was reached.
    What cannot change, such as tuples of numbers, is told by the place that holds it.
    """

    def __init__(self, function: Any, left_out: Mapping[Place, Any], named: Names) -> None:
        self.found: list[Any] = []
        self.generators: list[Any] = []
        self.named, self.met = named, dict.fromkeys(named)
        self._left_out = left_out
        self._names: list[tuple[Callable[[str, Any], Any], str, Any]] = []
        self._cells: list[tuple[types.CellType, Any]] = []
        self._lists: list[tuple[Any, list[Any]]] = []
        self._sets: list[tuple[AbstractSet[Any], frozenset[Any]]] = []
        self._mappings: list[tuple[Mapping[Any, Any], list[Any], list[Any]]] = []
        self._tensors: list[tuple[torch.Tensor, int]] = []
        self._memory: list[tuple[torch.Tensor, int]] = []
        self._arrays: list[tuple[NDArray[Any], bytes | int]] = []
        self._buffers: list[tuple[Any, bytes]] = []
        self._keys: list[tuple[Mapping[str, Any], list[str]]] = []
        self._seen: set[int] = set()
        self._waiting: deque[tuple[Any, int]] = deque([(function, DEPTH)])
        with outside_transforms():
            while self._waiting and len(self._seen) < MOST:
                value, left = self._waiting.popleft()
                if _says_its_class(value):
                    self._look(value, left)
                else:
                    self.found.append(Same(value))
                    self._waiting.append((type(value), left - 1))

    @property
    def is_full(self) -> bool:
        """Whether there was more to look at than :data:`MOST` objects."""
        return len(self._seen) >= MOST

    def is_untouched(self) -> bool:
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
            if not _are_one(list(now), before):
                return False
        for mapping, keys, values in self._mappings:
            if not (_are_one(list(mapping), keys) and _are_one(list(mapping.values()), values)):
                return False
        return (
            all(_are_one(list(own), keys) for own, keys in self._keys)
            and all(numbers == before for numbers, before in self._sets)
            and all(tensor.data_ptr() == address for tensor, address in self._memory)
            and all(_bytes(array) == content for array, content in self._arrays)
            and all(_content_now(value) == content for value, content in self._buffers)
        )

    def moved(self) -> dict[Place, Any]:
        """The places where something else stands now, with what they are in."""
        names = {
            _place(get, name): get for get, name, value in self._names if get(name, MISSING) is not value
        }
        cells = {
            (id(cell), ""): cell for cell, value in self._cells if content_of(cell, MISSING) is not value
        }
        lists = {(id(now), ""): now for now, before in self._lists if not _are_one(list(now), before)}
        return {**names, **cells, **lists}

    def _look(self, value: Any, depth: int) -> None:
        if isinstance(value, NUMBERS):
            self.found.append((type(value), value if value == value else repr(value)))
            if _is_of_a_library(type(value)):
                return
        if id(value) in self._seen:
            return
        self._seen.add(id(value))
        if isinstance(value, BUILT_IN) and depth > 0 and not _is_bare(value):
            self._look_at_instance(value, depth - 1)
        if isinstance(value, torch.Tensor):
            self._look_at_tensor(value)
        elif isinstance(value, np.ndarray):
            self._look_at_array(value, value)
        elif isinstance(value, GENERATORS):
            self.generators.append(value)
            self.found.append(Same(value))
        elif depth == 0:
            self.found.append(Same(value))
        elif isinstance(value, BUFFERS):
            self._buffers.append((value, content := _raw(value)))
            self.found.append((Same(value), content))
        elif isinstance(value, Mapping | list | tuple | AbstractSet | deque | ValuesView | UserList):
            self._look_at_parts(value, depth - 1)
        elif isinstance(value, NUMBERS):
            return
        else:
            self.found.append(Same(value))
            self._look_at_object(value, min(depth, INSTALLED_DEPTH if is_installed(_home(value)) else depth))

    def _look_at_tensor(self, tensor: torch.Tensor) -> None:
        is_plain = type(tensor) in (torch.Tensor, torch.nn.Parameter) and not is_transformed(tensor)
        if is_plain and tensor.device.type == "cpu" and tensor.layout == torch.strided:
            plain = tensor.detach().resolve_conj().resolve_neg()
            if plain.dtype != torch.bfloat16:
                self._memory.append((tensor, tensor.data_ptr()))
                return self._look_at_array(tensor, plain.numpy())
        version = None if tensor.is_inference() else tensor._version
        if version is not None:
            self._tensors.append((tensor, version))
        self.found.append((Same(tensor), version))
        return None

    def _look_at_array(self, holder: Any, array: NDArray[Any]) -> None:
        self._arrays.append((array, content := _bytes(array)))
        self.found.append((Same(holder), content))
        if array.dtype.hasobject:
            self._waiting.extend((part, INSTALLED_DEPTH) for part in array.flat)

    def _look_at_parts(self, value: Any, depth: int) -> None:
        if isinstance(value, Mapping):
            keys, parts = list(value), list(value.values())
            self._mappings.append((value, keys, parts))
            self.found.append((Same(value), [key if isinstance(key, NUMBERS) else Same(key) for key in keys]))
            if isinstance(value, defaultdict):
                self._note(functools.partial(getattr, value), ("default_factory",), depth)
        elif isinstance(value, AbstractSet):
            parts = [part for part in value if not isinstance(part, NUMBERS)]
            self._sets.append((value, frozenset(value)))
            self.found.append((type(value), {part for part in value if isinstance(part, NUMBERS)}))
        else:
            parts = [] if (id(value), "") in self._left_out else list(value)
            if not isinstance(value, tuple) and (id(value), "") not in self._left_out:
                self._lists.append((value, parts))
            self.found.append((type(value), len(parts)))
        self._waiting.extend((part, depth) for part in parts)

    def _look_at_object(self, value: Any, depth: int) -> None:
        if isinstance(value, functools.partial | functools.partialmethod):
            self._waiting.extend((part, depth) for part in (value.func, value.args, value.keywords))
            if value.func in (getattr, hasattr, vars):
                self.met["getattr"] = None
        elif isinstance(value, types.MethodType) and isinstance(value.__func__, types.FunctionType):
            if not _is_of_a_library(value):
                self._waiting.extend(((value.__self__, depth), (value.__func__, depth)))
        elif isinstance(value, types.BuiltinMethodType | types.MethodWrapperType):
            self._waiting.append((value.__self__, depth - 1))
        elif isinstance(value, contextvars.ContextVar):
            self._note(functools.partial(_content_of, value), ("",), depth - 1)
        elif isinstance(value, weakref.ref):
            self._note(functools.partial(_referent_of, value), ("",), depth - 1)
        elif isinstance(value, operator.attrgetter | operator.methodcaller):
            self.met.update(dict.fromkeys(_names_of_getter(value)))
        elif isinstance(value, types.FunctionType):
            if not _is_of_a_library(value):
                self._look_at_function(value, depth - 1)
                self._note_own(vars(value), depth - 1)
                self._waiting.append((vars(value).get("registry"), depth - 1))  # of functools.singledispatch
        elif isinstance(value, types.ModuleType):
            if not _is_of_a_library(value):
                self._note(vars(value).get, dict.fromkeys((*self.named, "__getattr__")), depth - 1)
        elif isinstance(value, type):
            made = () if is_installed(_home(value)) else (*_reading_methods(value), *MAKING)
            self._look_at_class(value, value, (*self.named, *made), depth - 1)
            if not (is_installed(_home(value)) or _is_of_a_library(type(value))):
                meta = (*self.named, *_reading_methods(type(value)))
                self._look_at_class(type(value), value, meta, depth - 1)
        else:
            self._look_at_instance(value, depth - 1)

    def _look_at_function(self, function: types.FunctionType, depth: int) -> None:
        names = _names_in(function.__code__)
        self.met.update(dict.fromkeys(names))
        for cell in function.__closure__ or ():
            if (id(cell), "") not in self._left_out:
                self._cells.append((cell, value := content_of(cell, MISSING)))
                self._waiting.append((value, depth))
        space = function.__globals__
        self._note(space.get, names, depth)
        if not OF_ALL_GLOBALS.isdisjoint(
            names
        ):  # by names that may be made up as it runs: not what lies within
            self._note(space.get, [name for name in space if name not in names], min(depth, 1))
        if not OF_ENVIRONMENT.isdisjoint(names):
            self._waiting.append((os.environ, depth))
        texts = names if IMPORTING.isdisjoint(names) else (*names, *_texts_in(function.__code__))
        for name in texts:  # imported within
            if name in sys.modules and name not in function.__globals__:
                self._waiting.append((sys.modules[name], depth))
        self._note(functools.partial(getattr, function), FUNCTION_PARTS, depth)

    def _look_at_instance(self, value: Any, depth: int) -> None:
        """The attributes of an object that are named, and what its methods and properties of these names read."""
        self._note_own(_own_of(value), depth)
        methods = [*self.named, *_reading_methods(type(value))]
        if not WRITTEN_BY.isdisjoint(self.named):
            methods += WRITING
        if not (_is_of_a_library(type(value)) or is_installed(_home(value))):
            self._note(functools.partial(_class_of, value), ("",), depth)
        elif _is_of_pennylane(value, "Operator"):
            self._note(functools.partial(getattr, value), ("data", "hyperparameters"), depth)
        elif _is_of_pennylane(value, "QNode"):
            self._note(functools.partial(getattr, value), ("func",), depth)
        else:
            arrays = [name for name, part in _own_of(value).items() if isinstance(part, np.ndarray)]
            self._note(_own_of(value).get, arrays, depth)
            if is_installed(_home(value)) and (content := _numbers_of(value)) is not None:
                self._buffers.append((value, content))
                self.found.append(content)
        if isinstance(value, torch.nn.Module):
            hooks = value._forward_hooks, value._forward_pre_hooks
            parts = (value._parameters, value._buffers, value._modules, *hooks)
            self._waiting.extend((part, depth) for part in parts)
            methods.append("forward")
        self._look_at_class(type(value), value, methods, depth)

    def _look_at_class(self, kind: type, value: Any, names: Iterable[str], depth: int) -> None:
        for owner in kind.__mro__:
            if _is_of_a_library(owner):
                continue
            space = vars(owner)
            for name in dict.fromkeys(name for name in names if name in space):
                if isinstance(space[name], types.MemberDescriptorType):  # a slot
                    self._note(functools.partial(getattr, value), (name,), depth)
                    continue
                self._note(space.get, (name,), depth)
                method = _function_of(space[name])
                if method is not None and depth > 0:
                    self._waiting.append((method, depth))

    def _note_own(self, own: Mapping[str, Any], depth: int) -> None:
        """The attributes of an object that are named, and which it has."""
        self._keys.append((own, list(own)))
        reads_all = not BY_STRING.isdisjoint(self.named)
        self._note(
            own.get, [name for name in own if reads_all or name in self.met or name == "__wrapped__"], depth
        )

    def _note(self, get: Callable[[str, Any], Any], names: Iterable[str], depth: int) -> None:
        """Places by name, and what stands in them."""
        for name in names:
            self.found.append(name)
            if _place(get, name) in self._left_out:
                continue
            value = get(name, MISSING)
            self._names.append((get, name, value))
            if value is not MISSING:
                self._waiting.append((value, depth))


def _place(get: Callable[[str, Any], Any], name: str) -> Place:
    """The dict of ``dict.get``, or the object of a ``partial(getattr, object)``, and the name in it."""
    owner = get.args[0] if isinstance(get, functools.partial) else getattr(get, "__self__", get)
    return id(owner), name


@functools.lru_cache(maxsize=1024)
def _names_in(code: types.CodeType) -> Names:
    """The names in code and in all code within it: comprehensions, lambdas and inner functions."""
    return tuple(dict.fromkeys(_each_name(code)))


def _each_name(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    if not WRITTEN_IN.isdisjoint(code.co_code[::2]):
        yield "format"
    in_texts = not OF_ALL_GLOBALS.isdisjoint(code.co_names)
    for constant in code.co_consts:
        if in_texts and isinstance(constant, str):
            yield from re.findall(r"[^\W\d]\w*", constant)
        if isinstance(constant, types.CodeType):
            yield from _each_name(constant)


def _reading_methods(kind: type) -> Iterator[str]:
    """The special methods of the user's own classes, which code calls without their names."""
    for owner in kind.__mro__:
        if not _is_of_a_library(owner):
            for name, method in vars(owner).items():
                if (
                    isinstance(method, types.FunctionType)
                    and name.startswith("__")
                    and name not in NOT_READING
                    and method.__code__.co_filename != GENERATED
                ):
                    yield name


def _function_of(attribute: Any) -> types.FunctionType | None:
    """The function behind a method or property of a class."""
    if isinstance(attribute, staticmethod | classmethod):
        attribute = attribute.__func__
    elif isinstance(attribute, property):
        attribute = attribute.fget
    elif isinstance(attribute, functools.cached_property | functools.partialmethod):
        attribute = attribute.func
    if isinstance(attribute, property):  # in a class method
        attribute = attribute.fget
    return attribute if isinstance(attribute, types.FunctionType) else None


def _texts_in(code: types.CodeType) -> Iterator[str]:
    """The texts in code and in all code within it."""
    for constant in code.co_consts:
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, types.CodeType):
            yield from _texts_in(constant)


def _names_of_getter(getter: Any) -> Iterator[str]:
    """The attributes that an ``attrgetter`` or a ``methodcaller`` looks up."""
    for part in getter.__reduce__()[1]:
        if isinstance(part, str):
            yield from part.split(".")


def _content_of(variable: contextvars.ContextVar[Any], _: str, default: Any) -> Any:
    return variable.get(default)


def _referent_of(reference: weakref.ref[Any], *_: Any) -> Any:
    return reference()


def _own_of(value: Any) -> Mapping[str, Any]:
    """The attributes of an object itself."""
    try:
        own = getattr(value, "__dict__", None)
    except Exception:  # of the object's own code
        return {}
    return own if isinstance(own, dict) else {}


def _says_its_class(value: Any) -> bool:
    """Whether an object may be asked what it is: one with attributes of its own making may raise."""
    try:
        return value.__class__ is not None
    except Exception:
        return False


def _is_bare(value: Any) -> bool:
    """Whether a number, container, array or tensor is one of Python's or a library's own, without more attributes."""
    return _is_of_a_library(type(value)) and not _own_of(value)


def _is_of_pennylane(value: Any, name: str) -> bool:
    return any(owner.__name__ == name and _is_of_a_library(owner) for owner in type(value).__mro__)


def _class_of(value: Any, *_: Any) -> type:
    return type(value)


def _raw(value: Any) -> bytes:
    return memoryview(value).tobytes()


def _numbers_of(value: Any) -> bytes | None:
    """The numbers in an installed package's table or series; None where it is none, or holds other objects."""
    if not hasattr(type(value), "__array__"):
        return None
    try:
        found = np.asarray(value)
    except Exception:  # whatever an object does that is no array
        return None
    return None if found.dtype.hasobject else found.tobytes()


def _content_now(value: Any) -> bytes | None:
    return _raw(value) if isinstance(value, BUFFERS) else _numbers_of(value)


def _bytes(array: NDArray[Any]) -> bytes | int:
    if array.nbytes <= ARRAY_BYTES:
        return array.tobytes()
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data)


def _are_one(now: list[Any], before: list[Any]) -> bool:
    return len(now) == len(before) and all(map(operator.is_, now, before))


def _home(value: Any) -> str:
    home = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
    return (home if isinstance(home, str) else type(value).__module__).split(".")[0]


def _is_of_a_library(value: Any) -> bool:
    return _home(value) in LIBRARIES
