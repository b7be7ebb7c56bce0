"""Where torch drops a gradient, and whether the QNode's author asked it to."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor

STOPPING = frozenset([Tensor.detach, Tensor.detach_, Tensor.data.__get__])  # type: ignore[attr-defined]
LIBRARIES = ("pennylane", "autoray")
"""Where a tensor is detached to look at its numbers, not to stop its gradient."""
WATCHING = "qlazy.quantum.pennylane.plain"


def stops_gradient(func: Any) -> bool:
    """Whether a call of ``func``, two frames up, is one of the QNode's author by which torch drops a gradient."""
    if not torch.is_grad_enabled():
        return True
    frame = sys._getframe(2)
    if func in STOPPING and frame.f_back and frame.f_globals.get("__name__") == WATCHING:
        frame = frame.f_back
    return func in STOPPING and frame.f_globals.get("__name__", "").split(".")[0] not in LIBRARIES
