"""Components that are states: a symmetric tensor whose vectors are the real amplitudes of small circuits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from qlazy.base.errors import generator_or_seed, require
from qlazy.models.model import Model
from qlazy.quantum.amplitudes import Amplitudes
from qlazy.quantum.corpus import program_from_qasm
from qlazy.quantum.program.program import Program
from qlazy.tasks.tensor.decomposition import Decomposition, random_signs
from qlazy.tasks.tensor.descent import (
    Descended,
    Ends,
    TargetBatch,
    check_batch,
    half_square,
    require_tame,
    results,
)
from qlazy.tasks.tensor.entries import check_indices, check_sizes, power_derivatives, powers_at
from qlazy.tasks.tensor.model import checked_signs

RECORD_EVERY = 10


def real_ansatz(qubits: int = 3, layers: int = 4) -> Program:
    """Layers of RY on every qubit, a chain of CNOTs after each but the last: real states, ``layers`` n angles."""
    require(qubits >= 1, "qubits", "be positive", qubits)
    require(layers >= 1, "layers", "be positive", layers)
    return program_from_qasm(_REAL_ANSATZ, n=qubits, layers=layers)


_REAL_ANSATZ = """OPENQASM 3.0;
include "stdgates.inc";
const int n = 3;
const int layers = 4;
input array[float[64], layers, n] theta;
qubit[n] q;
for int l in [0:layers-1] {
  for int k in [0:n-1] { ry(theta[l, k]) q[k]; }
  if (l < layers - 1) { for int k in [0:n-2] { cx q[k], q[k+1]; } }
}
"""


@final
class CircuitTensor(Model):
    """T = sum_i a_i s_i^2 psi_i^{(x) l} with psi_i = Re psi(theta_i), the amplitudes of one circuit at many angles.

    That is u_i = s_i psi_i in the 2-homogeneous form of :class:`SymmetricTensor`, for a real circuit. Parameters are
    the scales s (m,), then the angles (m, p) of ``program`` in radians; ``signs`` a_i are fixed. Inputs and outputs
    are those of :class:`SymmetricTensor` with d = 2^n. ``init`` draws angles from [0, 2 pi) and s_i = 1.
    """

    def __init__(
        self,
        program: Program,
        order: int,
        components: int,
        *,
        signs: Sequence[float] | Tensor | None = None,
    ) -> None:
        check_sizes(2, order)
        require(components >= 1, "components", "be positive", components)
        self.amplitudes = Amplitudes(program)
        self.order, self.components = order, components
        self.signs = checked_signs(signs, components)

    @property
    def dimension(self) -> int:
        return self.amplitudes.dimension

    @property
    def num_params(self) -> int:
        return self.components * (1 + self.amplitudes.num_params)

    @property
    def blocks(self) -> Mapping[str, slice]:
        return {"scales": slice(0, self.components), "angles": slice(self.components, self.num_params)}

    def init(self, generator: torch.Generator | int) -> Tensor:
        angles = self.amplitudes.init(self.components, generator_or_seed(generator))
        return torch.cat([torch.ones(self.components, dtype=torch.float64), angles.flatten()])

    def check(self, params: Tensor, x: Tensor) -> None:
        super().check(params, x)
        check_indices(x, self.dimension, self.order)

    def decomposition(self, params: Tensor) -> Decomposition:
        """The tensor at ``params`` as weights a_i s_i^2 and vectors psi_i."""
        weights, angles = self._parts(params)
        return Decomposition(weights, self.amplitudes(angles), self.order)

    def forward(self, params: Tensor, x: Tensor) -> Tensor:
        weights, angles = self._parts(params)
        return (powers_at(self.amplitudes(angles), x) @ weights).unsqueeze(1)

    def jacobian(self, params: Tensor, x: Tensor) -> Tensor:
        self.check(params, x)
        weights, angles = self._parts(params)
        vectors, by_angle = self.amplitudes(angles), self.amplitudes.jacobian(angles)
        by_scale = 2 * self.signs.to(params) * params[: self.components] * powers_at(vectors, x)
        by_vector = weights.unsqueeze(1) * power_derivatives(vectors, x)
        by_angles = torch.einsum("nmd,mdp->nmp", by_vector, by_angle)
        return torch.cat([by_scale, by_angles.flatten(1)], 1).unsqueeze(1)

    def _parts(self, params: Tensor) -> tuple[Tensor, Tensor]:
        scales, angles = params[: self.components], params[self.components :]
        return self.signs.to(params) * scales.square(), angles.reshape(self.components, -1)

    def __repr__(self) -> str:
        return f"CircuitTensor({self.amplitudes!r}, order={self.order}, components={self.components})"


@final
@dataclass(frozen=True)
class CircuitDescent:
    """Adam on scales and angles: ``epochs`` of ``steps`` steps at ``learning_rate``, from scales ``init``.

    Loss 1/2 ||T - T*||^2 + penalty sum_i s_i^2. Between epochs components with |s_i| < ``threshold`` get new angles,
    a new sign and the scale ``init``, unless ``redraw`` is False; Adam starts afresh at every epoch.
    """

    epochs: int = 6
    steps: int = 120
    learning_rate: float = 0.05
    penalty: float = 1e-3
    init: float = 0.3
    threshold: float = 0.1
    redraw: bool = True

    def __post_init__(self) -> None:
        for name in ("epochs", "steps", "learning_rate", "init"):
            value = getattr(self, name)
            require(math.isfinite(value) and value > 0, name, "be positive", value)
        for name in ("penalty", "threshold"):
            value = getattr(self, name)
            require(math.isfinite(value) and value >= 0, name, "not be negative", value)


def decompose_with_circuits(
    targets: Sequence[Decomposition],
    program: Program,
    components: int,
    generators: Sequence[torch.Generator],
    settings: CircuitDescent | None = None,
) -> list[Descended]:
    """:func:`decompose_many` with components s_i Re psi(theta_i): one run a target, all in one batch of circuits.

    The params of a result are those of :class:`CircuitTensor`. Raises DivergedError where an error ceases to be finite.
    """
    settings = settings or CircuitDescent()
    batch = check_batch(targets, components, generators)
    amplitudes = Amplitudes(program)
    dimension = batch.vectors.shape[-1]
    require(
        amplitudes.dimension == dimension, "program", f"have {dimension} amplitudes", amplitudes.dimension
    )
    state = _State.drawn(amplitudes, components, generators, settings.init, batch.vectors)
    steps, errors, redraws = [0], [batch.errors(*state.tensor(amplitudes))], []
    for epoch in range(settings.epochs):
        if settings.redraw and epoch > 0:
            small = state.scales.abs() < settings.threshold
            fresh = _State.drawn(amplitudes, components, generators, settings.init, batch.vectors)
            state = state.where(small, fresh)
            redraws.append(small.sum(1))
        for done, current in _adam(batch, amplitudes, state, settings):
            steps.append(epoch * settings.steps + done)
            errors.append(require_tame(batch.errors(*current.tensor(amplitudes)), steps))
        state = current
    params = torch.cat([state.scales, state.angles.flatten(1)], 1)
    return results(batch, Ends(*state.tensor(amplitudes), params), steps, errors, redraws)


@dataclass(frozen=True, eq=False)
class _State:
    """Scales (B, m), angles (B, m, p) and signs (B, m)."""

    scales: Tensor
    angles: Tensor
    signs: Tensor

    @classmethod
    def drawn(
        cls,
        amplitudes: Amplitudes,
        components: int,
        generators: Sequence[torch.Generator],
        init: float,
        like: Tensor,
    ) -> _State:
        angles = torch.stack([amplitudes.init(components, g) for g in generators]).to(like)
        signs = torch.stack([random_signs((components,), g) for g in generators]).to(like)
        return cls(torch.full_like(signs, init), angles, signs)

    def where(self, mask: Tensor, fresh: _State) -> _State:
        """``fresh`` where the mask (B, m) says so."""
        return _State(
            torch.where(mask, fresh.scales, self.scales),
            torch.where(mask.unsqueeze(2), fresh.angles, self.angles),
            torch.where(mask, fresh.signs, self.signs),
        )

    def tensor(self, amplitudes: Amplitudes) -> tuple[Tensor, Tensor]:
        """Weights a_i s_i^2 (B, m) and vectors (B, m, d)."""
        vectors = amplitudes(self.angles.flatten(0, 1)).unflatten(0, self.scales.shape)
        return (self.signs * self.scales.square()).detach(), vectors.detach()


def _adam(
    batch: TargetBatch, amplitudes: Amplitudes, start: _State, settings: CircuitDescent
) -> Iterator[tuple[int, _State]]:
    """One epoch: the number of steps done and the state there, every few steps and at the end."""
    scales, angles = (part.detach().clone().requires_grad_() for part in (start.scales, start.angles))
    optimizer = torch.optim.Adam([scales, angles], lr=settings.learning_rate)
    for done in range(1, settings.steps + 1):
        optimizer.zero_grad()
        vectors = amplitudes(angles.flatten(0, 1)).unflatten(0, scales.shape)
        losses = half_square(batch, start.signs * scales.square(), vectors)
        (losses.sum() + settings.penalty * scales.square().sum()).backward()
        optimizer.step()
        if done % RECORD_EVERY == 0 or done == settings.steps:
            yield done, _State(scales.detach().clone(), angles.detach().clone(), start.signs)
