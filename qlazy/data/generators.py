"""Data sets that are drawn: the artificial benchmarks on which quantum and classical classifiers are compared.

They follow the descriptions of Bowles, Ahmed and Schuld, Better than classical? The subtle art of benchmarking quantum
machine learning models, arXiv 2403.07059, section 4. Each returns inputs (n, d) and labels (n,), both classes equally
often (one more of the second for odd n), and is a function of its arguments alone. The problem (a manifold, curves,
hyperplanes) is drawn from ``task_seed``, by default the seed of the samples: one problem for any number of samples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import number_of, require, whole_of
from qlazy.data.fitting import Floats

Arrays = tuple[Floats, NDArray[Any]]

_MOST = 10_000
_PROBES = 4000
_RAREST = 1 / 8


def linearly_separable(n: int, seed: int, *, dimension: int = 6, margin: float | None = None) -> Arrays:
    """Uniform points of the cube [-1, 1]^d on both sides of the plane sum x = 0, none with |sum x| <= ``margin``.

    The margin is 0.02 d unless given, as in the paper. Labels: above (sum x > 0) and below.

    Raises ValueError for a margin beyond 1.5 standard deviations of sum x, 1.5 sqrt(d / 3).
    """
    d = _size("dimension", dimension)
    width = 0.02 * d if margin is None else _amount("margin", margin)
    most = 1.5 * np.sqrt(d / 3)
    require(width <= most, "margin", f"be at most 1.5 sqrt(dimension / 3), {most:.3g}", margin)
    rng = np.random.default_rng(seed)

    def draw(count: int) -> tuple[Floats, NDArray[np.bool_]]:
        x = rng.uniform(-1, 1, (count, d))
        x = x[abs(x.sum(1)) > width]
        return x, x.sum(1) > 0

    x, above = _balanced(n, draw)
    return x, np.where(above, "above", "below")


def hyperplanes(
    n: int,
    seed: int,
    *,
    dimension: int = 6,
    hyperplanes: int = 5,
    hidden: int = 3,
    task_seed: int | None = None,
) -> Arrays:
    """Normal points of R^k, k = ``hidden``, labelled by the parity of how many hyperplanes they lie above, in R^d.

    A point z lies above hyperplane i where w_i z + b_i > 0, with w_i and b_i uniform in [0, 1); x = z M with M (k, d)
    uniform in [0, 1). Hyperplanes that leave either parity less than an eighth of all points are drawn anew. In the
    paper d = 10, k = 3 and 2 to 20 hyperplanes. Labels: even and odd.
    """
    d, count, k = _size("dimension", dimension), _size("hyperplanes", hyperplanes), _size("hidden", hidden)
    task, rng = _streams(seed, task_seed)
    probes = task.normal(size=(_PROBES, k))
    share = 0.0
    while not _RAREST <= share <= 1 - _RAREST:
        weights, biases = task.uniform(size=(k, count)), task.uniform(size=count)
        share = _parity(probes, weights, biases).mean()
    embedding = task.uniform(size=(k, d))

    def draw(size: int) -> tuple[Floats, NDArray[np.bool_]]:
        z = rng.normal(size=(size, k))
        return z, ~_parity(z, weights, biases)

    z, even = _balanced(n, draw)
    return z @ embedding, np.where(even, "even", "odd")


def two_curves(
    n: int,
    seed: int,
    *,
    dimension: int = 6,
    degree: int = 5,
    offset: float | None = None,
    noise: float = 0.01,
    task_seed: int | None = None,
) -> Arrays:
    """Points near two curves in R^d, the second the first moved by ``offset`` along every axis.

    Coordinate i of the curve at t, uniform in [0, 1), is sum_k a_ik cos(pi k t) + b_ik sin(pi k t) for k from 0 to
    ``degree``; all a and b are uniform in [0, 1), divided by the root of the sum of their squares. Normal ``noise`` of
    this standard deviation is added to every coordinate. The offset is 1 / (2 degree) unless given, as in the paper,
    where degree = 5 and d is from 2 to 20, or d = 10 and the degree from 2 to 20. Labels: first and second.
    """
    d, degree = _size("dimension", dimension), _size("degree", degree)
    shift = 1 / (2 * degree) if offset is None else number_of("offset", offset)
    require(np.isfinite(shift), "offset", "be finite", offset)
    size = _amount("noise", noise)
    task, rng = _streams(seed, task_seed)
    coefficients = task.uniform(size=(2, degree + 1, d))
    cosines, sines = coefficients / np.linalg.norm(coefficients)
    angles = np.pi * np.outer(rng.uniform(size=n), np.arange(degree + 1))
    curve = np.cos(angles) @ cosines + np.sin(angles) @ sines
    second = np.arange(n) >= n // 2
    x = curve + rng.normal(0, size, (n, d)) + shift * second[:, None]
    return x, np.where(second, "second", "first")


def hidden_manifold(
    n: int, seed: int, *, dimension: int = 6, manifold: int = 6, task_seed: int | None = None
) -> Arrays:
    """Points of a manifold of m = ``manifold`` dimensions in R^d, labelled by a net on the manifold.

    z is normal in R^m and x = tanh(z F / sqrt(m) - b), with F (m, d) normal and b uniform in [-1, 1). The label is
    that of v tanh(W z), with W (m, m) and v normal, against its median over the samples: -1 below and 1 above. After
    Goldt, Mezard, Krzakala and Zdeborova, arXiv 1909.11500; in the paper m = 6 and d from 2 to 20, or d = 10 and m from
    2 to 20.
    """
    d, m = _size("dimension", dimension), _size("manifold", manifold)
    task, rng = _streams(seed, task_seed)
    features, biases = task.normal(size=(m, d)), task.uniform(-1, 1, d)
    inner, outer = task.normal(size=(m, m)), task.normal(size=m)
    z = rng.normal(size=(n, m))
    score = np.tanh(z @ inner) @ outer
    y = np.where(np.argsort(np.argsort(score)) < n // 2, -1, 1)
    return np.tanh(z @ features / np.sqrt(m) - biases), y


def bars_and_stripes(n: int, seed: int, *, height: int = 4, width: int = 4, noise: float = 0.5) -> Arrays:
    """Images (n, height width), row by row, of -1 and 1: of whole columns (bar) or whole rows (stripe), with noise.

    Every column, or row, is 1 with probability 1/2, and normal noise of standard deviation ``noise`` is added to every
    pixel. Images of one color come in both classes, so that even without noise no rule is right more often than in
    1 - 2^-max(height, width) of all. In the paper the sides are equal, 4, 8, 16 and 32. Labels: bar and stripe.
    """
    sides = {"height": _size("height", height), "width": _size("width", width)}
    size = _amount("noise", noise)
    rng = np.random.default_rng(seed)
    stripe = np.arange(n) >= n // 2
    rows, columns = (rng.choice((-1.0, 1.0), (n, side)) for side in sides.values())
    images = np.where(stripe[:, None, None], rows[:, :, None], columns[:, None, :])
    x = (images + rng.normal(0, size, images.shape)).reshape(n, -1)
    return x, np.where(stripe, "stripe", "bar")


GENERATORS: dict[str, Callable[..., Arrays]] = {
    "linearly_separable": linearly_separable,
    "hyperplanes": hyperplanes,
    "two_curves": two_curves,
    "hidden_manifold": hidden_manifold,
    "bars_and_stripes": bars_and_stripes,
}


def _parity(z: Floats, weights: Floats, biases: Floats) -> NDArray[np.bool_]:
    """Whether each point lies above an odd number of hyperplanes."""
    odd: NDArray[np.bool_] = (z @ weights + biases > 0).sum(1) % 2 == 1
    return odd


def _balanced(
    n: int, draw: Callable[[int], tuple[Floats, NDArray[np.bool_]]]
) -> tuple[Floats, NDArray[np.bool_]]:
    """n samples, half of them of the first kind, of as many draws as it takes."""
    wanted = (n // 2, n - n // 2)
    parts: tuple[list[Floats], list[Floats]] = ([], [])
    while any(sum(map(len, part)) < size for part, size in zip(parts, wanted, strict=True)):
        x, first = draw(4 * n)
        parts[0].append(x[first])
        parts[1].append(x[~first])
    x = np.concatenate([np.concatenate(part)[:size] for part, size in zip(parts, wanted, strict=True)])
    return x, np.arange(n) < wanted[0]


def _streams(seed: int, task_seed: int | None) -> tuple[np.random.Generator, np.random.Generator]:
    """One stream for the problem and one for its samples, which do not overlap for equal seeds."""
    task = seed if task_seed is None else whole_of("task_seed", task_seed)
    return np.random.default_rng([task, 1]), np.random.default_rng([seed, 2])


def _size(name: str, value: object) -> int:
    must = f"be a whole number from 1 to {_MOST}"
    size = whole_of(name, value, 1, must)
    require(size <= _MOST, name, must, value)
    return size


def _amount(name: str, value: object) -> float:
    must = "be a finite number that is not negative"
    amount = number_of(name, value, must)
    require(0 <= amount < float("inf"), name, must, value)
    return amount
