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
    return bool(_gates(model, params, x))


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
    gates = _gates(model, params, x)
    require(gates, "model", "call a ReLU", f"{model!r}, which calls none", UnsupportedModelError)
    return torch.cat([gate.flatten() for gate in gates])


def _gates(model: Model, params: Tensor, x: Tensor) -> list[Tensor]:
    with torch.no_grad():
        model(params, x)  # what a model tries out at its first call is not to be recorded
        with _GateRecorder() as recorder:
            model(params, x)
    return recorder.open
