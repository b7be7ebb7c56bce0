"""What is measured: each observable gives one output, `Probabilities` one for each outcome.

The first wire is the most significant bit of a matrix index and of an outcome.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from qlazy.base.errors import require
from qlazy.simulator.operations import MAX_DENSE_WIRES, ComplexArray, Wires, check_wires, check_word


@dataclass(frozen=True)
class PauliWord:
    """coefficient * P, for instance PauliWord(0.5, "ZX", (0, 3)). An empty word is the identity."""

    coefficient: float
    word: str
    wires: Wires


@dataclass(frozen=True)
class PauliSum:
    """A sum of Pauli words with real coefficients: one output."""

    words: tuple[PauliWord, ...]


@dataclass(frozen=True, eq=False)
class Hermitian:
    """A Hermitian matrix (2^k, 2^k) on k wires: one output."""

    matrix: ComplexArray
    wires: Wires


@dataclass(frozen=True)
class Projector:
    """|bits><bits| on the given wires: one output, a probability."""

    bits: tuple[int, ...]
    wires: Wires


@dataclass(frozen=True)
class Probabilities:
    """The probabilities of all 2^k outcomes on k wires: 2^k outputs."""

    wires: Wires


Observable = PauliSum | Hermitian | Projector | Probabilities


def wires_of(observable: Observable) -> tuple[int, ...]:
    """The wires on which an observable is measured, several times perhaps."""
    if isinstance(observable, PauliSum):
        return tuple(wire for word in observable.words for wire in word.wires)
    return observable.wires


def moved(observable: Observable, places: Mapping[int, int]) -> Observable:
    """The same observable on other wires."""
    if isinstance(observable, PauliSum):
        words = (replace(w, wires=tuple(places[wire] for wire in w.wires)) for w in observable.words)
        return PauliSum(tuple(words))
    return replace(observable, wires=tuple(places[wire] for wire in observable.wires))


def num_outputs(observable: Observable) -> int:
    return 2 ** len(observable.wires) if isinstance(observable, Probabilities) else 1


def without_identities(word: str, wires: Wires) -> tuple[str, Wires]:
    """A word on the wires where it has X, Y or Z."""
    kept = [(letter, wire) for letter, wire in zip(word, wires, strict=True) if letter != "I"]
    return "".join(letter for letter, _ in kept), tuple(wire for _, wire in kept)


def check_observables(num_wires: int, observables: tuple[Observable, ...]) -> None:
    """Refuse wires, words, bits and matrices that do not fit, naming the observable."""
    require(len(observables) > 0, "observables", "name at least one", observables)
    for index, observable in enumerate(observables):
        _check(num_wires, f"observables[{index}]", observable)


def _check(num_wires: int, name: str, observable: Observable) -> None:
    if isinstance(observable, PauliSum):
        for word in observable.words:
            if word.wires:
                check_wires(num_wires, f"{name}.wires", word.wires)
            check_word(f"{name}.word", word.word, word.wires)
            require(np.isreal(word.coefficient), f"{name}.coefficient", "be real", word.coefficient)
        return
    check_wires(num_wires, f"{name}.wires", observable.wires)
    if isinstance(observable, Projector):
        fits = len(observable.bits) == len(observable.wires) and set(observable.bits) <= {0, 1}
        require(fits, f"{name}.bits", f"be 0 or 1 for each of {observable.wires}", observable.bits)
    if isinstance(observable, Hermitian):
        _check_hermitian(name, observable)


def _check_hermitian(name: str, observable: Hermitian) -> None:
    matrix, count = np.asarray(observable.matrix), len(observable.wires)
    require(
        count <= MAX_DENSE_WIRES, f"{name}.wires", f"be at most {MAX_DENSE_WIRES} wires", observable.wires
    )
    require(
        matrix.shape == (2**count, 2**count), f"{name}.matrix", f"have shape {(2**count,) * 2}", matrix.shape
    )
    defect = float(np.abs(matrix - matrix.conj().T).max())
    require(
        defect <= 1e-6 * max(1.0, float(np.abs(matrix).max())),
        f"{name}.matrix",
        "be Hermitian",
        f"off by {defect:.2g}",
    )
