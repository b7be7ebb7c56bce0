"""Standardisation and principal components, fitted to training inputs: small maps of arrays (n, d).

The numbers are those of scikit-learn's StandardScaler and PCA, bit for bit, without the second that their import
takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Map = Callable[[Floats], Floats]
Fit = Callable[[Floats], tuple[Map, Floats]]
"""A fit takes training inputs; it gives the map, and the training inputs as the next fit takes them."""


def standardizing(x: Floats) -> tuple[Map, Floats]:
    """Each feature to mean 0 and standard deviation 1 over x; one that is constant up to rounding to 0.

    Variances by the corrected two-pass algorithm, and its error bound for what counts as constant: Chan, Golub, LeVeque
    1983, The American Statistician 37, 242.
    """
    samples, eps = len(x), np.finfo(np.float64).eps
    mean = x.sum(0) / samples
    rest = x - mean
    left = rest.sum(0)
    variance = ((rest * rest).sum(0) - left**2 / samples) / samples
    rounding = samples * eps * variance + (samples * mean * eps) ** 2
    scale = np.where(variance <= rounding, 1.0, np.sqrt(variance))

    def standardized(z: Floats) -> Floats:
        return (z - mean) / scale

    return standardized, standardized(x)


def principal_components(count: int) -> Fit:
    """The leading ``count`` principal components, the largest entry of each positive.

    What is handed on are left singular vectors times singular values, which differ from the map of x by rounding.
    """

    def fit(x: Floats) -> tuple[Map, Floats]:
        from scipy.linalg import svd

        mean = np.mean(x, axis=0)
        left, sizes, right = svd(x - mean, full_matrices=False)
        signs = np.sign(right[np.arange(len(right)), abs(right).argmax(1)])
        left, right = left * signs, right * signs[:, None]
        components = np.array(right[:count])
        offset = mean[None] @ components.T
        return lambda z: z @ components.T - offset, left[:, :count] * sizes[:count]

    return fit


def fitted(x: Floats, steps: Sequence[Fit]) -> Map:
    """The steps one after the other, each fitted to what the one before it made of the training inputs x."""
    maps = []
    for step in steps:
        found, x = step(x)
        maps.append(found)

    def apply(z: Floats) -> Floats:
        for one in maps:
            z = one(z)
        return z

    return apply


def fixed(of: Map) -> Fit:
    """A map with nothing to be fitted, as a step."""
    return lambda x: (of, of(x))
