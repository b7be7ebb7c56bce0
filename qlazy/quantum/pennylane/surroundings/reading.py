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
from collections.abc import Iterable, Mapping, ValuesView
from collections.abc import Set as AbstractSet
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray

from qlazy.base.chance import GENERATORS
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
    own_of,
    reading_methods,
    says_its_class,
)
from qlazy.quantum.pennylane.surroundings.names import (
    BY_STRING,
    IMPORTING,
    OF_ALL_GLOBALS,
    OF_ENVIRONMENT,
    WRITTEN_BY,
    Names,
    names_in,
    names_of_getter,
    texts_in,
)
from qlazy.quantum.pennylane.surroundings.places import BUFFERS, MISSING, Get, Place, Places, place_of

DEPTH, INSTALLED_DEPTH = 16, 4
"""How far objects are followed: the user's own, and those of installed packages."""
MOST = 20_000
"""How many objects are looked at; the nearest come first."""
FUNCTION_PARTS = ("__code__", "__defaults__", "__kwdefaults__")


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

    def __init__(self, function: Any, left_out: Mapping[Place, Any], named: Names) -> None:
        self.found: list[Any] = []
        self.generators: list[Any] = []
        self.places = Places()
        self.named, self.met = named, dict.fromkeys(named)
        self._left_out = left_out
        self._seen: set[int] = set()
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
        if isinstance(value, NUMBERS):
            self.found.append((type(value), value if value == value else repr(value)))
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
        elif isinstance(value, BUFFERS):
            self.found.append((Same(value), self.places.buffer(value)))
        elif isinstance(value, Mapping | list | tuple | AbstractSet | deque | ValuesView | UserList):
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
        if isinstance(value, functools.partial | functools.partialmethod):
            self._waiting.extend((part, depth) for part in (value.func, value.args, value.keywords))
            if value.func in (getattr, hasattr, vars):
                self.met["getattr"] = None
        elif isinstance(value, types.MethodType) and isinstance(value.__func__, types.FunctionType):
            if not is_of_a_library(value):
                self._waiting.extend(((value.__self__, depth), (value.__func__, depth)))
        elif isinstance(value, types.BuiltinMethodType | types.MethodWrapperType):
            self._waiting.append((value.__self__, depth - 1))
        elif isinstance(value, contextvars.ContextVar):
            self._note(functools.partial(_content_of, value), ("",), depth - 1)
        elif isinstance(value, weakref.ref):
            self._note(functools.partial(_referent_of, value), ("",), depth - 1)
        elif isinstance(value, operator.attrgetter | operator.methodcaller):
            self.met.update(dict.fromkeys(names_of_getter(value)))
        elif isinstance(value, types.FunctionType):
            if not is_of_a_library(value):
                self._look_at_function(value, depth - 1)
                self._note_own(vars(value), depth - 1)
                self._waiting.append((vars(value).get("registry"), depth - 1))  # of functools.singledispatch
        elif isinstance(value, types.ModuleType):
            if not is_of_a_library(value):
                self._note(vars(value).get, dict.fromkeys((*self.named, "__getattr__")), depth - 1)
        elif isinstance(value, type):
            made = () if is_installed(home_of(value)) else (*reading_methods(value), *MAKING)
            self._look_at_class(value, value, (*self.named, *made), depth - 1)
            if not (is_installed(home_of(value)) or is_of_a_library(type(value))):
                meta = (*self.named, *reading_methods(type(value)))
                self._look_at_class(type(value), value, meta, depth - 1)
        else:
            self._look_at_instance(value, depth - 1)

    def _look_at_function(self, function: types.FunctionType, depth: int) -> None:
        names = names_in(function.__code__)
        self.met.update(dict.fromkeys(names))
        for cell in function.__closure__ or ():
            if (id(cell), "") not in self._left_out:
                self._waiting.append((self.places.cell(cell), depth))
        space = function.__globals__
        self._note(space.get, names, depth)
        if not OF_ALL_GLOBALS.isdisjoint(names):
            # by names that may be made up as it runs: not what lies within
            self._note(space.get, [name for name in space if name not in names], min(depth, 1))
        if not OF_ENVIRONMENT.isdisjoint(names):
            self._waiting.append((os.environ, depth))
        texts = names if IMPORTING.isdisjoint(names) else (*names, *texts_in(function.__code__))
        for name in texts:  # imported within
            if name in sys.modules and name not in function.__globals__:
                self._waiting.append((sys.modules[name], depth))
        self._note(functools.partial(getattr, function), FUNCTION_PARTS, depth)

    def _look_at_instance(self, value: Any, depth: int) -> None:
        """The attributes of an object that are named, and what its methods and properties of these names read."""
        self._note_own(own_of(value), depth)
        methods = [*self.named, *reading_methods(type(value))]
        if not WRITTEN_BY.isdisjoint(self.named):
            methods += WRITING
        if not (is_of_a_library(type(value)) or is_installed(home_of(value))):
            self._note(functools.partial(_class_of, value), ("",), depth)
        elif is_of_pennylane(value, "Operator"):
            self._note(functools.partial(getattr, value), ("data", "hyperparameters"), depth)
        elif is_of_pennylane(value, "QNode"):
            self._note(functools.partial(getattr, value), ("func",), depth)
        else:
            arrays = [name for name, part in own_of(value).items() if isinstance(part, np.ndarray)]
            self._note(own_of(value).get, arrays, depth)
            if is_installed(home_of(value)) and (content := self.places.buffer(value)) is not None:
                self.found.append(content)
        if isinstance(value, torch.nn.Module):
            hooks = value._forward_hooks, value._forward_pre_hooks
            parts = (value._parameters, value._buffers, value._modules, *hooks)
            self._waiting.extend((part, depth) for part in parts)
            methods.append("forward")
        self._look_at_class(type(value), value, methods, depth)

    def _look_at_class(self, kind: type, value: Any, names: Iterable[str], depth: int) -> None:
        for owner in kind.__mro__:
            if is_of_a_library(owner):
                continue
            space = vars(owner)
            for name in dict.fromkeys(name for name in names if name in space):
                if isinstance(space[name], types.MemberDescriptorType):  # a slot
                    self._note(functools.partial(getattr, value), (name,), depth)
                    continue
                self._note(space.get, (name,), depth)
                method = function_of(space[name])
                if method is not None and depth > 0:
                    self._waiting.append((method, depth))

    def _note_own(self, own: Mapping[str, Any], depth: int) -> None:
        """The attributes of an object that are named, and which it has."""
        self.places.keys(own)
        reads_all = not BY_STRING.isdisjoint(self.named)
        self._note(
            own.get, [name for name in own if reads_all or name in self.met or name == "__wrapped__"], depth
        )

    def _note(self, get: Get, names: Iterable[str], depth: int) -> None:
        """Places by name, and what stands in them."""
        for name in names:
            self.found.append(name)
            if place_of(get, name) in self._left_out:
                continue
            value = self.places.name(get, name)
            if value is not MISSING:
                self._waiting.append((value, depth))


def _content_of(variable: contextvars.ContextVar[Any], _: str, default: Any) -> Any:
    return variable.get(default)


def _referent_of(reference: weakref.ref[Any], *_: Any) -> Any:
    return reference()


def _class_of(value: Any, *_: Any) -> type:
    return type(value)
