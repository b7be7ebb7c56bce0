"""Circuits of Pauli rotations in torch, with the interface of the compiled simulator: an adjoint sweep that undoes each
gate on ket and bra, so that no state between is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.errors import require
from qlazy.quantum.torch_engine.gates import Space, fixed, generated, measured, rotated
from qlazy.simulator.cones.circuit import by_cones
from qlazy.simulator.observables import Observable, check_observables, num_outputs
from qlazy.simulator.operations import Operation, PauliRotation, angle_sources, check_operations, unshared
from qlazy.simulator.rotations import Derivatives, Real

AMPLITUDES = 2**25
"""Samples run together as long as a state of all of them has no more amplitudes; so do outputs going back."""


@final
class TorchEngine:
    """A circuit as a function of its angles, each output by its light cone where that is cheaper.

    Arguments and results are those of RotationCircuit, NumPy arrays; states live on ``device``.
    """

    def __init__(
        self,
        num_wires: int,
        operations: Sequence[Operation],
        observables: Sequence[Observable],
        device: torch.device,
    ) -> None:
        def make(n: int, gates: Sequence[Operation], outputs: Sequence[Observable]) -> TorchCircuit:
            return TorchCircuit(n, gates, outputs, device)

        self._circuit = by_cones(num_wires, operations, observables, make=make)
        self.num_outputs: int = self._circuit.num_outputs

    def values(self, shared: Real, sampled: Real, threads: int = 1) -> Real:
        found: Real = self._circuit.values(shared, sampled, threads)
        return found

    def sweep(self, shared: Real, sampled: Real, threads: int = 1) -> tuple[Real, Derivatives]:
        found: tuple[Real, Derivatives] = self._circuit.sweep(shared, sampled, threads)
        return found

    def weighted(self, weights: Real, shared: Real, sampled: Real, threads: int = 1) -> Derivatives:
        found: Derivatives = self._circuit.weighted(weights, shared, sampled, threads)
        return found


class _Run(NamedTuple):
    """Some of the samples: their places, angles (batch,) or () for each operation, and the state at the end."""

    part: slice
    space: Space
    angles: list[Tensor | None]
    state: Tensor


@final
class TorchCircuit:
    """A circuit in one piece, as RotationCircuit, with states (2^n, batch) on ``device``."""

    def __init__(
        self,
        num_wires: int,
        operations: Sequence[Operation],
        observables: Sequence[Observable],
        device: torch.device,
    ) -> None:
        self._num_wires, self._device = num_wires, device
        self._operations, self._observables = tuple(operations), tuple(observables)
        check_operations(num_wires, self._operations)
        check_observables(num_wires, self._observables)
        self._sources = angle_sources(self._operations)
        found = [source for source in self._sources if source is not None]
        self.num_sampled = sum(source.sampled for source in found)
        self.num_shared = len(found) - self.num_sampled
        self.num_outputs = sum(map(num_outputs, self._observables))

    @cached_property
    def unshared(self) -> tuple[TorchCircuit, NDArray[np.int64]]:
        """The same circuit with every angle sampled, and where its angles (S + T) are among shared and sampled."""
        operations, order = unshared(self._operations)
        return TorchCircuit(self._num_wires, operations, self._observables, self._device), order

    def values(self, shared: Real, sampled: Real, threads: int = 1) -> Real:
        """Expectation values (n, c) for angles (S,) and (n, T)."""
        found = np.empty((len(sampled), self.num_outputs), shared.dtype)
        for run in self._runs(shared, sampled):
            for output, bra in enumerate(measured(run.space, self._observables, run.state)):
                found[run.part, output] = _array(_real_product(run.state, bra))
        return found

    def states(self, shared: Real, sampled: Real) -> Tensor:
        """Amplitudes (n, 2^w) at the end, up to a phase of each."""
        parts = [run.state.T.expand(len(sampled[run.part]), -1) for run in self._runs(shared, sampled)]
        return torch.cat(parts)

    def sweep(self, shared: Real, sampled: Real, threads: int = 1) -> tuple[Real, Derivatives]:
        """Values (n, c), and dF/dangle of every output and sample, (n, c, S) and (n, c, T)."""
        samples = len(sampled)
        values = np.empty((samples, self.num_outputs), shared.dtype)
        by_shared = np.zeros((samples, self.num_outputs, self.num_shared), shared.dtype)
        by_sampled = np.zeros((samples, self.num_outputs, self.num_sampled), shared.dtype)
        for run in self._runs(shared, sampled):
            together = max(1, AMPLITUDES // max(1, run.state.numel()))
            for first, bras in _chunks(measured(run.space, self._observables, run.state), together):
                outputs = slice(first, first + len(bras))
                values[run.part, outputs] = _array(_real_product(run.state, bras)).T
                for is_sampled, number, slope in self._back(run, bras):
                    (by_sampled if is_sampled else by_shared)[run.part, outputs, number] = _array(slope).T
        return values, Derivatives(by_shared, by_sampled)

    def weighted(self, weights: Real, shared: Real, sampled: Real, threads: int = 1) -> Derivatives:
        """d/dangle of sum_ia weights[i, a] F[i, a] in one sweep: (S,), summed over the batch, and (n, T)."""
        must = f"have shape {(len(sampled), self.num_outputs)}"
        require(weights.shape == (len(sampled), self.num_outputs), "weights", must, weights.shape)
        by_shared = np.zeros(self.num_shared)
        by_sampled = np.zeros((len(sampled), self.num_sampled), shared.dtype)
        for run in self._runs(shared, sampled):
            own = weights[run.part] if self.num_sampled else weights.sum(axis=0, keepdims=True)
            factors = torch.from_numpy(np.ascontiguousarray(own.T)).to(self._device)
            bra = torch.zeros_like(run.state)
            for factor, each in zip(factors, measured(run.space, self._observables, run.state), strict=True):
                bra = bra + factor * each
            for is_sampled, number, slope in self._back(run, bra.unsqueeze(0)):
                if is_sampled:
                    by_sampled[run.part, number] = _array(slope[0])
                else:
                    by_shared[number] += float(slope.double().sum())
        return Derivatives(by_shared.astype(shared.dtype), by_sampled)

    def _runs(self, shared: Real, sampled: Real) -> Iterator[_Run]:
        """Samples, as many together as fit; one for all where no angle is sampled and all are alike."""
        must = f"have shape ({self.num_shared},)"
        require(shared.shape == (self.num_shared,), "shared", must, shared.shape)
        fits = sampled.ndim == 2 and sampled.shape[1] == self.num_sampled
        require(fits, "sampled", f"have shape (n, {self.num_sampled})", sampled.shape)
        size = max(1, AMPLITUDES >> self._num_wires) if self.num_sampled else max(1, len(sampled))
        dtype = torch.complex64 if shared.dtype == np.float32 else torch.complex128
        space = Space.on(self._device, self._num_wires, dtype)
        common = torch.from_numpy(np.array(shared)).to(self._device)
        for start in range(0, len(sampled), size):
            part = slice(start, start + size)
            own = torch.from_numpy(np.array(sampled[part].T)).to(self._device)
            angles = [
                (own if source.sampled else common)[source.number] if source else _constant(operation, common)
                for operation, source in zip(self._operations, self._sources, strict=True)
            ]
            batch = own.shape[1] if self.num_sampled else 1
            state = torch.zeros(2**self._num_wires, batch, dtype=dtype, device=self._device)
            state[0] = 1
            for operation, angle in zip(self._operations, angles, strict=True):
                state = _applied(space, operation, angle, state)
            yield _Run(part, space, angles, state)

    def _back(self, run: _Run, bras: Tensor) -> Iterator[tuple[bool, int, Tensor]]:
        """Whether sampled, number and derivatives (k, batch) of every wanted angle, from bras (k, 2^n, batch)."""
        ket, space = run.state, run.space
        steps = list(zip(self._operations, run.angles, self._sources, strict=True))
        for operation, angle, source in reversed(steps):
            if source is not None and source.wanted:
                assert isinstance(operation, PauliRotation)
                slope = (bras.conj() * generated(space, operation, ket)).sum(-2).imag
                yield source.sampled, source.number, slope
            ket = _applied(space, operation, angle, ket, inverse=True)
            bras = _applied(space, operation, angle, bras, inverse=True)


def _applied(
    space: Space, operation: Operation, angle: Tensor | None, state: Tensor, inverse: bool = False
) -> Tensor:
    if angle is None:
        return fixed(space, operation, state, inverse)
    assert isinstance(operation, PauliRotation)
    return rotated(space, operation, -angle if inverse else angle, state)


def _constant(operation: Operation, like: Tensor) -> Tensor | None:
    return like.new_tensor(operation.angle) if isinstance(operation, PauliRotation) else None


def _real_product(ket: Tensor, bras: Tensor) -> Tensor:
    return (ket.conj() * bras).sum(-2).real


def _chunks(bras: Iterator[Tensor], size: int) -> Iterator[tuple[int, Tensor]]:
    """Bras stacked, ``size`` at most at once, with the number of the first."""
    first, held = 0, []
    for bra in bras:
        held.append(bra)
        if len(held) == size:
            yield first, torch.stack(held)
            first, held = first + size, []
    if held:
        yield first, torch.stack(held)


def _array(tensor: Tensor) -> Real:
    return tensor.cpu().numpy()
