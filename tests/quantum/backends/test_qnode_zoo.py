"""Every QNode of the zoo runs right, or is refused in words: never another number, never a foreign exception."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._pytree import tree_flatten

import qlazy
from qlazy.quantum.circuit import _shape
from tests.quantum.backends.qnode_zoo import ZOO, Zoo

STEP = 1e-5

pytestmark = pytest.mark.filterwarnings("ignore")


def test_there_are_enough() -> None:
    assert len(ZOO) >= 150


def plain(zoo: Zoo, weights: np.ndarray) -> np.ndarray:
    """Outputs (n, c) of the QNode itself, row by row, with NumPy arrays."""
    return np.stack([called(zoo, weights, row) for row in zoo.rows])


def called(zoo: Zoo, weights: np.ndarray, row: Any) -> np.ndarray:
    named, start = {}, 0
    for name, size in zoo.shapes.items():
        shape = _shape(name, size)
        named[name] = weights[start : start + math.prod(shape)].reshape(shape)
        start += math.prod(shape)
    given = np.array(row) if np.ndim(row) else float(row)
    results, _ = tree_flatten(
        zoo.qnode(inputs=given, **{k: v if v.ndim else float(v) for k, v in named.items()})
    )
    return np.concatenate([np.asarray(result, dtype=float).reshape(-1) for result in results])


def differences(zoo: Zoo, weights: np.ndarray) -> np.ndarray:
    """The Jacobian (n, c, p) by central differences."""
    columns = [
        (plain(zoo, weights + STEP * unit) - plain(zoo, weights - STEP * unit)) / (2 * STEP)
        for unit in np.eye(len(weights))
    ]
    return np.stack(columns, -1)


@pytest.mark.parametrize("name", ZOO)
def test_as_the_qnode_itself(name: str) -> None:
    zoo = ZOO[name]()
    model = qlazy.Circuit(zoo.qnode, zoo.shapes)
    weights = np.random.default_rng(7).uniform(0.3, 2.8, model.num_params)
    params, x = torch.from_numpy(weights), torch.from_numpy(zoo.rows.copy())
    if zoo.refused:
        with pytest.raises(qlazy.UnsupportedModelError, match=zoo.refused):
            model(params, x)
        return
    outputs, jacobian = model(params, x), model.jacobian(params, x)
    np.testing.assert_array_equal(x, zoo.rows)
    expected = plain(zoo, weights)
    size = max(1e-9, float(np.abs(expected).max()))
    np.testing.assert_allclose(outputs / size, expected / size, atol=1e-9)
    np.testing.assert_allclose(jacobian / size, differences(zoo, weights) / size, atol=2e-8)
    direction = torch.from_numpy(np.random.default_rng(8).normal(size=len(weights)))
    torch.testing.assert_close(
        model.jvp(params, x, direction), jacobian @ direction, atol=1e-9 * size, rtol=1e-9
    )
