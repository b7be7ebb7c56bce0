"""Other ways to decompose a symmetric tensor: power iteration, and tensorly's two."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from qlazy.base.errors import require
from qlazy.tasks.tensor.decomposition import Decomposition, normalized


def power_iteration(
    target: Decomposition,
    components: int,
    generator: torch.Generator,
    *,
    repeats: int = 10,
    iterations: int = 100,
) -> Decomposition:
    """One component after the other: u <- T(., u, ..., u) / ||.|| from ``repeats`` starts, the best taken off.

    The best is that of largest |T(u, ..., u)|. Through contractions of the components, never the tensor. Exact for
    orthogonal components; for others the first is biased and the rest make up for it. For even l this finds negative
    terms too. Anandkumar, Ge, Hsu, Kakade, Telgarsky 2014 (arXiv 1210.7559).
    """
    for name, count in (("components", components), ("repeats", repeats), ("iterations", iterations)):
        require(count >= 1, name, "be positive", count)
    rest = target
    found: list[Decomposition] = []
    for _ in range(components):
        starts = torch.randn(repeats, target.dimension, generator=generator, dtype=torch.float64)
        vectors = normalized(starts.to(target.vectors))
        for _ in range(iterations):
            vectors = _unit(rest.contracted(vectors), vectors)
        values = (rest.contracted(vectors) * vectors).sum(1)
        best = values.abs().argmax()
        found.append(Decomposition(values[best : best + 1], vectors[best : best + 1], target.order))
        rest = rest.minus(found[-1])
    return Decomposition(
        torch.cat([one.weights for one in found]), torch.cat([one.vectors for one in found]), target.order
    )


def parafac(target: Decomposition, components: int, seed: int, *, iterations: int = 200) -> float:
    """The relative error of tensorly's ``parafac`` from a random start: alternating least squares on the full tensor.

    It does not look for symmetric components, so that only the error can be set beside the others; NaN where its least
    squares are singular and it gives up, as with many components. Raises ImportError with the remedy where tensorly is
    not installed, MemoryError for a tensor that does not fit.
    """
    tensorly = _tensorly()
    dense = target.dense().double().numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own: singular least squares of factors that coincide
        try:
            found = tensorly.decomposition.parafac(
                dense, components, n_iter_max=iterations, init="random", random_state=seed, tol=1e-10
            )
        except np.linalg.LinAlgError:
            return math.nan
        return float(np.linalg.norm(tensorly.cp_to_tensor(found) - dense) / np.linalg.norm(dense))


def symmetric_parafac(target: Decomposition, components: int, seed: int) -> Decomposition:
    """tensorly's ``symmetric_parafac_power_iteration``. It takes off the largest T(u, ..., u), not the
    largest |T(u, ..., u)|: for even l negative terms come last. Raises as :func:`parafac`."""
    tensorly = _tensorly()
    with _numpy_seeded(seed):
        weights, factor = tensorly.decomposition.symmetric_parafac_power_iteration(
            target.dense().double().numpy(), components
        )
    vectors = torch.from_numpy(np.ascontiguousarray(np.asarray(factor).T))
    return Decomposition(torch.from_numpy(np.array(weights, dtype=np.float64)), vectors, target.order)


def _unit(images: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    # where the rest vanishes a start stays where it is
    norms = images.norm(dim=1, keepdim=True)
    return torch.where(norms > 0, images / norms, vectors)


def _tensorly() -> Any:
    try:
        import tensorly
        import tensorly.decomposition
    except ImportError as error:
        raise ImportError("this baseline needs tensorly: pip install tensorly") from error
    return tensorly


@contextmanager
def _numpy_seeded(seed: int) -> Iterator[None]:
    """NumPy's global generator, which tensorly draws from, seeded within a block and put back after it."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
