"""From raw features to circuit angles. All of it is fitted on the training part alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import Literal, get_args

import numpy as np

from qlazy.base.errors import refuse, require, require_choice
from qlazy.data.fitting import Floats, fitted, fixed, principal_components, standardizing

Scaling = Literal["angle", "standard", "none"]


@dataclass(frozen=True)
class Preprocessing:
    """A fitted map (n, d) -> (n, features), and one line that says what it does."""

    apply: Callable[[Floats], Floats]
    description: str


EXTREME = 1e100
"""Features larger than this, or smaller than one over it, are brought near 1 by powers of 2: squares overflow."""


def fit_inputs(x: Floats, features: int | None, scaling: Scaling) -> Preprocessing:
    """Fit the steps that :func:`qlazy.data.datasets.from_split` lists to the training inputs x (n, d).

    Raises ValueError for an unknown ``scaling`` and for more ``features`` than the training inputs have rank.
    """
    require_choice("scaling", scaling, get_args(Scaling))
    width = x.shape[1]
    features = width if features is None else features
    whole = isinstance(features, Integral) and not isinstance(features, bool)
    require(whole, "features", "be a whole number", features)
    require(1 <= features <= width, "features", f"be from 1 to {width}, the features there are", features)
    reduce, scale = features < width, scaling != "none"
    size = abs(x).max(0, initial=0)
    require(
        scale or not reduce or size.max() < EXTREME,
        "x",
        f"be below {EXTREME:g} in size, not scaled",
        size.max(),
    )
    extreme = scale and ((size > EXTREME) | ((size > 0) & (size < 1 / EXTREME))).any()
    units = (
        np.exp2(-np.frexp(np.where(size > 0, size, 1))[1].clip(-1000, 1000).astype(float))
        if extreme
        else np.ones(width)
    )
    x = x * units
    if reduce:
        _require_rank(features, standardizing(x)[1] if scale else x)
    steps = (
        fixed(partial(np.multiply, units)) if extreme else None,
        standardizing if scale else None,
        principal_components(features) if reduce else None,
        standardizing if scale and reduce else None,
        fixed(angles) if scaling == "angle" else None,
    )
    apply = fitted(x / units, [step for step in steps if step is not None])
    kept = f"{features} principal components of " if reduce else ""
    return Preprocessing(apply, f"{kept}{width} features{_SAID[scaling]}")


_SAID = {
    "angle": ", standardised on the training part, angles clip(pi z / 3, -pi, pi)",
    "standard": ", standardised on the training part",
    "none": ", not scaled",
}


def _require_rank(features: int, x: Floats) -> None:
    """Components beyond the rank are rounding noise, which standardising would blow up to full size."""
    rank = int(np.linalg.matrix_rank(x - x.mean(0)))
    require(features <= rank, "features", f"be at most {rank}, the rank of the training inputs", features)


def angles(z: Floats) -> Floats:
    """Standardised features as angles in radians: clip(pi z / 3, -pi, pi)."""
    return np.clip(np.pi * z / 3, -np.pi, np.pi)


def standardized(y: Floats) -> Callable[[Floats], Floats]:
    """The map of real targets (n, c) to columns that have mean 0 and standard deviation 1 over ``y``, each."""
    columns = np.ascontiguousarray(y.T)
    most = float(abs(columns).max())
    require(most < EXTREME, "y", f"be below {EXTREME:g} in size", most)
    mean, deviation = (np.array([size(column) for column in columns]) for size in (np.mean, np.std))
    for column in np.flatnonzero(deviation == 0):
        where = f" in column {column}" * (y.shape[1] > 1)
        refuse("y", f"take more than one value{where}", f"{mean[column]:g} throughout")
    return lambda targets: (targets - mean) / deviation
