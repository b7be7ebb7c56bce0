"""The modified descent: its gradient against autograd on the explicit tensor, exact recovery, redrawing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from qlazy.tasks.tensor import Decomposition, Descent, decompose, decompose_many, random_target
from qlazy.training.history import DivergedError


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def explicit_step(target, vectors, signs, settings):
    """One step by autograd on the tensor of 4^3 entries, with c_i detached: shares nothing with the Gram form."""
    u = vectors.clone().requires_grad_()
    power = 0 if settings.degree is None else settings.degree - 3
    scales = signs * u.norm(dim=1).detach() ** power
    tensor = torch.einsum("m,ma,mb,mc->abc", scales, u, u, u)
    loss = (tensor - target.dense()).square().sum() / 2 + settings.penalty * u.square().sum()
    return vectors - settings.learning_rate * torch.autograd.grad(loss, u)[0]


@pytest.mark.parametrize("degree", [1, 2, None])
def test_a_step_is_that_of_the_explicit_loss(degree):
    target = random_target(4, 3, 2, rng(1), signed=True)
    settings = Descent(epochs=1, steps=1, init=0.7, degree=degree, penalty=0.1)
    start = rng(5)
    units = torch.randn(3, 4, generator=start, dtype=torch.float64)
    signs = 2.0 * torch.randint(2, (3,), generator=start, dtype=torch.float64) - 1
    expected = explicit_step(target, 0.7 * units / units.norm(dim=1, keepdim=True), signs, settings)
    torch.testing.assert_close(decompose(target, 3, rng(5), settings).params.reshape(3, 4), expected)


def test_exact_recovery():
    """Without the penalty, once nothing is redrawn any more, the components are the target's to rounding."""
    basis = torch.linalg.qr(torch.randn(6, 2, generator=rng(2), dtype=torch.float64))[0].T
    target = Decomposition(torch.tensor([0.8, 0.6], dtype=torch.float64), basis.contiguous(), 3)
    run = decompose(target, 2, rng(3), Descent(penalty=0.0, epochs=12))
    assert run.redraws[-4:].sum() == 0
    assert run.error < 1e-7
    units = run.found.vectors / run.found.vectors.norm(dim=1, keepdim=True)
    cosines = (units @ basis.T).abs().sort(descending=True).values
    torch.testing.assert_close(
        cosines, torch.tensor([[1.0, 0.0]] * 2, dtype=torch.float64), atol=1e-6, rtol=0
    )
    np.testing.assert_allclose(float((run.found.dense() - target.dense()).norm()), 0, atol=1e-6)


def test_the_penalty_is_what_is_left():
    """r = m = 1, q = 2: w (w - b) l ... with w = ||u||^2 the radial balance is l w (w - b) + 2 lam = 0 for l w^2 terms:
    stationary where l (w - b) + 2 lam = 0, w = b - 2 lam / l. From the loss alone, by hand."""
    target = random_target(5, 3, 1, rng(2))
    run = decompose(target, 1, rng(9), Descent(penalty=0.03, epochs=12))
    assert run.error == pytest.approx(2 * 0.03 / 3, rel=1e-6)


def test_runs_side_by_side_are_those_alone():
    targets = [random_target(5, 4, 2, rng(s)) for s in range(3)]
    many = decompose_many(targets, 3, [rng(10 + s) for s in range(3)], Descent(epochs=3, steps=100))
    for seed, run in enumerate(many):
        alone = decompose(targets[seed], 3, rng(10 + seed), Descent(epochs=3, steps=100))
        np.testing.assert_allclose(run.errors, alone.errors, rtol=1e-9)
        assert run.redraws.tolist() == alone.redraws.tolist()


def test_redrawing_is_what_finds_every_component():
    """m = r = 3: the paper's point (arXiv 2010.11356, section 1), with half as many epochs as the study."""
    targets = [random_target(10, 4, 3, rng(s)) for s in range(16)]
    full, ablated = (
        decompose_many(targets, 3, [rng(100 + s) for s in range(16)], Descent(redraw=redraw))
        for redraw in (True, False)
    )
    assert sum(run.error < 0.05 for run in full) >= 12
    assert sum(run.error < 0.05 for run in ablated) <= 4
    assert sum(int(run.redraws.sum()) for run in full) > 0
    assert all(run.redraws.size == 0 for run in ablated)


def test_fewer_components_than_the_rank_are_not_enough():
    """No two terms +-u^4 are near three equal ones in general position: what is missing is about 1 / sqrt 3."""
    targets = [random_target(10, 4, 3, rng(s)) for s in range(4)]
    runs = decompose_many(targets, 2, [rng(s) for s in range(4)])
    assert min(run.error for run in runs) > 0.4


def test_what_a_run_tells():
    run = decompose(random_target(4, 3, 1, rng(0)), 2, rng(1), Descent(epochs=2, steps=40))
    assert run.steps.tolist() == [0, 25, 40, 65, 80]
    assert len(run.redraws) == 1
    assert run.table().splitlines()[1].split() == ["0", f"{run.errors[0]:.3e}"]
    single = decompose(random_target(4, 3, 1, rng(0)).to(torch.float32), 2, rng(1), Descent(epochs=1))
    assert single.found.vectors.dtype == torch.float32


def test_what_is_refused():
    target = random_target(4, 3, 1, rng(0))
    with pytest.raises(ValueError, match="`components` must be a whole number"):
        decompose(target, 0, rng(0))
    with pytest.raises(ValueError, match="`degree` must be at most the order 3"):
        decompose(target, 1, rng(0), Descent(degree=4))
    with pytest.raises(ValueError, match="`generators` must be 2, one a target"):
        decompose_many([target, target], 1, [rng(0)])
    with pytest.raises(ValueError, match="`targets` must be alike"):
        decompose_many([target, random_target(5, 3, 1, rng(0))], 1, [rng(0), rng(1)])
    with pytest.raises(DivergedError, match="a smaller `learning_rate` helps"):
        decompose(target, 2, rng(0), Descent(learning_rate=50.0))
    for name, value in (("learning_rate", 0.0), ("epochs", 0), ("penalty", -1.0), ("init", float("nan"))):
        with pytest.raises(ValueError, match=f"`{name}` must"):
            Descent(**{name: value})
