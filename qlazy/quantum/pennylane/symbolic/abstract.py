"""Where a QNode runs on formulas: PennyLane does not look at values, and torch makes tensors of lists of formulas."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pennylane as qml
import torch
from torch.overrides import TorchFunctionMode

from qlazy.quantum.pennylane.symbolic.arrays import has_formulas, stacked
from qlazy.quantum.pennylane.symbolic.carriers import is_constant
from qlazy.quantum.pennylane.symbolic.doubles import Doubles
from qlazy.quantum.pennylane.symbolic.tensor import Symbolic, without_gradient

_lock, _open = threading.Lock(), 0
_is_abstract, _allclose = qml.math.is_abstract, qml.math.allclose
MERGING = "pennylane.transforms.optimization.merge_rotations"


@contextmanager
def abstract() -> Iterator[None]:
    """Within, PennyLane takes formulas for tensors whose values are not known, which it does not look at."""
    global _open
    with _lock:
        _open += 1
        qml.math.is_abstract, qml.math.allclose = _is_without_values, _are_close
    try:
        with Doubles(), Lists(), warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", "Contains tensors of types"
            )  # PennyLane's arrays beside formulas
            yield
    finally:
        with _lock:
            _open -= 1
            if not _open:
                qml.math.is_abstract, qml.math.allclose = _is_abstract, _allclose


def _is_without_values(tensor: Any, like: str | None = None) -> bool:
    if isinstance(tensor, Symbolic):
        return not is_constant(tensor)
    if has_formulas(tensor):
        return True
    return bool(_is_abstract(tensor, like))


def _are_close(one: Any, other: Any, **options: Any) -> bool:
    """False where PennyLane merges rotations by formulas: it asks, and does not look at the answer."""
    is_asked_in_vain = sys._getframe(1).f_globals.get("__name__") == MERGING and _is_without_values(one)
    return False if is_asked_in_vain else bool(_allclose(one, other, **options))


class Lists(TorchFunctionMode):
    """Makes lists of formulas tensors, whose numbers torch would ask for; as there, gradients stop at them."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func not in (torch.as_tensor, torch.tensor) or not args or not _is_list_of_formulas(args[0]):
            return func(*args, **(kwargs or {}))
        parts = args[0].tolist() if isinstance(args[0], np.ndarray) else args[0]
        found = stacked(parts)
        return without_gradient(found.to((kwargs or {}).get("dtype") or found.dtype))


def _is_list_of_formulas(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(isinstance(part, Symbolic) or _is_list_of_formulas(part) for part in value)
    return has_formulas(value)
