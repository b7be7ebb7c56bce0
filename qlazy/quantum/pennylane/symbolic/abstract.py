"""Where a QNode runs on formulas: PennyLane does not look at values, and torch makes tensors of lists of formulas."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pennylane as qml
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from qlazy.quantum.pennylane.symbolic.carriers import is_constant
from qlazy.quantum.pennylane.symbolic.doubles import Doubles
from qlazy.quantum.pennylane.symbolic.tensor import Symbolic, without_gradient

_lock, _open = threading.Lock(), 0
_is_abstract = qml.math.is_abstract


@contextmanager
def abstract() -> Iterator[None]:
    """Within, PennyLane takes formulas for tensors whose values are not known, which it does not look at."""
    global _open
    with _lock:
        _open += 1
        qml.math.is_abstract = _is_without_values
    try:
        with Doubles(), Lists():
            yield
    finally:
        with _lock:
            _open -= 1
            if not _open:
                qml.math.is_abstract = _is_abstract


def _is_without_values(tensor: Any, like: str | None = None) -> bool:
    if isinstance(tensor, Symbolic):
        return not is_constant(tensor)
    return bool(_is_abstract(tensor, like))


class Lists(TorchFunctionMode):
    """Makes lists of formulas tensors, whose numbers torch would ask for; as there, gradients stop at them."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        is_made = func in (torch.as_tensor, torch.tensor) and args and isinstance(args[0], list | tuple)
        if not is_made or not any(isinstance(part, Symbolic) for part in _leaves(args[0])):
            return func(*args, **(kwargs or {}))
        found = _stacked(args[0])
        return without_gradient(found.to((kwargs or {}).get("dtype") or found.dtype))


def _leaves(parts: Sequence[Any]) -> Iterator[Any]:
    for part in parts:
        yield from _leaves(part) if isinstance(part, list | tuple) else (part,)


def _stacked(parts: Sequence[Any]) -> Tensor:
    """Nested lists of numbers and tensors as one tensor."""
    found = [_stacked(part) if isinstance(part, list | tuple) else part for part in parts]
    dtype = next((part.dtype for part in found if isinstance(part, Tensor)), None)
    return torch.stack([torch.as_tensor(part, dtype=dtype) for part in found])
