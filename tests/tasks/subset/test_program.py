"""The selection program against a bisection, the optimality condition, and finite differences."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from qlazy.base.errors import NotFiniteError
from qlazy.tasks.subset.program import assign, import_cvxpylayers, solve

GAMMA = 0.3


def capped_simplex(gain: np.ndarray, total: float, gamma: float, cap: float = 1.0) -> np.ndarray:
    """max gain.a - gamma/2 ||a||^2, 0 <= a <= cap, sum a = total: a = clip((gain - nu)/gamma, 0, cap), nu bisected."""
    low, high = gain.min() - gamma * cap - 1, gain.max() + 1
    for _ in range(200):
        nu = (low + high) / 2
        low, high = (nu, high) if np.clip((gain - nu) / gamma, 0, cap).sum() > total else (low, nu)
    return np.clip((gain - nu) / gamma, 0, cap)


def some_costs(b: int, k: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(b + k, 3, generator=generator, dtype=torch.float64)
    distances = torch.cdist(points[:b], points).square() / 6
    return distances[:, :b], distances[:, b:]


@given(
    costs=st.lists(st.floats(-2, 2), min_size=3, max_size=7),
    gamma=st.floats(0.1, 1.0),
    total=st.floats(0.5, 2.5),
)
@settings(max_examples=20)
def test_the_solver_agrees_with_bisection(costs, gamma, total) -> None:
    """The capped-simplex program through the same solver, and its derivative (I_F - 1 1^T/|F|)/gamma."""
    cp, layer = import_cvxpylayers()
    n = len(costs)
    gain, a = cp.Parameter(n), cp.Variable(n)
    objective = gain @ a - gamma / 2 * cp.sum_squares(a)
    program = layer(cp.Problem(cp.Maximize(objective), [a >= 0, a <= 1, cp.sum(a) == total]), [gain], [a])
    gains = torch.tensor(costs, dtype=torch.float64, requires_grad=True)
    (found,) = solve(program, gains)
    expected = capped_simplex(np.array(costs), total, gamma)
    # where complementarity is not strict an interior point comes in as the root of the gap: 1e-5, not 1e-7
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=2e-5)
    free = (expected > 1e-3) & (expected < 1 - 1e-3)
    at_edge = (np.abs(expected) < 1e-9) | (np.abs(expected - 1) < 1e-9)
    if not (free | at_edge).all() or _nearly_free(np.array(costs), expected, gamma):
        return  # at a kink there is no derivative to compare
    direction = np.arange(1.0, n + 1)
    found.backward(torch.from_numpy(direction))
    inner = np.where(free, direction - direction[free].mean() if free.any() else 0.0, 0.0)
    np.testing.assert_allclose(gains.grad.numpy(), inner / gamma, atol=2e-3 / gamma)


def _nearly_free(gain: np.ndarray, a: np.ndarray, gamma: float) -> bool:
    """Whether some entry at an edge would leave it at once: strict complementarity fails."""
    free = (a > 1e-3) & (a < 1 - 1e-3)
    if not free.any():
        return True
    slope = gain - gamma * a - (gain - gamma * a)[free].mean()
    return bool((np.abs(slope[~free]) < 1e-2).any())


@pytest.mark.parametrize("budget", [0.2, 0.6, 3.0])
def test_rows_that_agree_share_one_simplex(budget) -> None:
    """Equal rows: by symmetry every row is one point a, with min(budget, its free share) on the incoming."""
    new, old = np.array([0.1, 0.5, 0.3, 0.25]), np.array([0.2, 0.35, 0.9])
    shares = assign(
        torch.from_numpy(new).expand(4, 4), torch.from_numpy(old).expand(4, 3), budget=budget, gamma=GAMMA
    )
    free = capped_simplex(-np.concatenate([new, old]), 1.0, GAMMA)
    on_new = min(budget, free[:4].sum())
    expected = np.concatenate([capped_simplex(-new, on_new, GAMMA), capped_simplex(-old, 1 - on_new, GAMMA)])
    found = torch.cat(shares, 1).numpy()
    np.testing.assert_allclose(found, np.tile(expected, (4, 1)), atol=1e-6)


@pytest.mark.parametrize(("b", "k"), [(5, 0), (6, 4), (12, 12)])
@pytest.mark.parametrize("budget", [1.0, 2.0])
def test_the_optimality_condition(b, k, budget) -> None:
    """Z is optimal iff it minimises <D + gamma Z, .> over the feasible set: HiGHS solves that linear program."""
    new, old = some_costs(b, k)
    shares = assign(new, old, budget=budget, gamma=GAMMA)
    z = torch.cat(shares, 1).numpy()
    assert z.min() > -1e-7
    np.testing.assert_allclose(z.sum(1), 1.0, atol=1e-7)
    assert z[:, :b].max(0).sum() <= budget + 1e-6
    gradient = np.concatenate([new, old], 1) + GAMMA * z
    assert _least(gradient, b, k, budget) >= (gradient * z).sum() - 1e-5


def _least(gradient: np.ndarray, b: int, k: int, budget: float) -> float:
    """min <G, Y> over Y >= 0, rows summing to 1, sum_j t_j <= budget, t_j >= Y_ij for the incoming."""
    size = b * (b + k)
    cost = np.concatenate([gradient.ravel(), np.zeros(b)])
    equal = np.zeros((b, size + b))
    below = np.zeros((b * b + 1, size + b))
    for i in range(b):
        equal[i, i * (b + k) : (i + 1) * (b + k)] = 1
        for j in range(b):
            below[i * b + j, i * (b + k) + j] = 1
            below[i * b + j, size + j] = -1
    below[-1, size:] = 1
    limits = np.zeros(b * b + 1)
    limits[-1] = budget
    return linprog(cost, below, limits, equal, np.ones(b), bounds=(0, None), method="highs").fun


@pytest.mark.parametrize(("b", "k"), [(5, 0), (6, 4)])
def test_derivatives_are_differences(b, k) -> None:
    """The scores' derivative in both costs against central differences of solutions."""
    new, old = some_costs(b, k, seed=3)
    weights = torch.linspace(-1, 1, b, dtype=torch.float64)

    def value(new, old):
        return (assign(new, old, budget=1.5, gamma=GAMMA).scores * weights).sum()

    new.requires_grad_()
    old.requires_grad_()
    value(new, old).backward()
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        step_new = torch.randn(b, b, generator=generator, dtype=torch.float64)
        step_old = torch.randn(b, k, generator=generator, dtype=torch.float64)
        h = 1e-3  # the solution is good to about 1e-6, so that smaller steps would show its error
        with torch.no_grad():
            difference = (value(new + h * step_new, old + h * step_old)
                          - value(new - h * step_new, old - h * step_old)) / (2 * h)  # fmt: skip
        slope = (new.grad * step_new).sum() + ((old.grad * step_old).sum() if k else 0)
        assert float(slope) == pytest.approx(float(difference), rel=2e-3, abs=2e-3)


def test_the_quadratic_term_gives_the_gradient() -> None:
    """The reason for it: as gamma falls the derivative dies, and is far above that at 0.3."""
    norms = []
    for gamma in (0.3, 1e-4):
        new, old = some_costs(8, 0, seed=2)
        new.requires_grad_()
        (assign(new, old, budget=2.0, gamma=gamma).scores * torch.arange(8.0).double()).sum().backward()
        norms.append(float(new.grad.norm()))
    assert norms[0] > 1.0
    assert norms[1] < 0.1 * norms[0]


def test_float32_in_float32_out() -> None:
    new, old = some_costs(4, 2)
    shares = assign(new.float(), old.float(), budget=1.0, gamma=GAMMA)
    assert shares.incoming.dtype == torch.float32
    np.testing.assert_allclose(shares.scores, assign(new, old, budget=1.0, gamma=GAMMA).scores, atol=1e-5)


def test_refusals() -> None:
    new, old = some_costs(4, 2)
    none = new[:, :0]
    for arguments, settings_, message in (
        ((new[:, :3], old), {}, "`incoming` must have shape"),
        ((new[:0, :0], none[:0]), {}, "`incoming` must have shape"),
        ((new, old[:3]), {}, r"`kept` must have shape \(4, k\)"),
        ((new, old.float()), {}, "`kept` must have the dtype"),
        ((new, old), {"gamma": 0.0}, "`gamma` must be positive"),
        ((new, old), {"budget": 0.0}, "`budget` must be positive"),
        ((new, none), {"budget": 0.8}, "`budget` must be at least 1 where nothing is kept, but is 0.8"),
    ):
        with pytest.raises(ValueError, match=message):
            assign(*arguments, **{"budget": 1.0, "gamma": GAMMA, **settings_})
    with pytest.raises(NotFiniteError, match="`incoming` must be finite"):
        assign(new * torch.nan, old, budget=1.0, gamma=GAMMA)


def test_the_extra_is_named_where_it_is_missing(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "cvxpylayers.torch", None)
    with pytest.raises(ImportError, match="pip install cvxpylayers$"):
        import_cvxpylayers()
