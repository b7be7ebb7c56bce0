"""A trainable linear readout of a model's outputs: the weights of a circuit's observable, a last layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from qlazy.errors import require
from qlazy.model import Model, blocks_of


@final
class Readout(Model):
    """f(x) = c + sum_j v_j h_j(w, x) of a model h with k outputs: parameters (w, v, c), p + k + 1 of them, one output.

    On a circuit with observables O_j it is the circuit measured in the trainable observable c + sum_j v_j O_j. The
    blocks are those of h, then "readout" (k,) and "offset". ``init`` draws w as h does, v_j ~ N(0, 1 / k), c = 0.
    Training the last two blocks alone is the random-features regime of h.
    """

    def __init__(self, model: Model, outputs: int) -> None:
        require(outputs >= 1, "outputs", "be positive", outputs)
        taken = {"readout", "offset"} & model.blocks.keys()
        require(not taken, "model", "have no block named readout or offset", sorted(taken))
        self.model = model
        self.outputs = outputs
        sizes = {name: block.stop - block.start for name, block in model.blocks.items()}
        self._blocks = blocks_of({**sizes, "readout": outputs, "offset": 1})

    @property
    def num_params(self) -> int:
        return self.model.num_params + self.outputs + 1

    @property
    def blocks(self) -> Mapping[str, slice]:
        return self._blocks

    def init(self, generator: torch.Generator) -> Tensor:
        inner = self.model.init(generator)
        readout = torch.randn(self.outputs, generator=generator, dtype=inner.dtype) / self.outputs**0.5
        return torch.cat([inner, readout, inner.new_zeros(1)])

    def forward(self, params: Tensor, x: Tensor) -> Tensor:
        inner, readout, offset = self._parts(params)
        return self._features(inner, x) @ readout.unsqueeze(1) + offset

    def jacobian(self, params: Tensor, x: Tensor) -> Tensor:
        self.check(params, x)
        inner, readout, _ = self._parts(params)
        moved = torch.einsum("j,njp->np", readout, self.model.jacobian(inner, x))
        features = self._features(inner, x)
        return torch.cat([moved, features, features.new_ones(len(x), 1)], dim=1).unsqueeze(1)

    def _parts(self, params: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        inner, readout, offset = params.split([self.model.num_params, self.outputs, 1])
        return inner, readout, offset

    def _features(self, params: Tensor, x: Tensor) -> Tensor:
        features = self.model(params, x)
        require(features.shape[1] == self.outputs, "model", f"have {self.outputs} outputs", features.shape[1])
        return features

    def __repr__(self) -> str:
        return f"Readout({self.model!r})"
