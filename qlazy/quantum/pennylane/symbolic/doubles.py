"""Where a QNode runs on tensors of float64: PennyLane makes tensors of plain numbers with all their digits.

``qml.math`` and templates turn numbers such as a ``pad_with`` into tensors and name no dtype. torch's own is
float32, so that 0.3 becomes 0.30000001, which in NumPy it is not. What the user's own code makes with torch stays.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

MAKERS = frozenset({torch.as_tensor, torch.tensor, torch.asarray})
DOUBLE = {torch.float32: torch.float64, torch.complex64: torch.complex128}
PENNYLANE, BETWEEN = frozenset({"pennylane", "autoray"}), frozenset({"qlazy", "torch"})


class Doubles(TorchFunctionMode):
    """Gives PennyLane float64 where it makes a tensor of Python's numbers, and names no dtype."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        found = func(*args, **given)
        if func not in MAKERS or found.dtype not in DOUBLE or given.get("dtype") is not None:
            return found
        if not (args and _are_plain(args[0]) and _is_asked_by_pennylane()):
            return found
        return func(*args, **{**given, "dtype": DOUBLE[found.dtype]})


def in_doubles(function: Callable[..., Any]) -> Callable[..., Any]:
    """A QNode's function, called within :class:`Doubles` where any argument is a tensor of float64."""

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        given = (*args, *kwargs.values())
        if not any(isinstance(value, Tensor) and value.dtype == torch.float64 for value in given):
            return function(*args, **kwargs)
        with Doubles():
            return function(*args, **kwargs)

    return called


def _are_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_are_plain, value))
    return type(value) in (int, float, complex, bool)


def _is_asked_by_pennylane() -> bool:
    """Whether PennyLane called, or what it calls torch by, and not the user's code."""
    frame = sys._getframe(2)
    while (home := _home(frame.f_globals)) in BETWEEN and frame.f_back is not None:
        frame = frame.f_back
    return home in PENNYLANE


def _home(space: dict[str, Any]) -> str:
    return str(space.get("__name__", "")).split(".")[0]
