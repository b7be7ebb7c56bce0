"""What tells one run of a comparison from all others, so that it is found again: model, data, settings, seed, scale."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from qlazy.base.keys import digest, key, readable, told
from qlazy.base.version import __version__
from qlazy.data.datasets import Dataset
from qlazy.models.model import Model
from qlazy.training.losses import Loss
from qlazy.training.methods import Method

PROBED = 3
"""So many samples of training and of test data tell models apart by what they compute."""


@dataclass(frozen=True, eq=False)
class Told:
    """One model from one seed, with all that decides its runs but their scale."""

    name: str
    model: Model
    data: Dataset
    seed: int
    loss: Loss
    method: Method
    steps: int
    centered: bool
    normalized: bool = False
    until_loss: float | None = None
    own_split: bool = False
    given_key: str | None = None

    @cached_property
    def initial(self) -> Tensor:
        """w0 (p,), in the dtype and on the device of the data."""
        return self.model.init(torch.Generator().manual_seed(self.seed)).to(self.data.y_train)

    def key(self, alpha: float) -> str:
        """A folder name that is the same only for the same model, data, settings and scale.

        One that cannot be told has a name of chance.
        """
        settings = {
            **self.description(), "model": self.name, "seed": self.seed, "alpha": alpha, "numbers": self._data,
            "told": self.told or self._chance,
        }  # fmt: skip
        return key(f"{readable(self.name)}-seed{self.seed}-a{alpha:g}", settings)

    def description(self) -> dict[str, Any]:
        """The settings that every run of a comparison shares, as JSON."""
        return {
            "data": repr(self.data),
            "preprocessing": self.data.description,
            "loss": self.loss.convention,
            "method": repr(self.method),
            "steps": self.steps,
            "centered": self.centered,
            **({"normalized": True} if self.normalized else {}),
            **({} if self.until_loss is None else {"until_loss": self.until_loss}),
            **({"splits": "a seed"} if self.own_split else {}),
            "qlazy": __version__,
            "torch": torch.__version__,
        }

    @cached_property
    def _outputs(self) -> Tensor:
        with torch.no_grad():
            return self.model(self.initial, self.data.x_train)

    @cached_property
    def told(self) -> str | None:
        """What tells the run of this model from that of any other, whatever its scale; None where it cannot be told."""
        parts = (self.model, self.loss, self.method)
        what = f"models[{self.name!r}]"
        return told(what, parts, self.data.x_train, self._numbers, self.given_key)

    @cached_property
    def _chance(self) -> str:
        return secrets.token_hex(16)

    def _numbers(self) -> list[Tensor]:
        """Outputs at the start, and outputs, losses and gradients of outputs at random points."""
        data, found = self.data, [self.initial, self._outputs]
        x = torch.cat([data.x_train[:PROBED], data.x_test[:PROBED]])
        y = torch.cat([data.y_train[:PROBED], data.y_test[:PROBED]])
        generator = torch.Generator().manual_seed(self.seed % 2**63)
        for _ in range(2):
            step = torch.randn(self.model.num_params, generator=generator, dtype=torch.float64)
            weights = torch.randn(*y.shape, generator=generator, dtype=torch.float64)
            params = self.initial + step.to(self.initial)
            with torch.no_grad():
                outputs = self.model(params, x)
                found += [outputs, self.loss(outputs, y)]
            found.append(self.model.vjp(params, x, weights.to(y)))
        return [tensor.detach() for tensor in found]

    @cached_property
    def _data(self) -> str:
        data = self.data
        return digest(data.x_train, data.y_train, data.x_test, data.y_test)
