"""Bounds held to dense linear algebra, to systems in closed form, and to what training does: none is violated."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import qlazy
from qlazy.kernels.prediction import LinearizedPath
from qlazy.quantum.scrambled import scrambled_circuit
from qlazy.simulator.observables import Hermitian, PauliSum, PauliWord, Probabilities, Projector
from qlazy.theory import bounds, curvature
from qlazy.theory.bounds import Bound
from qlazy.theory.circuit_bounds import half_width
from qlazy.training.drift import linearization_gap
from qlazy.training.loop import Record
from qlazy.training.methods import GradientFlow
from tests import makers as models
from tests import systems

N = 3


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def hessians(model: qlazy.Model, params: Tensor, x: Tensor) -> Tensor:
    """(n, c, p, p), by nested reverse mode: not how the library does it."""
    return torch.func.hessian(lambda w: model(w, x))(params)


def small_circuit(backend: str = "adjoint") -> models.Case:
    return models.case(qlazy.load_circuit("hardware_efficient", n=2, layers=1, backend=backend), 2)


def small_torch_circuit() -> models.Case:
    return small_circuit("torch")


SMOOTH = (models.tanh_net, models.curved_function, small_circuit, small_torch_circuit, models.scaled_net)


@pytest.mark.parametrize("make", [models.tanh_net, models.qnode_circuit, models.convolutional_net])
def test_jacobian_norm_and_smallest_singular_value(make) -> None:
    model, params, x = make()
    singular = torch.linalg.svdvals(model.jacobian(params, x).flatten(0, 1)) / math.sqrt(len(x))
    norm = bounds.jacobian_norm(model, params, x)
    assert norm.value == pytest.approx(singular[0].item(), rel=1e-6)
    assert norm.kind == "exact"
    smallest = bounds.smallest_singular_value(model, params, x)
    assert smallest.value == pytest.approx(singular[-1].item(), rel=1e-6, abs=1e-6)


def test_an_under_parametrised_model_has_no_smallest_singular_value() -> None:
    model, x = systems.linear(2), systems.normal(5, 2)
    assert bounds.smallest_singular_value(model, torch.zeros(2, dtype=x.dtype), x).value == 0.0


@pytest.mark.parametrize("make", SMOOTH)
def test_second_derivatives_are_those_of_the_hessian(make) -> None:
    model, params, x = make()
    x = x[:2]
    hessian = hessians(model, params, x)
    u, weights = systems.normal(len(params), seed=3), systems.normal(*hessian.shape[:2], seed=4)
    for step, atol in ((None, 1e-9), (1e-4, 1e-5)):
        got = curvature.second_derivative(model, params, x, u, step=step)
        torch.testing.assert_close(got, torch.einsum("ncpq,p,q->nc", hessian, u, u), rtol=1e-6, atol=atol)
        got = curvature.hessian_product(model, params, x, weights, u, step=step)
        torch.testing.assert_close(
            got, torch.einsum("nc,ncpq,q->p", weights, hessian, u), rtol=1e-6, atol=atol
        )
    gradients = model.jacobian(params, x)
    expected = torch.einsum("ncp,ncpq,ncq->nc", gradients, hessian, gradients)
    torch.testing.assert_close(curvature.dqntk(model, params, x), expected)


def test_the_second_derivative_norm_of_a_quadratic() -> None:
    """(w . x)^2 / 2 has D^2h[u, u] = (u . x)^2: for orthogonal inputs the norm is max |x|^2, for one it is |x|^2."""
    x = torch.diag(torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64))
    found = bounds.second_derivative_norm(systems.quadratic(3), systems.normal(3), x, rng(), starts=8)
    assert found.value * math.sqrt(3) == pytest.approx(4.0, rel=1e-4)
    assert found.kind == "lower"


@pytest.mark.parametrize("make", [models.tanh_net, models.curved_function, small_circuit])
def test_the_second_derivative_norm_is_found(make) -> None:
    """No direction beats it, and no Hessian weighted by a unit vector falls short of it by much."""
    model, params, x = make()
    smooth = small_torch_circuit()[0] if make is small_circuit else model
    hessian = hessians(smooth, params, x).flatten(0, 1)
    found = bounds.second_derivative_norm(model, params, x, rng(1), starts=6, steps=40).value
    generator, best = rng(2), 0.0
    for _ in range(200):
        weights = torch.randn(len(hessian), generator=generator, dtype=torch.float64)
        values, vectors = torch.linalg.eigh(torch.tensordot(weights, hessian, 1))
        u = vectors[:, values.abs().argmax()]
        best = max(best, torch.einsum("kpq,p,q->k", hessian, u, u).norm().item())
    assert found >= 0.999 * best / math.sqrt(len(x))
    flattened = torch.linalg.matrix_norm(hessian.flatten(1), 2).item()  # of H as a map from pairs
    assert found <= flattened / math.sqrt(len(x)) * (1 + 1e-6)


def test_smooth_models_are_exact_and_relus_go_by_differences() -> None:
    adjoint, params, x = small_circuit()
    exact, _, _ = small_torch_circuit()
    for model in (adjoint, exact):
        assert curvature.second_order_step(model, params, x) == curvature.EXACT
    torch.testing.assert_close(
        curvature.dqntk(adjoint, params, x), curvature.dqntk(exact, params, x), rtol=0, atol=1e-11
    )
    relu = qlazy.mlp([2, 8, 1], torch.nn.ReLU)
    start = relu.init(rng())
    assert curvature.second_order_step(relu, start, x) == curvature.STEP
    assert "differences" in bounds.second_derivative_norm(relu, start, x, rng()).method


@pytest.mark.parametrize("a", [1e-6, 1e3])
def test_the_dqntk_by_differences_does_not_depend_on_the_size_of_the_gradient(a: float) -> None:
    """f = a sin(w . x) has mu = -a^3 cos^2 sin |x|^4; a step along the gradient moves w by itself, not by a times it.

    A step of a |x| would leave the range of the expansion where a is large, and drown in rounding where it is small.
    """
    model = qlazy.Function(lambda w, x: a * torch.sin(x @ w).unsqueeze(1), 3)
    params, x = systems.normal(3), systems.normal(N, 3, seed=1)
    phase = x @ params
    expected = -(a**3) * phase.cos() ** 2 * phase.sin() * x.square().sum(1) ** 2
    found = curvature.dqntk(model, params, x, step=curvature.STEP)
    torch.testing.assert_close(found[:, 0], expected, rtol=1e-6, atol=0)


def test_the_fisher_information_is_the_hessian_of_the_divergence() -> None:
    """And 1 for one rotation, p = cos^2(w / 2), at every angle."""
    model, params, x = models.probability_circuit()
    found = curvature.fisher_information(model, params, x)
    here = model(params, x)

    def divergence(w: Tensor) -> Tensor:
        return (here * (here / model(w, x)).log()).sum() / len(x)

    torch.testing.assert_close(found, torch.func.hessian(divergence)(params), rtol=1e-9, atol=1e-10)
    one = qlazy.Function(
        lambda w, x: torch.stack([(w / 2).cos() ** 2, (w / 2).sin() ** 2], 1).expand(len(x), 2), 1
    )
    for angle in (0.3, 2.0):
        at = torch.tensor([angle], dtype=torch.float64)
        assert curvature.fisher_information(one, at, x).item() == pytest.approx(1.0, rel=1e-12)
    with pytest.raises(ValueError, match="`model` must have outputs above zero at `params`"):
        curvature.fisher_information(one, torch.zeros(1, dtype=torch.float64), x)
    with pytest.raises(ValueError, match="`model` must have probabilities as outputs"):
        curvature.fisher_information(*models.qnode_circuit())


CIRCUITS = {
    "re-uploading": lambda: models.qnode_circuit(),
    "probabilities": lambda: models.probability_circuit(),
    "corpus": lambda: models.case(qlazy.load_circuit("data_reuploading", n=2, layers=2), 2),
    "sum": lambda: models.case(qlazy.load_circuit("light_cone", n=4), 4),
    "shared angles": lambda: models.case(qlazy.load_circuit("qaoa_ring", n=4, layers=2), 0),
    "wrapped": lambda: _wrapped(),
}


def _wrapped() -> models.Case:
    model, params, x = models.qnode_circuit()
    return qlazy.Scaled(qlazy.Centered(model, params), 3.0), params, x


@pytest.mark.parametrize("name", CIRCUITS)
def test_upper_bounds_of_circuits_are_never_violated(name: str) -> None:
    model, _, x = CIRCUITS[name]()
    for seed in range(2):
        params = model.init(rng(seed))
        first, second, everywhere = bounds.derivative_bounds(model, params, x)
        assert (first.kind, second.kind, everywhere) == ("upper", "upper", True)
        norm = bounds.jacobian_norm(model, params, x).value
        bent = bounds.second_derivative_norm(model, params, x, rng(seed), starts=1, steps=5).value
        assert norm <= first.value
        assert bent <= second.value
        assert norm > first.value / 30  # loose, but no number out of the air


@pytest.mark.parametrize("observable", ["Z q[0]", "0.5 Z q[0] - 2.0 Z q[0]"])
def test_upper_bounds_of_one_rotation_are_attained(observable: str) -> None:
    """f = R cos(theta): |f'| = R at pi/2 and |f''| = R at 0."""
    text = 'OPENQASM 3.0; include "stdgates.inc"; input float w; qubit[1] q; rx(w) q[0];'
    circuit = qlazy.from_qasm(text, observables=(observable,))
    x = torch.zeros(1, 0, dtype=torch.float64)
    quarter, zero = (torch.tensor([angle], dtype=torch.float64) for angle in (math.pi / 2, 0.0))
    first, second, _ = bounds.derivative_bounds(circuit, zero, x)
    assert bounds.jacobian_norm(circuit, quarter, x).value == pytest.approx(first.value)
    assert bounds.second_derivative_norm(circuit, zero, x, rng()).value == pytest.approx(
        second.value, rel=1e-6
    )


def test_a_curved_angle_is_bounded_at_its_point() -> None:
    """f = cos(w^2): f' = -2 w sin w^2 and f'' = -2 sin w^2 - 4 w^2 cos w^2."""
    text = 'OPENQASM 3.0; include "stdgates.inc"; input float w; qubit[1] q; rx(w*w) q[0];'
    circuit = qlazy.from_qasm(text)
    x, w = torch.zeros(1, 0, dtype=torch.float64), torch.tensor([0.9], dtype=torch.float64)
    first, second, everywhere = bounds.derivative_bounds(circuit, w, x)
    assert not everywhere
    assert first.value == pytest.approx(1.8)
    assert second.value == pytest.approx(1.8**2 + 2)
    true = abs(-2 * math.sin(0.81) - 4 * 0.81 * math.cos(0.81))
    assert true <= second.value


@pytest.mark.parametrize(
    ("observable", "expected"),
    [
        (PauliSum((PauliWord(-2.0, "Z", (0,)), PauliWord(9.0, "", ()))), 2.0),
        (Projector((0, 1), (0, 1)), 0.5),
        (Probabilities((0, 1)), 1.0),
    ],
)
def test_half_widths(observable, expected: float) -> None:
    assert half_width(observable) == pytest.approx(expected)
    matrix = torch.diag(torch.tensor([3.0, 1.0, 0.0, -1.0])).numpy()
    assert half_width(Hermitian(matrix, (0, 1))) == 2.0


def trained(model: qlazy.Model, anchor: Tensor, x: Tensor, y: Tensor, alpha: float, horizon: float):
    centered = qlazy.Centered(model, anchor)
    trace = qlazy.train(
        centered, anchor, (x, y), alpha=alpha, steps=10,
        method=GradientFlow(horizon, rtol=1e-9), record=Record(at=tuple(range(11))),
    )  # fmt: skip
    kernel = qlazy.tangent_kernel(model, anchor, x).to_dense()
    linear = LinearizedPath(kernel, torch.zeros_like(y), y).outputs(trace.times.tolist())
    gap = linearization_gap(torch.tensor(trace.train_outputs), linear, torch.zeros_like(y), y)
    return centered, trace, gap


@pytest.mark.parametrize("alpha", [0.5, 3.0, 30.0, 300.0])
def test_no_bound_is_violated_in_training(alpha: float) -> None:
    """COB 2.2 and 2.3 with the circuit's own Lipschitz constants, along gradient flow."""
    model = scrambled_circuit(2, 6, rng(1), features=2)
    anchor, x = model.init(rng(2)), 2 * systems.normal(N, 2)
    y = systems.normal(N, 1, seed=5)
    centered, trace, gap = trained(model, anchor, x, y, alpha, horizon=2.0)
    lip, lip_jacobian, everywhere = bounds.derivative_bounds(centered, anchor, x)
    assert everywhere
    error = bounds.root_mean_square(torch.zeros_like(y), y)
    for time, drift, found in zip(trace.times, trace.drift, gap.tolist(), strict=True):
        assert drift <= bounds.drift_bound(trace.train_loss[0], time, alpha).value + 1e-9
        assert drift <= bounds.reach(error, lip, time, alpha) + 1e-9
        assert found <= bounds.gap_bound(error, lip, lip_jacobian, time, alpha).value + 1e-7


def test_global_convergence_holds_where_it_applies() -> None:
    model = scrambled_circuit(2, 12, rng(1), features=2)
    anchor, x = model.init(rng(2)), 2 * systems.normal(2, 2)
    y = systems.normal(2, 1, seed=5)
    smallest = bounds.smallest_singular_value(model, anchor, x)
    norm = bounds.jacobian_norm(model, anchor, x)
    lip_jacobian = bounds.derivative_bounds(model, anchor, x).second
    zero = torch.zeros_like(y)
    law = bounds.global_convergence(zero, y, smallest, norm, lip_jacobian, 1.0)
    assert not law.applies
    with pytest.raises(ValueError, match="for theorem 2.4 to apply"):
        law.error(1.0, 1.0)
    alpha = 1.1 * law.least_alpha
    law = bounds.global_convergence(zero, y, smallest, norm, lip_jacobian, alpha)
    assert law.applies
    assert law.threshold == pytest.approx(smallest.value**3 / (32 * norm.value * lip_jacobian.value))
    _, trace, _ = trained(model, anchor, x, y, alpha, horizon=20.0)
    start = bounds.root_mean_square(zero, y)
    for time, loss, drift in zip(trace.times, trace.train_loss, trace.drift, strict=True):
        assert math.sqrt(2 * loss) <= law.error(start, time) * (1 + 1e-6)
        assert drift <= law.drift


def test_kappa_and_its_kind() -> None:
    """The quadratic at one sample: (w . x)^2 / 2, so h = s^2/2, Dh = s x, D^2h = x x^T with s = w . x."""
    model, x, w = systems.quadratic(2), torch.tensor([[3.0, 4.0]], dtype=torch.float64), systems.normal(2)
    s, y = (x @ w).item(), torch.tensor([[7.0]], dtype=torch.float64)
    curve = bounds.second_derivative_norm(model, w, x, rng())
    for alpha in (1.0, 10.0):
        got = bounds.kappa(model, w, x, y, curve, alpha)
        expected = abs(alpha * s**2 / 2 - 7) * 25 / (alpha * s**2 * 25)
        assert got.value == pytest.approx(expected, rel=1e-6)
        assert got.kind == "lower"
    assert bounds.kappa(model, w, x, y, Bound(1.0, "upper", "by hand")).kind == "upper"


def test_decay_times() -> None:
    kernel = torch.diag(torch.tensor([4.0, 1.0, 0.0], dtype=torch.float64))
    assert bounds.decay_times(kernel, 3).tolist() == [0.75, 3.0, math.inf]
    path = LinearizedPath(
        kernel, torch.ones(3, 1, dtype=torch.float64), torch.zeros(3, 1, dtype=torch.float64)
    )
    assert path.outputs([0.75])[0, 0].item() == pytest.approx(math.exp(-1))


def test_a_lower_bound_never_enters_an_upper_one() -> None:
    lower, upper = Bound(1.0, "lower", "search"), Bound(1.0, "upper", "by hand")
    with pytest.raises(ValueError, match="`lipschitz_jacobian` must be exact or an upper bound, but is >= 1"):
        bounds.gap_bound(1.0, upper, lower, 1.0, 1.0)
    with pytest.raises(qlazy.base.errors.UnsupportedModelError, match="`model` must be a circuit"):
        bounds.derivative_bounds(*models.tanh_net())
