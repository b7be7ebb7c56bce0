"""A circuit whose parameters differ from row to row: derivatives, states, and how states move with the parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from qlazy.base.errors import require
from qlazy.base.torch_private import jacrev, vmap
from qlazy.quantum.backends.angles import Layout
from qlazy.quantum.backends.lowered import LoweredCircuit, Lowering, require_wires
from qlazy.quantum.program.expression import Constant
from qlazy.quantum.torch_engine.engine import TorchCircuit
from qlazy.quantum.torch_engine.gates import Space, fixed, generated, rotated
from qlazy.simulator.observables import Observable, num_outputs
from qlazy.simulator.operations import Operation, PauliRotation


@final
class RowCircuit:
    """A lowered circuit of p parameters as a function of rows (params, features) alone: each row has its own angles."""

    def __init__(self, lowering: Lowering, num_params: int) -> None:
        layout = lowering.layout
        data = {**layout.weights, **{name: num_params + first for name, first in layout.data.items()}}
        self.num_params, self.lowering = num_params, replace(lowering, layout=Layout({}, data))
        self._lowered, self._on_torch = LoweredCircuit(self.lowering), LoweredCircuit(self.lowering, _engine)
        self._none = torch.empty(0, dtype=torch.float64)

    @property
    def num_wires(self) -> int:
        return self.lowering.num_wires

    @property
    def num_outputs(self) -> int:
        return sum(map(num_outputs, self.lowering.observables))

    @cached_property
    def num_angles(self) -> int:
        """Angles that depend on parameters or features."""
        return len(self._lowered.angles.sampled)

    def rows(self, params: Tensor, x: Tensor) -> Tensor:
        """Rows (s, p + d), float64, of parameters (s, p) and features (s, ...)."""
        must = f"have shape (s, {self.num_params})"
        require(params.ndim == 2 and params.shape[1] == self.num_params, "params", must, tuple(params.shape))
        require(len(x) == len(params), "x", f"have {len(params)} rows, one for each of `params`", len(x))
        return torch.cat([params, x.reshape(len(x), x[:1].numel())], 1).to(torch.float64)

    def angles(self, rows: Tensor) -> Tensor:
        """Angles (s, T) in the order of the gates, radians."""
        if not self.num_angles:
            return rows.new_empty(len(rows), 0)
        return self._lowered.angles.sampled_values(self._none, rows)

    def gradients(self, rows: Tensor) -> Tensor:
        """Derivatives (s, c, p) of the outputs by the parameters, from one batched adjoint sweep."""

        def single(row: Tensor) -> Tensor:
            return self._lowered.outputs(self._none, row.unsqueeze(0))[0]

        found: Tensor = vmap(jacrev(single))(rows)
        return found[..., : self.num_params]

    def states(self, rows: Tensor) -> Tensor:
        """Kets (s, 2^n), complex128, up to a phase each; the first wire is the most significant bit. Up to 24 wires."""
        require_wires(self.num_wires, "circuit")
        engine = self._on_torch.for_params
        assert isinstance(engine, TorchCircuit)
        return engine.states(self._none.numpy(), self.angles(rows).numpy())

    def tangents(self, row: Tensor) -> tuple[Tensor, Tensor]:
        """The ket (2^n,) of one row (p + d,), and its derivatives (p, 2^n) by the parameters."""
        require_wires(self.num_wires, "circuit")
        space = Space.on(torch.device("cpu"), self.num_wires, torch.complex128)
        state = torch.zeros(2**self.num_wires, 1, dtype=torch.complex128)
        state[0] = 1
        angles, slopes = self._slopes(row)
        wanted, moved = slopes.any(1), state.new_empty(0, *state.shape)
        number = 0
        for operation, formula in zip(self.lowering.operations, self.lowering.formulas, strict=True):
            if formula is None:
                state, moved = (fixed(space, operation, kets, False) for kets in (state, moved))
                continue
            assert isinstance(operation, PauliRotation)
            constant = isinstance(formula, Constant)
            angle = angles.new_tensor(formula.value) if isinstance(formula, Constant) else angles[number]
            state, moved = (rotated(space, operation, angle, kets) for kets in (state, moved))
            if not constant:
                if wanted[number]:
                    moved = torch.cat([moved, -0.5j * generated(space, operation, state).unsqueeze(0)])
                number += 1
        by_angle = moved.squeeze(-1)
        return state.squeeze(-1), slopes[wanted].T.to(by_angle.dtype) @ by_angle

    def _slopes(self, row: Tensor) -> tuple[Tensor, Tensor]:
        """Angles (T,) of a row, and their derivatives (T, p) by the parameters."""
        if not self.num_angles:
            return row.new_empty(0), row.new_empty(0, self.num_params)
        angles = self.angles(row.unsqueeze(0))[0]
        slopes = jacrev(lambda r: self.angles(r.unsqueeze(0))[0])(row)
        return angles, slopes[:, : self.num_params]


def _engine(wires: int, operations: Sequence[Operation], observables: Sequence[Observable]) -> TorchCircuit:
    return TorchCircuit(wires, operations, observables, torch.device("cpu"))
