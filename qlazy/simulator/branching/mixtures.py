"""Two ways to keep the quantum state of a track: as a stack of vectors, or as a density matrix.

Both are arrays (m, 2^n, lanes) on whose last axis but one operations act. A stack holds the m vectors whose
projectors add up to the state; they are only ever put side by side, so every step can be undone. A density
matrix holds rho[row, column] at (column, row), and cannot grow.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from qlazy.simulator.branching.strided import Amplitudes, bit_rows
from qlazy.simulator.compiling.frames import Frame
from qlazy.simulator.compiling.measurement import compile_measurement
from qlazy.simulator.observables import Observable

NEGLIGIBLE = 1e-16
"""Vectors none of whose amplitudes exceed this are dropped: they change no output and no derivative."""


class Mixture(abc.ABC):
    """A way to keep states; what a step gives as ``kept`` is what its undoing needs."""

    name: str

    def __init__(self, num_wires: int) -> None:
        self.size = 2**num_wires
        self._bits = [[bit_rows(num_wires, wire, bit) for bit in (0, 1)] for wire in range(num_wires)]

    def start(self, lanes: int, dtype: Any) -> Amplitudes:
        """|0...0> in every lane."""
        state = np.zeros((self.columns, self.size, lanes), dtype)
        state[0, 0] = 1
        return state

    @property
    @abc.abstractmethod
    def columns(self) -> int:
        """The first axis of the state that a program starts from."""

    @abc.abstractmethod
    def sides(self, state: Amplitudes) -> Iterator[tuple[Amplitudes, bool]]:
        """The views on which an operation acts, and whether it does so as its conjugate."""

    @abc.abstractmethod
    def basis(self, state: Amplitudes) -> Amplitudes:
        """What an observable acts on to become a bra."""

    @abc.abstractmethod
    def split(self, state: Amplitudes, wire: int) -> tuple[list[Amplitudes], Any]:
        """The parts in which ``wire`` is 0 and 1."""

    @abc.abstractmethod
    def unsplit(self, parts: list[Amplitudes], kept: Any) -> Amplitudes:
        """The state before a split."""

    @abc.abstractmethod
    def unsplit_bra(self, parts: list[Amplitudes], wire: int, kept: Any) -> Amplitudes:
        """The bra before a split, from those of its parts."""

    @abc.abstractmethod
    def merge(self, states: list[Amplitudes]) -> tuple[Amplitudes, Any]:
        """Several states as one."""

    @abc.abstractmethod
    def unmerge(self, state: Amplitudes, kept: Any) -> list[Amplitudes]:
        """The states before a merging."""

    @abc.abstractmethod
    def unmerge_bra(self, bra: Amplitudes, kept: Any) -> list[Amplitudes]:
        """The bras before a merging, from that behind it."""

    def _only(self, state: Amplitudes, wire: int, bit: int) -> Amplitudes:
        part = state.copy()
        part[..., self._bits[wire][1 - bit], :] = 0
        return part


@final
class Vectors(Mixture):
    """A stack of unnormalised vectors, one for each record of results."""

    name = "vectors"
    columns = 1

    def sides(self, state: Amplitudes) -> Iterator[tuple[Amplitudes, bool]]:
        yield state, False

    def basis(self, state: Amplitudes) -> Amplitudes:
        return state

    def split(self, state: Amplitudes, wire: int) -> tuple[list[Amplitudes], Any]:
        parts = [self._only(state, wire, bit) for bit in (0, 1)]
        present = [np.abs(part).max(axis=(1, 2), initial=0.0) > NEGLIGIBLE for part in parts]
        return [part[rows] for part, rows in zip(parts, present, strict=True)], present

    def unsplit(self, parts: list[Amplitudes], kept: Any) -> Amplitudes:
        first, second = parts
        state = np.zeros((len(kept[0]), *first.shape[1:]), first.dtype)
        state[kept[0]] = first
        state[kept[1]] += second
        return state

    def unsplit_bra(self, parts: list[Amplitudes], wire: int, kept: Any) -> Amplitudes:
        width, _, *rest = parts[0].shape
        bra = np.zeros((width, len(kept[0]), *rest), parts[0].dtype)
        for bit, (part, rows) in enumerate(zip(parts, kept, strict=True)):
            bra[:, rows] += self._only(part, wire, bit)
        return bra

    def merge(self, states: list[Amplitudes]) -> tuple[Amplitudes, Any]:
        return np.concatenate(states), np.cumsum([len(state) for state in states])[:-1]

    def unmerge(self, state: Amplitudes, kept: Any) -> list[Amplitudes]:
        return np.split(state, kept)

    def unmerge_bra(self, bra: Amplitudes, kept: Any) -> list[Amplitudes]:
        return np.split(bra, kept, axis=1)


@final
class Densities(Mixture):
    """A density matrix; its bra is the observable in the Heisenberg picture."""

    name = "densities"

    @property
    def columns(self) -> int:
        return self.size

    def sides(self, state: Amplitudes) -> Iterator[tuple[Amplitudes, bool]]:
        yield state, False
        yield state.swapaxes(-2, -3), True

    def basis(self, state: Amplitudes) -> Amplitudes:
        return np.broadcast_to(np.eye(self.size, dtype=state.dtype)[..., None], state.shape)

    def split(self, state: Amplitudes, wire: int) -> tuple[list[Amplitudes], Any]:
        return [self._project(state, wire, bit) for bit in (0, 1)], state

    def unsplit(self, parts: list[Amplitudes], kept: Any) -> Amplitudes:
        state: Amplitudes = kept
        return state

    def unsplit_bra(self, parts: list[Amplitudes], wire: int, kept: Any) -> Amplitudes:
        first, second = (self._project(part, wire, bit) for bit, part in enumerate(parts))
        return first + second

    def merge(self, states: list[Amplitudes]) -> tuple[Amplitudes, Any]:
        return sum(states[1:], start=states[0]), states

    def unmerge(self, state: Amplitudes, kept: Any) -> list[Amplitudes]:
        return list(kept)

    def unmerge_bra(self, bra: Amplitudes, kept: Any) -> list[Amplitudes]:
        return [bra.copy() for _ in kept]

    def _project(self, state: Amplitudes, wire: int, bit: int) -> Amplitudes:
        part = self._only(state, wire, bit)
        part[..., self._bits[wire][1 - bit], :, :] = 0
        return part


@final
class Seeds:
    """Observables as bras: O applied to the basis of a mixture."""

    def __init__(self, num_wires: int, observables: Sequence[Observable]) -> None:
        measured = compile_measurement(Frame(num_wires), observables)
        self._rows = np.arange(2**num_wires)
        self._terms, self._groups = measured.terms, measured.groups
        self._tables = measured.tables[..., 0] + 1j * measured.tables[..., 1]
        self.num_outputs = measured.num_outputs

    def values(self, basis: Amplitudes, state: Amplitudes) -> NDArray[np.float64]:
        """Expectation values (c, lanes)."""
        totals = np.zeros((self.num_outputs, state.shape[-1]))
        for output, shift, factors in self._weighted():
            moved = state[:, self._rows ^ shift]
            totals[output] += np.einsum("rkl,k,rkl->l", moved.conj(), factors, basis).real
        for group in self._groups:
            weights = np.einsum("rkl,rkl->kl", basis.conj(), state).real
            np.add.at(totals, group, weights)
        return totals

    def bras(self, basis: Amplitudes, weights: NDArray[Any] | None) -> Amplitudes:
        """One bra for each output (c, m, 2^n, lanes), or that of their sum with ``weights`` (lanes, c)."""
        width = self.num_outputs if weights is None else 1
        bras = np.zeros((width, *basis.shape), basis.dtype)
        scale = np.ones((self.num_outputs, basis.shape[-1])) if weights is None else weights.T
        place = range(self.num_outputs) if weights is None else [0] * self.num_outputs
        for output, shift, factors in self._weighted():
            scaled = factors[:, None] * scale[output]
            bras[place[output]][:, self._rows ^ shift] += (scaled * basis).astype(basis.dtype, copy=False)
        for group in self._groups:
            for row, output in enumerate(group):
                bras[place[output], :, row] += (scale[output] * basis[:, row]).astype(basis.dtype, copy=False)
        return bras

    def _weighted(self) -> Iterator[tuple[int, int, NDArray[np.complex128]]]:
        for term in self._terms:
            yield int(term["output"]), int(term["shift"]), self._tables[term["table"]]
