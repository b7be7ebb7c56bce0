"""Kinds of objects: whose they are, what they hold themselves, and which of their methods code calls without a name."""

from __future__ import annotations

import functools
import io
import sys
import types
from collections import deque
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np
import torch

from qlazy.base.identity import is_installed
from qlazy.quantum.pennylane.surroundings.names import names_in

NUMBERS = (bool, int, float, complex, str, bytes, type(None), np.generic)
BUILT_IN = (*NUMBERS, torch.Tensor, np.ndarray, Mapping, list, tuple, AbstractSet, deque)
"""Of these kinds values are looked at by what they hold, and by their attributes where they have any."""
MAKING = ("__init__", "__new__", "__post_init__", "__class_getitem__")
"""What runs where a class is called, or indexed."""
WRITING = ("__repr__", "__str__", "__format__")
"""What runs where an object is written, in code that does so."""
_LIBRARIES = frozenset({
    *sys.stdlib_module_names, "pennylane", "torch", "numpy", "scipy", "qlazy", "autograd", "autoray", "numba", "pandas",
    "xarray", "polars", "sympy", "networkx", "sklearn", "matplotlib", "jax", "qiskit",
}) - {"__main__"}  # fmt: skip
"""Packages whose code is not followed: all attributes of their objects are looked at in its place."""
_NOT_READING = frozenset({
    *MAKING, *WRITING, "__del__", "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__init_subclass__",
    "__set_name__",
})  # fmt: skip
_ELSEWHERE = frozenset({"sqlite3", "socket", "_socket", "subprocess"})
_FIXED, _MADE = 1 << 8, 1 << 9
"""Flags of classes that cannot be changed, and of those that were made as the program runs."""
_GENERATED = "__create_fn__."
"""How code is called that a dataclass writes: it compares all that there is."""


def home_of(value: Any) -> str:
    """The package that an object is from; none for what code made that has no module, which claims to be built in."""
    if isinstance(value, types.MethodType):
        value = value.__func__
    if isinstance(value, types.FunctionType):  # `functools.wraps` copies the module of another
        home = value.__globals__.get("__name__")
        return home.split(".")[0] if isinstance(home, str) else ""
    home = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
    home = (home if isinstance(home, str) else type(value).__module__).split(".")[0]
    return "" if home == "builtins" and isinstance(value, type) and _is_made_by_code(value) else home


def _is_made_by_code(kind: type) -> bool:
    """Whether a class was made as the program runs, and may be changed."""
    return bool(kind.__flags__ & _MADE) and not kind.__flags__ & _FIXED


def is_a_library(home: str) -> bool:
    return home in _LIBRARIES


def is_of_a_library(value: Any) -> bool:
    return home_of(value) in _LIBRARIES


def is_of_pennylane(value: Any, name: str) -> bool:
    """Whether an object is of PennyLane's class of that name."""
    return any(owner.__name__ == name and is_of_a_library(owner) for owner in type(value).__mro__)


def is_bare(value: Any) -> bool:
    """Whether a number, container, array or tensor is one of Python's or a library's own, without more attributes."""
    return is_of_a_library(type(value)) and not own_of(value)


def says_its_class(value: Any) -> bool:
    """Whether an object may be asked what it is: one with attributes of its own making may raise."""
    try:
        return value.__class__ is not None
    except Exception:
        return False


def own_of(value: Any) -> Mapping[str, Any]:
    """The attributes of an object itself."""
    try:
        own = getattr(value, "__dict__", None)
    except Exception:  # of the object's own code
        return {}
    return own if isinstance(own, dict) else {}


def reading_methods(kind: type) -> Iterator[str]:
    """The methods of the user's own classes that run without a name in code: special ones, and those libraries call."""
    of_libraries = {name for owner in kind.__mro__[:-1] if is_of_a_library(owner) for name in vars(owner)}
    for owner in kind.__mro__:
        if not is_of_a_library(owner):
            for name, member in vars(owner).items():
                method = function_of(member)
                is_called = name in of_libraries or (name.startswith("__") and method is member)
                if (
                    method is not None
                    and is_called
                    and name not in _NOT_READING
                    and not method.__code__.co_qualname.startswith(_GENERATED)
                ):
                    yield name


def names_of_libraries(kind: type) -> frozenset[str]:
    """The names in all methods that a class has of libraries: which attributes of an object these may read."""
    owners = [owner for owner in kind.__mro__[:-1] if is_of_a_library(owner)]
    return frozenset().union(*map(_names_of_methods, owners))


@functools.lru_cache(maxsize=1024)
def _names_of_methods(owner: type) -> frozenset[str]:
    methods = filter(None, map(function_of, vars(owner).values()))
    return frozenset(name for method in methods for name in names_in(method.__code__))


def slots_of_libraries(kind: type) -> Iterator[str]:
    """The slots that an object has of classes of libraries."""
    for owner in kind.__mro__:
        if "__slots__" in vars(owner) and (is_of_a_library(owner) or is_installed(home_of(owner))):
            yield from (
                name for name, part in vars(owner).items() if isinstance(part, types.MemberDescriptorType)
            )


def is_told_by_attributes(value: Mapping[Any, Any]) -> bool:
    """Whether a mapping of a library, which may make its entries anew at each look, holds them in attributes."""
    kind = type(value)
    theirs = is_of_a_library(kind) or is_installed(home_of(kind))
    is_plain = issubclass(kind, dict) and kind.__iter__ is dict.__iter__
    return theirs and bool(own_of(value)) and not is_plain


def is_untold(value: Any) -> bool:
    """Whether what an object gives lies where it cannot be seen: in a file, a data base, or with another process."""
    if isinstance(value, io.IOBase):
        return not isinstance(value, io.StringIO | io.BytesIO) and not value.closed and value.readable()
    if isinstance(value, np.ufunc):  # one made of the user's function hides it
        return getattr(np, value.__name__, None) is not value and not _is_of_scipy(value)
    return any(home_of(owner) in _ELSEWHERE or owner.__name__ == "BaseProxy" for owner in type(value).__mro__)


def _is_of_scipy(value: np.ufunc) -> bool:
    """Whether it is one of SciPy's."""
    special = sys.modules.get("scipy.special")
    return special is not None and getattr(special, value.__name__, None) is value


def function_of(attribute: Any) -> types.FunctionType | None:
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
