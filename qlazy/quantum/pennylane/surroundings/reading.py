"""A walk over all that a function reads: what is found on it, and the places where that may change."""

from __future__ import annotations

import contextvars
import functools
import operator
import os
import sys
import types
import weakref
from collections import UserList, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, MappingView
from collections.abc import Set as AbstractSet
from typing import Any, cast, final

import numpy as np
import torch
from numpy.typing import NDArray

from qlazy.base.chance import GENERATORS, is_global
from qlazy.base.identity import is_installed
from qlazy.base.torch_private import is_transformed, outside_transforms
from qlazy.quantum.pennylane.surroundings.kinds import (
    BUILT_IN,
    MAKING,
    NUMBERS,
    WRITING,
    function_of,
    home_of,
    is_bare,
    is_of_a_library,
    is_of_pennylane,
    is_told_by_attributes,
    is_untold,
    names_of_libraries,
    own_of,
    reading_methods,
    says_its_class,
    slots_of_libraries,
)
from qlazy.quantum.pennylane.surroundings.names import (
    BY_STRING,
    IMPORTING,
    OF_ALL_GLOBALS,
    OF_ENVIRONMENT,
    OF_FILES,
    PATHS,
    WRITTEN_BY,
    Names,
    names_in,
    names_in_fields,
    names_of_getter,
    texts_in,
)
from qlazy.quantum.pennylane.surroundings.opened import File, Opened
from qlazy.quantum.pennylane.surroundings.places import (
    HOLDERS,
    MISSING,
    Get,
    Place,
    Places,
    Surroundings,
    class_of,
    content_of_variable,
    place_of,
    referent_of,
)
from qlazy.quantum.pennylane.surroundings.settings import OF_LIBRARIES, OF_WRITING, Ask, settings

DEPTH, INSTALLED_DEPTH = 16, 4
"""How far objects are followed: the user's own, and those of installed packages."""
MOST = 20_000
"""How many objects are looked at; the nearest come first."""
PASSES = 6
"""Code reached by names in code is read so many times further, at most: what lies beyond is not looked at."""
NOT_DECIDING = frozenset({"logging", "warnings", "threading"})
"""Libraries whose objects make no numbers."""
FUNCTION_PARTS = ("__code__", "__defaults__", "__kwdefaults__")


def surroundings_of(
    function: Any, before: Surroundings | None = None, opened: Opened | None = None
) -> Surroundings:
    """What a function reads.

    ``before`` are those from before it was called: what has changed since then the function changes itself, counters
    for instance. It was called several times and queued the same, so that these places say nothing and are left out.
    ``opened`` is what it opened meanwhile.
    """
    left_out = {} if before is None else before.moved()
    files = () if opened is None else tuple(map(File, opened.paths))
    return Surroundings(
        functools.partial(_read, function, left_out, files), opened is None or not opened.is_beyond
    )


def generators_of(function: Any) -> list[Any]:
    """The generators of random numbers that a function reads, but for the global ones."""
    return [generator for generator in _read(function, {}, ()).generators if not is_global(generator)]


def _read(function: Any, left_out: Mapping[Place, Any], files: tuple[File, ...]) -> Reading:
    """All that a function reads: anew, until no code is reached that names further attributes."""
    reading = Reading(function, left_out, (), files)
    for _ in range(PASSES):
        if len(reading.met) == len(reading.named) or reading.is_full:
            break
        reading = Reading(function, left_out, tuple(reading.met), files)
    return reading


@final
class Same:
    """A value compared by identity, and held, so that no other takes its place in memory."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self._value is other._value

    __hash__ = None  # type: ignore[assignment]


@final
class Reading:
    """All that a function reads (``found``), and every place where a change may come from, with what is there.

    Of objects the attributes ``named`` are looked at; ``met`` are those and the names in all code that was reached.
    What cannot change, such as tuples of numbers, is told by the place that holds it.
    """

    def __init__(
        self, function: Any, left_out: Mapping[Place, Any], named: Names, files: tuple[File, ...]
    ) -> None:
        self.found: list[Any] = []
        self.is_untold = False
        self.generators: list[Any] = []
        self.places = Places()
        self.named, self.met = named, dict.fromkeys(named)
        self._left_out = left_out
        self._seen: set[int] = set()
        self._reads_all = not BY_STRING.isdisjoint(named)
        self._libraries: set[str] = set()
        self._writes = not WRITTEN_BY.isdisjoint(named)
        self._note_settings((*settings(), *(OF_WRITING if self._writes else ())))
        self.found.extend(map(self.places.buffer, files))
        self._waiting: deque[tuple[Any, int]] = deque([(function, DEPTH)])
        with outside_transforms():
            while self._waiting and len(self._seen) < MOST:
                value, left = self._waiting.popleft()
                if says_its_class(value):
                    self._look(value, left)
                else:
                    self.found.append(Same(value))
                    self._waiting.append((type(value), left - 1))

    @property
    def is_full(self) -> bool:
        """Whether there was more to look at than :data:`MOST` objects."""
        return len(self._seen) >= MOST

    def _look(self, value: Any, depth: int) -> None:
        if isinstance(value, NUMBERS) and not isinstance(value, np.void):
            self.found.append((type(value), value if value == value else repr(value)))
            if isinstance(value, str):
                self.met.update(dict.fromkeys(names_in_fields(value)))
            if is_of_a_library(type(value)):
                return
        if id(value) in self._seen:
            return
        self._seen.add(id(value))
        if isinstance(value, BUILT_IN) and depth > 0 and not is_bare(value):
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
        elif isinstance(value, HOLDERS):
            self.found.append((Same(value), self.places.buffer(value)))
        elif isinstance(value, MappingView):
            self.found.append(type(value))
            self._waiting.append((getattr(value, "mapping", None) or getattr(value, "_mapping", None), depth))
        elif isinstance(value, Mapping) and is_told_by_attributes(value):
            self.found.append(Same(value))
        elif isinstance(value, Mapping | list | tuple | AbstractSet | deque | UserList):
            self._look_at_parts(value, depth - 1)
        elif isinstance(value, NUMBERS):
            return
        else:
            self.found.append(Same(value))
            self._look_at_object(
                value, min(depth, INSTALLED_DEPTH) if is_installed(home_of(value)) else depth
            )

    def _look_at_tensor(self, tensor: torch.Tensor) -> None:
        is_plain = type(tensor) in (torch.Tensor, torch.nn.Parameter) and not is_transformed(tensor)
        if is_plain and tensor.device.type == "cpu" and tensor.layout == torch.strided:
            plain = tensor.detach().resolve_conj().resolve_neg()
            if plain.dtype != torch.bfloat16:
                self.places.memory(tensor)
                return self._look_at_array(tensor, plain.numpy())
        self.found.append((Same(tensor), self.places.version(tensor)))
        return None

    def _look_at_array(self, holder: Any, array: NDArray[Any]) -> None:
        self.found.append((Same(holder), self.places.array(array)))
        if array.dtype.hasobject:
            self._waiting.extend((part, INSTALLED_DEPTH) for part in array.flat)

    def _look_at_parts(self, value: Any, depth: int) -> None:
        if isinstance(value, Mapping):
            keys, parts = self.places.mapping(value)
            self.found.append((Same(value), [key if isinstance(key, NUMBERS) else Same(key) for key in keys]))
            parts = [*parts, *(key for key in keys if not isinstance(key, NUMBERS))]
            if isinstance(value, defaultdict):
                self._note(functools.partial(getattr, value), ("default_factory",), depth)
        elif isinstance(value, AbstractSet):
            self.places.elements(value)
            parts = [part for part in value if not isinstance(part, NUMBERS)]
            self.found.append((type(value), {part for part in value if isinstance(part, NUMBERS)}))
        else:
            if (id(value), "") in self._left_out:
                parts = []
            else:
                parts = list(value) if isinstance(value, tuple) else self.places.sequence(value)
            self.found.append((type(value), len(parts)))
        self._waiting.extend((part, depth) for part in parts)

    def _look_at_object(self, value: Any, depth: int) -> None:
        self._note_library(home_of(value))
        if isinstance(value, functools.partial | functools.partialmethod):
            self._waiting.extend((part, depth) for part in (value.func, value.args, value.keywords))
            if value.func in (getattr, hasattr, vars):
                self.met["getattr"] = None
        elif isinstance(value, types.MethodType) and isinstance(value.__func__, types.FunctionType):
            self._waiting.append((value.__self__, depth))
            if not is_of_a_library(value):
                self._waiting.append((value.__func__, depth))
        elif isinstance(value, types.BuiltinMethodType | types.MethodWrapperType):
            self._waiting.append((value.__self__, depth - 1))
        elif isinstance(value, contextvars.ContextVar):
            self._note(functools.partial(content_of_variable, value), ("",), depth - 1)
        elif isinstance(value, weakref.ref):
            self._note(functools.partial(referent_of, value), ("",), depth - 1)
        elif isinstance(value, operator.attrgetter | operator.methodcaller):
            self.met.update(dict.fromkeys(names_of_getter(value)))
        elif isinstance(value, types.FunctionType):
            is_theirs = is_of_a_library(value)
            if not is_theirs:
                self._look_at_function(value, depth - 1)
            self._look_at_cells(value, depth - 1)
            self._note_own(value, depth - 1, is_theirs)
        elif isinstance(value, types.ModuleType):
            if not is_of_a_library(value):
                self._note(vars(value).get, dict.fromkeys((*self.named, "__getattr__")), depth - 1)
        elif isinstance(value, type):
            made = () if is_installed(home_of(value)) else (*reading_methods(value), *MAKING)
            if not is_of_a_library(value):
                self._note(functools.partial(getattr, value), ("__mro__",), 0)
            self._look_at_class(value, value, (*self.named, *made), depth - 1)
            if not (is_installed(home_of(value)) or is_of_a_library(type(value))):
                meta = (*self.named, *reading_methods(type(value)))
                self._look_at_class(type(value), value, meta, depth - 1)
        else:
            self._look_at_instance(value, depth - 1)

    def _look_at_function(self, function: types.FunctionType, depth: int) -> None:
        names = names_in(function.__code__)
        self.met.update(dict.fromkeys(names))
        space = function.__globals__
        self._note(space.get, names, depth)
        built_in = cast(Any, function).__builtins__  # which mypy knows or not, by its cache
        self._note(built_in.get, [name for name in names if name not in space and name in built_in], depth)
        if not OF_ALL_GLOBALS.isdisjoint(names):
            # by names that may be made up as it runs: not what lies within
            self._note(space.get, [name for name in space if name not in names], min(depth, 1))
        if not OF_ENVIRONMENT.isdisjoint(names):
            self._waiting.append((os.environ, depth))
        texts = names if IMPORTING.isdisjoint(names) else (*names, *texts_in(function.__code__))
        for name in texts:  # imported within
            for whole in (name, *(f"{above}.{name}" for above in _packages_of(function))):
                if whole in sys.modules and name not in space:
                    self._waiting.append((sys.modules[whole], depth))
        self._note(functools.partial(getattr, function), FUNCTION_PARTS, depth)

    def _look_at_cells(self, function: types.FunctionType, depth: int) -> None:
        for cell in function.__closure__ or ():
            if (id(cell), "") not in self._left_out:
                self._waiting.append((self.places.cell(cell), depth))

    def _look_at_instance(self, value: Any, depth: int) -> None:
        """The attributes of an object that are named, and what its methods and properties of these names read."""
        kind = type(value)
        self.is_untold = self.is_untold or is_untold(value)
        is_theirs = is_of_a_library(kind) or is_installed(home_of(value))
        if is_of_pennylane(value, "QNode"):
            self._note(functools.partial(getattr, value), ("func", "device"), depth)
        elif home_of(kind) not in NOT_DECIDING:
            self._note_own(value, depth, is_theirs)
        methods = [*self.named, *reading_methods(kind)]
        if self._writes:
            methods += WRITING
        if not is_theirs:
            self._note(functools.partial(class_of, value), ("",), depth)
        elif is_of_pennylane(value, "Operator"):
            self._note(functools.partial(getattr, value), ("data", "hyperparameters"), depth)
        elif is_installed(home_of(value)) and (content := self.places.buffer(value)) is not None:
            self.found.append(content)
        self._look_at_class(kind, value, methods, depth)

    def _look_at_class(self, kind: type, value: Any, names: Iterable[str], depth: int) -> None:
        for owner in kind.__mro__:
            if is_of_a_library(owner):
                continue
            space = vars(owner)
            named = (name for name in names if name in space)
            for name in (
                list(space) if self._reads_all and not is_installed(home_of(owner)) else dict.fromkeys(named)
            ):
                if isinstance(space[name], types.MemberDescriptorType):  # a slot
                    self._note(functools.partial(getattr, value), (name,), depth)
                    continue
                self._note(space.get, (name,), depth)
                method = function_of(space[name])
                if method is not None and depth > 0:
                    self._waiting.append((method, depth))

    def _note_own(self, value: Any, depth: int, is_theirs: bool) -> None:
        """The attributes of an object that are named, or that a library's code may read, and which it has."""
        own = own_of(value)
        self.places.keys(own)
        if self._reads_all or is_theirs:
            read = list(own)
        else:
            known = names_of_libraries(type(value))
            read = [name for name in own if name in self.met or name in known or name == "__wrapped__"]
        self._note(own.get, read, depth)
        self._note(functools.partial(getattr, value), slots_of_libraries(type(value)), depth)

    def _note_library(self, home: str) -> None:
        self.is_untold = self.is_untold or (home in PATHS and not OF_FILES.isdisjoint(self.named))
        if home in OF_LIBRARIES and home not in self._libraries:
            self._libraries.add(home)
            self._note_settings((OF_LIBRARIES[home],))

    def _note_settings(self, asked: Iterable[Ask]) -> None:
        self.found.extend(map(self.places.answer, asked))

    def _note(self, get: Get, names: Iterable[str], depth: int) -> None:
        """Places by name, and what stands in them."""
        for name in names:
            self.found.append(name)
            if place_of(get, name) in self._left_out:
                continue
            value = self.places.name(get, name)
            if value is not MISSING:
                self._waiting.append((value, depth))


def _packages_of(function: types.FunctionType) -> Iterator[str]:
    """The package of a function's module and those above: what it imports may stand beside it."""
    package = function.__globals__.get("__package__")
    while isinstance(package, str) and package:
        yield package
        package = package.rpartition(".")[0]
