"""Which ReLU gates of a model are open."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from qlazy.base.errors import UnsupportedModelError, require, require_finite
from qlazy.models.model import Model

_GATES = {
    torch.relu, torch.relu_, torch.nn.functional.relu, torch.nn.functional.leaky_relu,
    torch.nn.functional.leaky_relu_, Tensor.relu, Tensor.relu_,
}  # fmt: skip


def calls_relu(model: Model, params: Tensor, x: Tensor) -> bool:
    """Whether the model calls a ReLU or a leaky ReLU on x, as a module or as a function."""
    with torch.no_grad(), _GateRecorder() as recorder:
        model(params, x)
    return bool(recorder.open)


class _GateRecorder(TorchFunctionMode):
    """Notes which inputs of ReLU calls are positive; sees modules and plain function calls alike."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[Tensor] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _GATES:
            self.open.append((args[0] if args else kwargs["input"]) > 0)
        return func(*args, **kwargs)


def open_gates(model: Model, params: Tensor, x: Tensor) -> Tensor:
    require_finite("params", params)
    with torch.no_grad(), _GateRecorder() as recorder:
        model(params, x)
    require(recorder.open, "model", "call a ReLU", f"{model!r}, which calls none", UnsupportedModelError)
    return torch.cat([gates.flatten() for gates in recorder.open])
