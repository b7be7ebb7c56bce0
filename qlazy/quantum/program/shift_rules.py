"""Shift rules: the derivative by a rotation's angle as a sum of values at shifted angles, df/dt = sum c f(t + s).

A rotation exp(-i t P / 2) has the frequency 1, and two terms:

    d/dt f = 1/2 [f(t + pi/2) - f(t - pi/2)].

One controlled by qubits has the frequencies 1/2 and 1, and four:

    d/dt f = (sqrt(2) + 1)/(4 sqrt(2)) [f(t + pi/2) - f(t - pi/2)]
           - (sqrt(2) - 1)/(4 sqrt(2)) [f(t + 3 pi/2) - f(t - 3 pi/2)].

Of the rules with four terms that are exact for both this has weights that add up to 1 in modulus, as the first has.

Sources: Mitarai et al. 2018 (arXiv 1803.00745); four terms: Anselmetti et al. 2021 (arXiv 2104.05695).
"""

from __future__ import annotations

import math
from typing import NamedTuple


class Term(NamedTuple):
    """``weight`` times the value at an angle moved by ``shift`` radians."""

    weight: float
    shift: float


_ROOT = math.sqrt(2)
_NEAR, _FAR = (_ROOT + 1) / (4 * _ROOT), (_ROOT - 1) / (4 * _ROOT)
_TWO = (Term(0.5, math.pi / 2), Term(-0.5, -math.pi / 2))
_FOUR = (
    Term(_NEAR, math.pi / 2),
    Term(-_NEAR, -math.pi / 2),
    Term(-_FAR, 3 * math.pi / 2),
    Term(_FAR, -3 * math.pi / 2),
)


def shift_rule(controlled: bool) -> tuple[Term, ...]:
    """The terms for a rotation, or for one that is ``controlled`` by qubits."""
    return _FOUR if controlled else _TWO
