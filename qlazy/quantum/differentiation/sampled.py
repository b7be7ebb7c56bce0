"""One randomised program a parameter: a term drawn at random, weighted by the inverse of its probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, final

import torch
from torch import Tensor

from qlazy.errors import require, require_shape
from qlazy.quantum.differentiation.elements import rows_of
from qlazy.quantum.differentiation.tangents import product
from qlazy.quantum.differentiation.terms import Term
from qlazy.quantum.expression import Constant
from qlazy.quantum.program import Program

if TYPE_CHECKING:
    from qlazy.quantum.differentiation.derivative import Derivative


class Estimate(NamedTuple):
    """An estimate and its standard error, both (n, c)."""

    value: Tensor
    error: Tensor


@final
@dataclass(frozen=True, eq=False)
class SampledDerivative:
    """The derivative as the mean of programs drawn at random.

    Term j of ``derivative`` is drawn with probability p_j and weighted by 1 / p_j, so that the mean is the
    derivative whatever the probabilities, which are uniform unless given. The variance is least where p_j is
    proportional to the size of the share of term j. Fang, Ying, Wu (arXiv 2211.04507).
    """

    derivative: Derivative
    probabilities: Sequence[float] = field(default=())

    def __post_init__(self) -> None:
        if self.probabilities:
            require_shape("probabilities", self._probabilities, (len(self.derivative),))
            require(min(self.probabilities) > 0, "probabilities", "be positive", min(self.probabilities))

    @property
    def program(self) -> Program:
        return self.derivative.program

    @cached_property
    def _probabilities(self) -> Tensor:
        given = torch.tensor(self.probabilities or [1.0] * len(self.derivative), dtype=torch.float64)
        return given / given.sum()

    def draw(self, generator: torch.Generator) -> Term:
        """One randomised program with its importance weight. Raises ValueError where there is none to draw."""
        return self._weighted(int(self._drawn(1, generator)))

    def estimate(
        self, params: Tensor, x: Tensor | None = None, *, samples: int, generator: torch.Generator
    ) -> Estimate:
        """The mean of ``samples`` drawn programs, each evaluated exactly; value and standard error (n, c)."""
        require(samples >= 2, "samples", "be at least 2, for a standard error", samples)
        rows = rows_of(self.program, params, x)
        if not len(self.derivative):
            zero = params.new_zeros(len(rows), self.program.num_outputs)
            return Estimate(zero, zero)
        numbers, counts = self._drawn(samples, generator).unique(return_counts=True)
        shares = torch.stack([self._weighted(int(j)).evaluate(params, rows) for j in numbers])
        share = (counts / samples).to(params).reshape(-1, 1, 1)
        mean = (share * shares).sum(0)
        variance = (share * (shares - mean) ** 2).sum(0) * samples / (samples - 1)
        return Estimate(mean, (variance / samples).sqrt())

    def _drawn(self, count: int, generator: torch.Generator) -> Tensor:
        require(len(self.derivative), "wrt", "be used by the program", self.derivative.element)
        return torch.multinomial(self._probabilities, count, replacement=True, generator=generator)

    def _weighted(self, number: int) -> Term:
        term = self.derivative[number]
        return Term(term.program, product(term.weight, Constant(1.0 / float(self._probabilities[number]))))
