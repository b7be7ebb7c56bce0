"""Tools that propagate Pauli words: what each leaves, read alike once the clock has stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from qlazy.bench.workloads import Array

LETTERS = "IXZY"


def native(array: Array, dtype: str) -> Array:
    """Arrays as these tools take them: in float64, which is all that they compute in."""
    return array.astype(np.float64)


def codes(words: Iterable[str]) -> Array:
    """Words as letters (t, n): I 0, X 1, Z 2, Y 3."""
    table = np.zeros(256, np.uint8)
    table[[ord(letter) for letter in LETTERS]] = range(4)
    rows = list(words)
    return table[np.frombuffer("".join(rows).encode(), np.uint8).reshape(len(rows), -1)]


@dataclass(frozen=True, eq=False)
class Left:
    """What a tool left: its value at |0...0>, its bound on what it dropped, and its words.

    The bound is 0 where a tool drops the words that qlazy drops, and NaN where it drops others and gives none.
    ``read`` gives letters (t, n) and coefficients (t,). As an array (3 + m,): the number of words, bound, value, and
    the expectations after RY(x_q) on every wire, for the rows (m, n) of ``x``.
    """

    value: float
    bound: float
    x: Array
    read: Callable[[], tuple[Array, Array]]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        letters, coefficients = self.read()
        states = np.stack([np.ones_like(self.x), np.sin(self.x), np.cos(self.x), np.zeros_like(self.x)])
        values = [float(coefficients @ _expectations(letters, states[:, row])) for row in range(len(self.x))]
        return np.array([len(letters), self.bound, self.value, *values], dtype or np.float64)


def _expectations(letters: Array, states: Array) -> Array:
    """(t,) of words (t, n) where each letter has the expectation ``states`` (4, n)."""
    found = np.ones(len(letters))
    for wire in range(letters.shape[1]):
        found *= states[letters[:, wire], wire]
    return found
