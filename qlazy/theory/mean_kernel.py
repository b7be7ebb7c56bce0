"""The mean tangent kernel of a circuit over uniform angles, and the covariance of its outputs, at any number of qubits.

With every weight in one Pauli rotation, Clifford gates between, and the data encoded first, both are averages over
random walks of the observable's Pauli words back through the circuit: each rotation that anticommutes with the word P
adds 1 to N (the square of its slope in the weight), and with probability 1/2 turns P into i G P. At the encoding,

    E[K(x, x')] = E[N phi(x) phi(x')]        E[f(x) f(x')] - E[f(x)] E[f(x')] = E[phi(x) phi(x')]

with phi(x) the expectation of the word where it ended. Words walk together that anticommute with the same rotations;
those that do not never meet in the mean. The mean tangent kernel over uniform angles is that over Clifford angles:
arXiv 2508.04498; wide circuits tend to the Gaussian process of this covariance: arXiv 2412.03182. The diagonal of the
first is the summed variance of the gradient, the question of barren plateaus. Radians, exp(-i theta G / 2).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.errors import UnsupportedModelError, refuse, require, require_finite, require_generator
from qlazy.base.tables import Table
from qlazy.quantum.backends.lowered import Lowering
from qlazy.quantum.circuit import Circuit
from qlazy.quantum.program.expression import Constant
from qlazy.quantum.program.partial_derivative import derivative
from qlazy.simulator.operations import Operation
from qlazy.simulator.paulis.steps import steps_of
from qlazy.simulator.paulis.walks import Walked, groups_of, walk_groups
from qlazy.simulator.paulis.words import words_of
from qlazy.theory.encodings import Gate, as_fixed, split_circuit

Floats = NDArray[np.float64]
FIRST, LARGEST = 4096, 2**17  # walks of the first batch, and of any
_NUMBERS = 2**23  # features held at once


@final
@dataclass(frozen=True, eq=False, repr=False)
class MeanKernel:
    """Averages over uniform angles at m inputs with c outputs; rows i c + k, as those of a tangent kernel.

    Errors are standard errors of the mean over walks.
    """

    tangent: Tensor  # (m c, m c)
    tangent_error: Tensor
    covariance: Tensor  # (m c, m c)
    covariance_error: Tensor
    mean: Tensor  # (m, c), exact
    variances: Mapping[str, tuple[float, float]]  # of one derivative, by block of weights, and its error
    walks: int
    relative_error: float  # of the tangent kernel's trace

    @property
    def table(self) -> Table:
        """The variance of a derivative by block of weights, averaged over inputs and outputs."""
        rows = [(name, f"{value:.3g}", f"{error:.1g}") for name, (value, error) in self.variances.items()]
        return Table("", ("weights", "variance of a derivative", "error"), tuple(rows))

    def __repr__(self) -> str:
        size = float(self.tangent.diagonal().mean())
        return f"MeanKernel(E K(x, x) = {size:.4g} to {self.relative_error:.1%}, {self.walks:,} walks)"


def mean_kernel(
    circuit: Circuit,
    x: Tensor,
    *,
    precision: float = 0.01,
    max_walks: int = 2**20,
    generator: torch.Generator | None = None,
) -> MeanKernel:
    """The mean tangent kernel of ``circuit`` at inputs x (m, d), weights uniform on [0, 2 pi) and independent.

    Walks are added until the relative standard error of the kernel's trace is ``precision``, or there are
    ``max_walks``: a kernel that concentrates exponentially never gets there, and its ``relative_error`` says so.
    Float64.

    Raises UnsupportedModelError, naming the gate, for what the average does not cover: a weight in several rotations,
    an angle that is not a whole multiple of one weight (plus a constant), a controlled rotation, a fixed gate after the
    encoding that is not a Clifford gate, data after weights.
    """
    require(isinstance(circuit, Circuit), "circuit", "be a Circuit", repr(circuit))
    require(x.ndim >= 2 and len(x) > 0, "x", "have shape (m, d) with m at least 1", tuple(x.shape))
    require_finite("x", x)
    require(0 < precision < 1, "precision", "lie between 0 and 1", precision)
    require(max_walks >= 2, "max_walks", "be at least 2", max_walks)
    if generator is not None:
        require_generator(generator)
    seed = 0 if generator is None else int(torch.randint(2**62, (), generator=generator))
    walker = _Walker(circuit, x.reshape(len(x), -1).to(torch.float64), seed)
    sums = walker.sums(precision, max_walks)
    return walker.result(sums)


def walk_squares(
    circuit: Circuit, x: Tensor, *, walks: int, generator: torch.Generator | None = None
) -> Tensor:
    """Squares (walks, p), one row a walk, whose means are E sum_k (d f_k / d w_p)^2, averaged over inputs x (m, d).

    Uniform weights as for :func:`mean_kernel`, and the same refusals; all zero for a circuit whose outputs depend on no
    weight. Few walks may carry all of the mean: none has a square above :func:`largest_square`. Float64.
    """
    require(isinstance(circuit, Circuit), "circuit", "be a Circuit", repr(circuit))
    require(x.ndim >= 2 and len(x) > 0, "x", "have shape (m, d) with m at least 1", tuple(x.shape))
    require_finite("x", x)
    require(walks >= 2, "walks", "be at least 2", walks)
    seed = 0 if generator is None else int(torch.randint(2**62, (), generator=generator))
    blocks = [(str(number), slice(number, number + 1)) for number in range(circuit.num_params)]
    return _Walker(circuit, x.reshape(len(x), -1).to(torch.float64), seed, blocks).squares(walks)


def largest_square(circuit: Circuit, x: Tensor) -> float:
    """What a square of :func:`walk_squares` can be at most; 0 for a circuit whose outputs depend on no weight.

    Outputs are at most the sums of their coefficients in size, and words that walk together are drawn by their squares.
    """
    return _Walker(circuit, x.reshape(len(x), -1).to(torch.float64), 0).largest_square


class _Rotation(NamedTuple):
    """What a rotation adds where it is met: the square of its slope, to its weight's block."""

    weight: float
    block: int


@dataclass(frozen=True)
class _Moments:
    """A sum and a sum of squares over walks."""

    total: Floats
    squares: Floats

    def __add__(self, other: _Moments) -> _Moments:
        return _Moments(self.total + other.total, self.squares + other.squares)

    def mean(self, walks: int) -> tuple[Floats, Floats]:
        """The mean and its standard error."""
        mean = self.total / walks
        return mean, np.sqrt(np.maximum(self.squares / walks - mean**2, 0) / walks)


@dataclass(frozen=True)
class _Sums:
    walks: int
    tangent: _Moments
    covariance: _Moments
    by_block: _Moments
    trace: _Moments

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(
            self.walks + other.walks, self.tangent + other.tangent, self.covariance + other.covariance,
            self.by_block + other.by_block, self.trace + other.trace,
        )  # fmt: skip

    @property
    def relative_error(self) -> float:
        mean, error = self.trace.mean(self.walks)
        return float(error / mean) if mean > 0 else math.inf


class _Walker:
    """A circuit prepared for walks."""

    def __init__(
        self, circuit: Circuit, x: Tensor, seed: int, blocks: list[tuple[str, slice]] | None = None
    ) -> None:
        lowering = circuit.lowering(x)
        self._blocks = list(circuit.blocks.items()) if blocks is None else blocks
        self._encoding, body = split_circuit(lowering, x)
        self._rotations = _rotations(body, lowering, self._blocks)
        self._steps = steps_of([as_fixed(*gate) for gate in body])
        self._words = words_of(lowering.num_wires, lowering.observables)
        self._still, *self._groups = groups_of(self._steps, self._words)
        self._samples, self._seed = len(x), seed
        squares = [float((self._words.coefficients[group] ** 2).sum()) for group in self._groups]
        self._chances = np.array(squares) / sum(squares)

    @property
    def _size(self) -> int:
        return self._samples * self._words.num_outputs

    def sums(self, precision: float, max_walks: int) -> _Sums:
        require(
            len(self._groups) > 0, "circuit", "have outputs that depend on weights", "one whose outputs do not",
            UnsupportedModelError,
        )  # fmt: skip
        chance = np.random.default_rng(self._seed)
        found, count = None, min(FIRST, max_walks)
        while found is None or (found.relative_error > precision and found.walks < max_walks):
            counts = chance.multinomial(count, self._chances)
            for piece in self._pieces(counts):
                batch = _sums(*piece)
                found = batch if found is None else found + batch
            assert found is not None
            count = min(2 * count, LARGEST, max(max_walks - found.walks, 1))
            self._seed += 1
        return found

    def squares(self, walks: int) -> Tensor:
        """(walks, blocks): the rotations met by block times the outputs' squares, added over outputs."""
        if not len(self._groups):
            return torch.zeros(walks, len(self._blocks), dtype=torch.float64)
        chance = np.random.default_rng(self._seed)
        parts = [
            met * ((features**2).sum(1, keepdims=True) / self._samples)
            for features, met in self._pieces(chance.multinomial(walks, self._chances))
        ]
        return torch.from_numpy(chance.permutation(np.concatenate(parts)))

    @property
    def largest_square(self) -> float:
        """Of all groups: the squares of the coefficients' sums by output, over the group's chance, times a weight."""
        found = 0.0
        for group, chance in zip(self._groups, self._chances, strict=True):
            sums = np.zeros(self._words.num_outputs)
            np.add.at(sums, self._words.outputs[group], abs(self._words.coefficients[group]))
            found = max(found, float((sums**2).sum()) / float(chance))
        return found * max((rotation.weight for rotation in self._rotations), default=0.0)

    def _pieces(self, counts: NDArray[np.int64]) -> Iterator[tuple[Floats, Floats]]:
        """Features and rotations met over walks, so many of each group, in pieces that fit in memory."""
        most = max(1, _NUMBERS // (self._size * max(len(group) for group in self._groups)))
        while counts.any():
            now = np.minimum(counts, most)
            counts = counts - now
            yield self._walked(now)
            self._seed += 1

    def _walked(self, counts: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """phi (walks, m c) and the rotations met (walks, blocks)."""
        weights = np.array([rotation.weight for rotation in self._rotations])
        blocks = np.array([rotation.block for rotation in self._rotations], np.int64)
        walked = walk_groups(
            self._steps, self._words, self._groups, counts, weights, blocks, len(self._blocks),
            self._seed, torch.get_num_threads(),
        )  # fmt: skip
        chances = self._chances[np.flatnonzero(counts)]
        parts = [
            (self._features(one) / math.sqrt(chance), one.met)
            for one, chance in zip(walked, chances, strict=True)
        ]
        features, met = (np.concatenate(part) for part in zip(*parts, strict=True))
        return features, met

    def _features(self, walked: Walked) -> Floats:
        """phi (walks, m c): expectations of the words where they ended, added up by output."""
        words = self._encoding.features(walked) * self._words.coefficients[walked.members][:, None]
        features = np.zeros((len(words), self._samples, self._words.num_outputs))
        for member, number in enumerate(walked.members):
            features[:, :, self._words.outputs[number]] += words[:, member]
        return features.reshape(len(words), -1)

    def result(self, sums: _Sums) -> MeanKernel:
        tangent, tangent_error = map(torch.from_numpy, sums.tangent.mean(sums.walks))
        covariance, covariance_error = map(torch.from_numpy, sums.covariance.mean(sums.walks))
        by_block = zip(*sums.by_block.mean(sums.walks), strict=True)
        variances = {
            name: (float(value) / (block.stop - block.start), float(error) / (block.stop - block.start))
            for (name, block), (value, error) in zip(self._blocks, by_block, strict=True)
        }
        return MeanKernel(
            tangent, tangent_error, covariance, covariance_error, self._mean(), variances, sums.walks,
            sums.relative_error,
        )  # fmt: skip

    def _mean(self) -> Tensor:
        """E f (m, c): the words that meet no rotation."""
        mean = np.zeros((self._samples, self._words.num_outputs))
        if len(self._still):
            one = np.ones(1, np.int64)
            nothing = np.zeros(len(self._rotations)), np.zeros(len(self._rotations), np.int64)
            [walked] = walk_groups(self._steps, self._words, [self._still], one, *nothing, 1, 0, 1)
            mean = self._features(walked).reshape(mean.shape)
        return torch.from_numpy(mean)


def _sums(features: Floats, met: Floats) -> _Sums:
    """Sums over walks (w, m c), with the rotations met by block (w, b)."""
    count, squares = met.sum(1, keepdims=True), features**2
    size = squares.mean(1, keepdims=True)  # the mean over inputs and outputs
    return _Sums(
        len(features),
        _Moments((count * features).T @ features, (count**2 * squares).T @ squares),
        _Moments(features.T @ features, squares.T @ squares),
        _Moments((met * size).sum(0), ((met * size) ** 2).sum(0)),
        _Moments((count * size).sum(), ((count * size) ** 2).sum()),
    )


def _rotations(body: list[Gate], lowering: Lowering, blocks: list[tuple[str, slice]]) -> list[_Rotation]:
    """What each rotation by a weight adds, in order; refuses angles that are not uniform and independent."""
    seen: dict[tuple[str, int], object] = {}
    found = []
    for operation, formula in body:
        if formula is None or isinstance(formula, Constant):
            continue
        [*elements] = formula.elements
        slope = derivative(formula, elements[0]) if len(elements) == 1 else None
        whole = isinstance(slope, Constant) and slope.value == round(slope.value) != 0
        if not whole:
            _refuse(operation, f"{formula}, not a whole multiple of one weight")
        if elements[0] in seen:
            _refuse(operation, f"{formula}, a weight that another rotation has already")
        seen[elements[0]] = operation
        assert isinstance(slope, Constant)
        place = lowering.layout.place(*elements[0])[1]
        block = next(number for number, (_, part) in enumerate(blocks) if part.start <= place < part.stop)
        found.append(_Rotation(slope.value**2, block))
    return found


def _refuse(operation: Operation, what: str) -> None:
    must = "have each weight in one rotation, as a whole multiple of it plus a constant"
    refuse("circuit", must, f"one with the angle {what}, on wires {operation.wires}", UnsupportedModelError)
