"""Changes of Jacobian and kernel along a path: against closed forms, and under what must not change them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import qlazy
from qlazy.training import tangent_changes as module
from qlazy.training.tangent_changes import CHANGES, kernel_changes, tangent_changes

X = torch.randn(6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
RESIDUAL = torch.tensor([[1.0], [-1.0], [1.0], [1.0], [-1.0], [1.0]], dtype=torch.float64)


def moved(model: qlazy.Model, by: float = 0.3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """An anchor and two points beside it."""
    generator = torch.Generator().manual_seed(seed)
    anchor = model.init(generator).double()
    step = torch.randn(2, len(anchor), generator=generator, dtype=torch.float64)
    return anchor, anchor + by * step


def circuit() -> qlazy.Model:
    return qlazy.load_circuit("hardware_efficient", n=3, layers=1)


def test_a_closed_form() -> None:
    """h = w_0 w_1 x: J = (w_1 x, w_0 x), so that at (1 + d) w J has grown by d and K by 2 d + d^2."""
    model = qlazy.Function(lambda w, x: w[0] * w[1] * x, 2)
    anchor, x = torch.tensor([1.0, 2.0], dtype=torch.float64), X[:, :1]
    (found,) = tangent_changes(model, anchor, 1.25 * anchor[None], x, RESIDUAL)
    expected = {"jacobian": 0.25, "kernel": 0.5625, "centered": 0.5625, "residual": 0.5625}
    assert dict(zip(CHANGES, found.tolist(), strict=True)) == pytest.approx(expected)


def test_blocks_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    for model in (qlazy.mlp([3, 4, 1]), circuit()):
        anchor, path = moved(model)
        whole = tangent_changes(model, anchor, path, X, RESIDUAL)
        monkeypatch.setattr(module, "DENSE_BYTES", 0)
        monkeypatch.setattr("qlazy.models.model.BLOCK_BYTES", 8 * 2 * len(anchor))
        torch.testing.assert_close(tangent_changes(model, anchor, path, X, RESIDUAL), whole)
        monkeypatch.undo()


@pytest.mark.parametrize("bias", [3.0, 30.0])
def test_a_trainable_constant_changes_the_whole_kernel_alone(bias: float) -> None:
    """An output bias s b adds s^2 1 1^T to K. The residual has a mean here."""
    net = qlazy.mlp([3, 4, 1])
    anchor, path = moved(net)
    biased = qlazy.Function(lambda w, x: net(w[:-1], x) + bias * w[-1], net.num_params + 1)
    more = torch.nn.functional.pad(torch.cat([anchor[None], path]), (0, 1))
    plain = tangent_changes(net, anchor, path, X, RESIDUAL)
    found = tangent_changes(biased, more[0], more[1:], X, RESIDUAL)
    kept = [i for i, name in enumerate(CHANGES) if name != "kernel"]
    torch.testing.assert_close(found[:, kept], plain[:, kept], rtol=1e-8, atol=0)
    assert (found[:, CHANGES.index("kernel")] < plain[:, CHANGES.index("kernel")]).all()


def test_what_must_not_matter_does_not() -> None:
    """Units and signs of outputs and labels; order and repetition of samples; a period added to an angle."""
    model = circuit()
    anchor, path = moved(model)
    expected = tangent_changes(model, anchor, path, X, RESIDUAL)
    order = torch.tensor([3, 1, 0, 5, 2, 4])
    turns = (
        2 * math.pi * torch.randint(-2, 3, anchor.shape, generator=torch.Generator().manual_seed(2)).double()
    )
    for found in (
        tangent_changes(qlazy.Scaled(model, 0.01), anchor, path, X, RESIDUAL),
        tangent_changes(model, anchor, path, X, -0.3 * RESIDUAL),
        tangent_changes(model, anchor, path, X[order], RESIDUAL[order]),
        tangent_changes(model, anchor, path, X.repeat(3, 1), RESIDUAL.repeat(3, 1)),
        tangent_changes(model, anchor + turns, path + turns, X, RESIDUAL),
    ):
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-12)


def test_one_sample_is_not_centered_away() -> None:
    net = qlazy.mlp([3, 4, 1])
    anchor, path = moved(net)
    changes = tangent_changes(net, anchor, path, X[:1], RESIDUAL[:1])
    torch.testing.assert_close(changes[:, 1:], changes[:, 1:2].expand(-1, 3))
    assert (changes > 0).all()


def test_a_kernel_that_begins_to_vary_has_changed_without_bound() -> None:
    flat = torch.ones(3, 3, dtype=torch.float64)
    residual = torch.tensor([[1.0], [-2.0], [1.0]], dtype=torch.float64)
    varying = flat + torch.diag(torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64))
    assert kernel_changes(flat, flat, residual) == (0, 0, 0)
    assert kernel_changes(varying, flat, residual)[1] == math.inf


def test_a_linear_model_does_not_change() -> None:
    model = qlazy.Function(lambda w, x: (x @ w).unsqueeze(1), 3)
    anchor, path = moved(model)
    np.testing.assert_array_equal(tangent_changes(model, anchor, path, X, RESIDUAL), np.zeros((2, 4)))


def test_shapes_are_checked() -> None:
    net = qlazy.mlp([3, 4, 1])
    anchor, path = moved(net)
    with pytest.raises(ValueError, match="`residual` must have shape"):
        tangent_changes(net, anchor, path, X, RESIDUAL[:-1])
    with pytest.raises(ValueError, match="`anchor` must have shape"):
        tangent_changes(net, anchor[:-1], path, X, RESIDUAL)
    with pytest.raises(ValueError, match="`path` must have shape"):
        tangent_changes(net, anchor, path[0], X, RESIDUAL)
