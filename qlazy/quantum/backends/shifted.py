"""The circuits that a Jacobian is measured from, one by one: shifted, run with shots of their own, and weighed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor

from qlazy.base.errors import UnsupportedModelError, require, require_finite
from qlazy.models.model import Model

if TYPE_CHECKING:
    from qlazy.quantum.backends.device import DeviceCircuit
    from qlazy.quantum.backends.lowered import LoweredCircuit


@final
@dataclass(frozen=True, eq=False)
class ShotMoments:
    """What one shot of each shifted circuit brings: n samples, k circuits each, c outputs, p parameters.

    ``weights`` (n, k, p) make the Jacobian, J_ial = sum_k weights_ikl means_ika; ``means`` (n, k, c) are the
    outputs, ``covariances`` (n, k, c, c) those of a single shot: those of S shots are 1/S of them.
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor

    @property
    def jacobian(self) -> Tensor:
        """(n, c, p)."""
        return torch.einsum("ikl,ika->ial", self.weights, self.means)

    @property
    def circuits(self) -> int:
        """Circuits in all, n k."""
        return self.weights.shape[0] * self.weights.shape[1]


@final
class ShiftedCircuits:
    """The k shifted circuits of each sample of ``x`` (n, ...), at ``params``; see :class:`ShotMoments`.

    ``model`` is a Circuit with backend "device", whose exact parameter-shift rules (2 circuits a rotation, 4 a
    controlled one) they follow, gates conditioned on measurements included. Raises UnsupportedModelError otherwise.
    """

    def __init__(self, model: Model, params: Tensor, x: Tensor) -> None:
        from qlazy.quantum.circuit import Circuit  # PennyLane: none of what a kernel of a net should wait for

        must = "be a Circuit with backend='device' (circuit.measured(shots) has it)"
        require(isinstance(model, Circuit), "model", must, repr(model), UnsupportedModelError)
        assert isinstance(model, Circuit)
        model.check(params, x)
        lowered = model.on_device(x)
        with torch.no_grad():
            self._angles = tuple(angles.numpy() for angles in lowered.angle_values(params, x.flatten(1)))
            self._engine: DeviceCircuit = lowered.for_params  # type: ignore[assignment]
            self.weights = self._weights(lowered, params, x.flatten(1))

    def _weights(self, lowered: LoweredCircuit, params: Tensor, x: Tensor) -> Tensor:
        shared, sampled = self._angles
        shifts = self._engine.shifts
        by_shared = params.new_zeros(len(x), len(shifts), len(shared))
        by_sampled = params.new_zeros(len(x), len(shifts), sampled.shape[1])
        for circuit, shift in enumerate(shifts):
            (by_sampled if shift.sampled else by_shared)[:, circuit, shift.number] = shift.weight
        return lowered.angles.partials.pull(by_shared, by_sampled, params, x)

    @property
    def shape(self) -> tuple[int, int]:
        """Samples n and circuits a sample k."""
        return self.weights.shape[0], self.weights.shape[1]

    @property
    def circuits(self) -> int:
        """Circuits of a call of ``jacobian``: the shifted ones, and that of each sample itself."""
        return self.shape[0] * (self.shape[1] + 1)

    def means(self, shots: Tensor | None) -> Tensor:
        """Outputs (n, k, c), measured anew with ``shots`` (n, k), whole numbers, or exact without."""
        if shots is not None:
            self._check(shots)
        size = self.shape[0] * self.shape[1]
        return self._run([None] * size if shots is None else shots.flatten().tolist())

    def batches(self, shots: Tensor, count: int) -> Tensor:
        """``count`` independent measurements with ``shots`` (n, k) each, (count, n, k, c).

        Each circuit is run once for all of them, where it does not measure on its way.
        """
        require(count >= 1, "count", "be at least 1", count)
        if not self._engine.is_batched:
            return torch.stack([self.means(shots) for _ in range(count)])
        self._check(shots)
        found = self._run([[(number, count)] for number in shots.flatten().tolist()])
        return found.unflatten(2, (count, -1)).permute(2, 0, 1, 3)

    def _check(self, shots: Tensor) -> None:
        require(tuple(shots.shape) == self.shape, "shots", f"have shape {self.shape}", tuple(shots.shape))
        require(bool((shots >= 1).all()), "shots", "be at least 1 for every circuit", int(shots.min()))

    def _run(self, shots: list[Any]) -> Tensor:
        shared, sampled = self._angles
        found = torch.from_numpy(self._engine.shifted(shared, sampled, shots)).to(self.weights)
        require_finite("outputs", found)
        return found

    def jacobian(self, means: Tensor) -> Tensor:
        """The Jacobian (n, c, p) of outputs (n, k, c); of batches of them, a Jacobian each."""
        return torch.einsum("ikl,...ika->...ial", self.weights, means)

    def pilot(self, shots: int, *, batches: int = 16) -> ShotMoments:
        """Moments estimated from ``batches`` runs of ``shots`` shots a circuit, for any outputs."""
        require(batches >= 3, "batches", "be at least 3", batches)
        runs = self.batches(torch.full(self.shape, shots), batches)
        centered = runs - runs.mean(0)
        covariances = torch.einsum("rika,rikb->ikab", centered, centered) * (shots / (batches - 1))
        return ShotMoments(self.weights, runs.mean(0), covariances)

    def exact(self) -> ShotMoments:
        """Moments from exact outputs, where there is one output and it is a Pauli word: 1 - f^2 a shot.

        Raises UnsupportedModelError for other outputs, which a pilot takes.
        """
        variances = self.variances()
        must = "have one output for exact moments (take a pilot)"
        require(variances.shape[2] == 1, "model", must, f"of {variances.shape[2]}", UnsupportedModelError)
        return ShotMoments(self.weights, self.means(None), variances.unsqueeze(3))

    def variances(self) -> Tensor:
        """The exact variance of one shot of every output, (n, k, c); each has to be a Pauli word."""
        squares = torch.from_numpy(self._engine.squares).to(self.weights)
        must = "have Pauli words as outputs for exact variances (take a pilot)"
        require(bool(squares.isfinite().all()), "model", must, "with others", UnsupportedModelError)
        return (squares - self.means(None).square()).clamp(min=0.0)
