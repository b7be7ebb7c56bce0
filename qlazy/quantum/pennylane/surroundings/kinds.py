"""Kinds of objects: whose they are, what they hold themselves, and which of their methods code calls without a name."""

from __future__ import annotations

import functools
import sys
import types
from collections import deque
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np
import torch

NUMBERS = (bool, int, float, complex, str, bytes, type(None), np.generic)
BUILT_IN = (*NUMBERS, torch.Tensor, np.ndarray, Mapping, list, tuple, AbstractSet, deque)
"""Of these kinds values are looked at by what they hold, and by their attributes where they have any."""
MAKING = ("__init__", "__new__", "__post_init__", "__class_getitem__")
"""What runs where a class is called, or indexed."""
WRITING = ("__repr__", "__str__", "__format__")
"""What runs where an object is written, in code that does so."""
_LIBRARIES = frozenset({*sys.stdlib_module_names, "pennylane", "torch", "numpy", "scipy", "qlazy"}) - {
    "__main__"
}
_NOT_READING = frozenset({
    *MAKING, *WRITING, "__del__", "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__init_subclass__",
    "__set_name__",
})  # fmt: skip
_GENERATED = "<string>"
"""The file of code that was not written: that of a dataclass, which compares all that there is."""


def home_of(value: Any) -> str:
    """The package that an object is from."""
    home = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
    return (home if isinstance(home, str) else type(value).__module__).split(".")[0]


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
    """The special methods of the user's own classes, which code calls without their names."""
    for owner in kind.__mro__:
        if not is_of_a_library(owner):
            for name, method in vars(owner).items():
                if (
                    isinstance(method, types.FunctionType)
                    and name.startswith("__")
                    and name not in _NOT_READING
                    and method.__code__.co_filename != _GENERATED
                ):
                    yield name


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
