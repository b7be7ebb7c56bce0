"""Exact simulation of programs that measure and branch, and the adjoint sweep through their branches.

Every track of a skeleton is a stack of unnormalised vectors (r, 2^n, lanes), one for each record that led to
it, or a density matrix, stored as (2^n columns, 2^n rows, lanes). With either, an operation is a product
from the left on the last axis but one (for a density matrix also the conjugate on the columns), and for a
rotation by the angle t

    dF/dt = Im <bra| P |state>,

where the bra is O psi for vectors and O itself for densities, pulled back to this place. Vectors go back by
undoing: the state before a projection is the sum of its parts. Densities keep what a projection or a merging
destroys. Of the two the one that touches fewer numbers is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import UnsupportedModelError, require
from qlazy.simulator.branching.mixtures import Densities, Mixture, Seeds, Vectors
from qlazy.simulator.branching.skeleton import Apply, Drop, Instruction, Merge, Skeleton, Split, Track
from qlazy.simulator.branching.strided import Amplitudes, Angle, Fixed, Rotation, compiled
from qlazy.simulator.observables import Hermitian, Observable, PauliSum, check_observables
from qlazy.simulator.operations import Operation, PauliRotation, angle_sources, check_operations, unshared
from qlazy.simulator.rotations import Derivatives, Real

WORKING_SET = 2**26
"""Bytes that the states of one piece of the batch should take."""
MAX_STATE = 2**32
"""Bytes that the states of one sample may take."""

States = dict[Track, Amplitudes]


@final
class BranchedCircuit:
    """Outputs and derivatives of a skeleton of operations, as functions of the angles of its rotations.

    The rotations among ``operations`` without a fixed angle are numbered in order, shared and sampled apart,
    as in `RotationCircuit`; one rotation may stand in many places of the skeleton. Raises UnsupportedModelError
    where the states of one sample do not fit into memory.
    """

    def __init__(
        self, skeleton: Skeleton, operations: Sequence[Operation], observables: Sequence[Observable]
    ) -> None:
        check_operations(skeleton.num_wires, tuple(operations))
        check_observables(skeleton.num_wires, tuple(observables))
        self._skeleton, self._observables = skeleton, tuple(observables)
        kind = Vectors if skeleton.vector_cost <= skeleton.density_cost else Densities
        self._elements, self._live = self._peaks(kind)
        self._tables = 2**skeleton.num_wires * (
            8 * skeleton.num_wires + 32 * len(operations) + 56 * sum(map(_num_tables, observables))
        )
        self._require_memory(1, "")
        self._compiled = [compiled(skeleton.num_wires, operation) for operation in operations]
        self._operations, self._sources = tuple(operations), angle_sources(operations)
        sources = [source for source in self._sources if source is not None]
        self.num_sampled = sum(source.sampled for source in sources)
        self.num_shared = len(sources) - self.num_sampled
        self._seeds = Seeds(skeleton.num_wires, observables)
        self._states: Mixture = kind(skeleton.num_wires)

    @property
    def num_outputs(self) -> int:
        return self._seeds.num_outputs

    @property
    def representation(self) -> str:
        """What a branch is kept as: "vectors" or "densities"."""
        return self._states.name

    @property
    def updates(self) -> int:
        """Numbers that an operation on a track passes over, summed over all of them, for one sample."""
        return min(self._skeleton.vector_cost, self._skeleton.density_cost)

    @cached_property
    def unshared(self) -> tuple[BranchedCircuit, NDArray[np.int64]]:
        """The same circuit with every angle sampled, and where its angles (S + T) are among shared and sampled."""
        operations, order = unshared(self._operations)
        return BranchedCircuit(self._skeleton, operations, self._observables), order

    @cached_property
    def apart(self) -> tuple[BranchedCircuit, NDArray[np.int64], NDArray[np.int64]]:
        """The same circuit with an angle for every place of the skeleton, and which shared and sampled angle each is.

        A loop may come to one rotation many times: only by its angle at one place are outputs a sine.
        """
        numbers = [i.operation for i in self._skeleton.instructions if isinstance(i, Apply)]
        places = iter(range(len(numbers)))
        instructions = tuple(
            replace(i, operation=next(places)) if isinstance(i, Apply) else i
            for i in self._skeleton.instructions
        )
        sources = [self._sources[number] for number in numbers]
        shared, sampled = (
            np.array([s.number for s in sources if s is not None and s.sampled is kind], np.int64)
            for kind in (False, True)
        )
        skeleton = replace(self._skeleton, instructions=instructions)
        operations = [self._operations[number] for number in numbers]
        return BranchedCircuit(skeleton, operations, self._observables), shared, sampled

    def values(self, shared: Real, sampled: Real, threads: int = 1) -> Real:
        """Outputs (n, c) for angles (S,) and (n, T)."""
        return self._run(shared, sampled, lambda piece: piece.values)

    def sweep(self, shared: Real, sampled: Real, threads: int = 1) -> tuple[Real, Derivatives]:
        """Outputs (n, c), and dF/dangle of every output and sample, (n, c, S) and (n, c, T)."""
        width = self.num_outputs
        self._require_memory(width, f" for the derivatives of {width} outputs, all at once")
        values, by_shared, by_sampled = self._run(
            shared, sampled, lambda piece: (piece.values, *piece.back(None)), width
        )
        return values, Derivatives(by_shared, by_sampled)

    def weighted(self, weights: Real, shared: Real, sampled: Real, threads: int = 1) -> Derivatives:
        """d/dangle of sum_ia weights[i, a] F[i, a]: (S,), summed over the batch, and (n, T)."""

        def back(piece: _Piece) -> tuple[Real, Real]:
            by_shared, by_sampled = piece.back(weights[piece.place])
            return by_shared[:, 0], by_sampled[:, 0]

        by_shared, by_sampled = self._run(shared, sampled, back, alike=False)
        return Derivatives(by_shared.sum(axis=0), by_sampled)

    def _run(
        self,
        shared: Real,
        sampled: Real,
        measure: Callable[[_Piece], Any],
        width: int = 1,
        alike: bool = True,
    ) -> Any:
        """``measure`` of every piece of the batch, put together sample by sample."""
        count = len(sampled)
        # Without a sampled angle all samples are alike, and one is computed.
        once = alike and sampled.shape[1] == 0 and count > 1
        found = [
            measure(_Piece(self, shared, sampled, place))
            for place in self._pieces(1 if once else count, width)
        ]
        joined = [np.concatenate(parts) for parts in zip(*map(_tuple, found), strict=True)]
        joined = [np.repeat(part, count, axis=0) if once else part for part in joined]
        return joined[0] if len(joined) == 1 else tuple(joined)

    def _pieces(self, count: int, width: int) -> Iterator[slice]:
        lanes = max(1, WORKING_SET // (16 * (self._elements + self._live * width)))
        yield from (slice(start, min(start + lanes, count)) for start in range(0, max(count, 1), lanes))

    def _require_memory(self, width: int, purpose: str) -> None:
        """Refuse what does not fit for one sample, with ``width`` bras: tables, states, and the copies of a step."""
        needed = self._tables + 16 * (2 * self._elements + 2 * self._live + 2 * width * self._live)
        must = f"need at most {MAX_STATE / 2**30:g} GiB a sample{purpose}"
        require(
            needed <= MAX_STATE, "program", must, f"about {needed / 2**30:.3g} GiB", UnsupportedModelError
        )

    def _peaks(self, kind: type[Mixture]) -> tuple[int, int]:
        """The most numbers that are held at any one time, and the most in tracks that are still under way."""
        size = 2**self._skeleton.num_wires
        rows = self._skeleton.rows() if kind is Vectors else {}
        each = {track: rows.get(track, size) * size for track in self._tracks()}
        now = live = each[0]
        for instruction in self._skeleton.instructions:
            came, went = _turnover(instruction)
            now += sum(each[t] for t in came) - sum(each[t] for t in went)
            live = max(live, now)
        # Of densities, what is merged or projected is kept for the way back.
        return (live if kind is Vectors else sum(each.values())), live

    def _tracks(self) -> Iterator[Track]:
        yield 0
        for instruction in self._skeleton.instructions:
            yield from _turnover(instruction)[0]


def _turnover(instruction: Instruction) -> tuple[tuple[Track, ...], tuple[Track, ...]]:
    """The tracks that an instruction makes, and those that it uses up."""
    match instruction:
        case Split(source, _, parts):
            return parts, (source,)
        case Merge(sources, target):
            return (target,), sources
        case Drop(track):
            return (), (track,)
    return (), ()


def _num_tables(observable: Observable) -> int:
    """At most how many diagonal tables an observable is kept as."""
    match observable:
        case PauliSum(words):
            flips = (
                frozenset(wire for wire, letter in zip(word.wires, word.word, strict=True) if letter in "XY")
                for word in words
            )
            return len(set(flips))
        case Hermitian(wires=wires):
            return 2 ** len(wires)
    return 1


def _tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


class _Piece:
    """Some samples of the batch: their states at the end, and the sweep back."""

    def __init__(self, circuit: BranchedCircuit, shared: Real, sampled: Real, place: slice) -> None:
        self.place = place
        self._circuit, self._states = circuit, circuit._states
        self._shared, self._sampled = shared, np.ascontiguousarray(sampled[place].T)
        self._lanes = place.stop - place.start
        self._dtype = np.result_type(shared.dtype, np.complex64)
        self._kept: list[Any] = []
        self._final = self._forward()
        self.values = self._measured().astype(shared.dtype)

    def _angle(self, number: int) -> Angle:
        source, operation = self._circuit._sources[number], self._circuit._operations[number]
        if source is None:
            assert isinstance(operation, PauliRotation)
            return operation.angle
        return self._sampled[source.number] if source.sampled else self._shared[source.number]

    def _forward(self) -> States:
        states = {0: self._states.start(self._lanes, self._dtype)}
        for instruction in self._circuit._skeleton.instructions:
            match instruction:
                case Apply(number, tracks):
                    self._apply(number, [states[track] for track in tracks])
                case Split(source, wire, parts):
                    pair, kept = self._states.split(states.pop(source), wire)
                    states |= dict(zip(parts, pair, strict=True))
                    self._kept.append(kept)
                case Merge(sources, target):
                    states[target], kept = self._states.merge([states.pop(source) for source in sources])
                    self._kept.append(kept)
                case Drop(track):
                    self._kept.append(states.pop(track))
        return states

    def _apply(self, number: int, states: Sequence[Amplitudes], dagger: bool = False) -> None:
        operation = self._circuit._compiled[number]
        for state in states:
            for view, conjugate in self._states.sides(state):
                if isinstance(operation, Fixed):
                    operation.apply(view, dagger, conjugate)
                else:
                    angle = self._angle(number)
                    operation.apply(view, -angle if dagger else angle, conjugate)

    def _measured(self) -> Real:
        """Outputs (lanes, c)."""
        seeds, total = self._circuit._seeds, np.zeros((self._circuit.num_outputs, self._lanes))
        for track in self._circuit._skeleton.final:
            state = self._final[track]
            total += seeds.values(self._states.basis(state), state)
        return total.T

    def back(self, weights: Real | None) -> tuple[Real, Real]:
        """Derivatives (lanes, c, S) and (lanes, c, T), or those of the weighted sum of outputs, with c = 1."""
        states = {track: self._final[track] for track in self._circuit._skeleton.final}
        seeds = self._circuit._seeds
        bras = {t: seeds.bras(self._states.basis(state), weights) for t, state in states.items()}
        width = self._circuit.num_outputs if weights is None else 1
        by_shared = np.zeros((self._lanes, width, len(self._shared)), self._shared.dtype)
        by_sampled = np.zeros((self._lanes, width, len(self._sampled)), self._shared.dtype)
        kept = list(self._kept)
        for instruction in reversed(self._circuit._skeleton.instructions):
            match instruction:
                case Apply(number, tracks):
                    self._collect(number, tracks, states, bras, by_shared, by_sampled)
                    self._apply(number, [a[track] for a in (states, bras) for track in tracks], dagger=True)
                case Split(source, wire, parts):
                    record = kept.pop()
                    states[source] = self._states.unsplit([states.pop(t) for t in parts], record)
                    bras[source] = self._states.unsplit_bra([bras.pop(t) for t in parts], wire, record)
                case Merge(sources, target):
                    record = kept.pop()
                    states |= zip(sources, self._states.unmerge(states.pop(target), record), strict=True)
                    bras |= zip(sources, self._states.unmerge_bra(bras.pop(target), record), strict=True)
                case Drop(track):
                    states[track] = kept.pop()
                    bras[track] = np.zeros((width, *states[track].shape), states[track].dtype)
        return by_shared, by_sampled

    def _collect(
        self,
        number: int,
        tracks: Sequence[Track],
        states: States,
        bras: States,
        by_shared: Real,
        by_sampled: Real,
    ) -> None:
        source, operation = self._circuit._sources[number], self._circuit._compiled[number]
        if source is None or not source.wanted:
            return
        assert isinstance(operation, Rotation)
        found = by_sampled if source.sampled else by_shared
        for track in tracks:
            found[:, :, source.number] += operation.derivative(bras[track], states[track]).T
