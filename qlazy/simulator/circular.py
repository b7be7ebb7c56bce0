# mypy: allow-untyped-defs
"""Cosines and sines for all samples of a block at once.

A multiple of pi is taken off in four parts, whose products with small integers are exact (Cody and Waite), and
the series of both functions are summed on what is left, in [-pi/2, pi/2].
"""

from __future__ import annotations

from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qlazy.simulator.compiled import inline
from qlazy.simulator.lanes import nearest, splat

PI = tuple(
    float.fromhex(part)
    for part in ("0x1.92p+1", "0x1.fb4p-11", "0x1.444p-23", "0x1.68c234c4c6629p-38")  # 11 bits, then the rest
)
TERMS = 11
COSINE = tuple((-1.0) ** k / factorial(2 * k) for k in reversed(range(TERMS)))
SINE = tuple((-1.0) ** k / factorial(2 * k + 1) for k in reversed(range(TERMS)))
LARGEST = {4: 2.0**13, 8: 2.0**21}  # by the bytes of a number: beyond, the products are not exact


def moderate(angles: NDArray[Any]) -> NDArray[Any]:
    """The same angles, those too large for the kernel brought to [-pi, pi]. Infinite ones become NaN."""
    limit = LARGEST[angles.itemsize]
    if not angles.size or max(angles.max(), -angles.min()) <= limit:
        return angles
    large = ~(np.abs(angles) <= limit)  # NaN too; the others keep their bits, whatever stands beside them
    reduced = angles.copy()
    with np.errstate(invalid="ignore"):
        reduced[large] = np.arctan2(np.sin(angles[large]), np.cos(angles[large]))
    return reduced


@inline
def series(like, terms, x):
    """sum_k terms[-1 - k] x^k."""
    total = splat(like, terms[0])
    for k in range(1, TERMS):
        total = total * x + splat(like, terms[k])
    return total


@inline
def cosine_and_sine(like, angle):
    """Of an angle up to ``LARGEST``; ``like`` is an array of the same rows."""
    multiple = nearest(angle * splat(like, 1.0 / np.pi))
    rest = angle
    for part in PI:
        rest = rest - multiple * splat(like, part)
    half = splat(like, 0.5) * multiple
    odd = half - nearest(half)  # 0, or 1/2 up to its sign
    sign = splat(like, 1.0) - splat(like, 8.0) * odd * odd
    square = rest * rest
    return sign * series(like, COSINE, square), sign * rest * series(like, SINE, square)
