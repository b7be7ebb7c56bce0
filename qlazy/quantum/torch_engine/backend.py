"""The adjoint simulator's circuits with states on another device than the CPU."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from qlazy.quantum.backends.backend import Backend, LoweredBackend
from qlazy.quantum.torch_engine.engine import TorchEngine


@final
class OnDevice(Backend):
    """A lowered circuit whose angles are computed on the CPU and whose states live on ``device``.

    Angles go there and outputs and derivatives come back; states, the bulk of it, stay. Results are on the device of
    the parameters.
    """

    def __init__(self, backend: LoweredBackend, device: torch.device) -> None:
        self._inner = LoweredBackend(
            backend.circuit.run_by(lambda n, gates, outputs: TorchEngine(n, gates, outputs, device))
        )

    def outputs(self, params: Tensor, x: Tensor) -> Tensor:
        return self._inner.outputs(params.cpu(), x.cpu()).to(params.device)

    def jacobian(self, params: Tensor, x: Tensor) -> Tensor | None:
        found = self._inner.jacobian(params.cpu(), x.cpu())
        return None if found is None else found.to(params.device)
