"""What the interface itself refuses."""

from __future__ import annotations

import pytest
import torch

import qlazy
from qlazy import Centered, Function, Linearized, Scaled, mlp
from qlazy.base.errors import NotFiniteError, SlowBackendWarning, UnsupportedModelError
from qlazy.models import model
from qlazy.models.model import Model
from tests.makers import curved_function, inputs, linear_function, qnode_circuit, rng, tanh_net


@pytest.fixture
def net():
    return mlp([3, 2, 1])


def test_shape_of_params(net):
    with pytest.raises(ValueError, match=r"`params` must have shape \(11,\), but is \(4,\)"):
        net(torch.zeros(4), inputs(2, 3))


def test_dtype_of_inputs(net):
    with pytest.raises(
        ValueError, match="`x` must have the dtype of params, torch.float64, but is torch.float32"
    ):
        net(net.init(rng()), inputs(2, 3).float())


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex128])
def test_dtype_of_params(net, dtype):
    with pytest.raises(ValueError, match="`params` must be real floating point"):
        net(torch.zeros(11, dtype=dtype), inputs(2, 3))


def test_scalar_inputs(net):
    with pytest.raises(ValueError, match=r"`x` must have shape \(n, ...\), but is \(\)"):
        net(net.init(rng()), torch.tensor(1.0, dtype=torch.float64))


@pytest.mark.parametrize("f", [lambda w, x: x @ w, lambda w, x: (x @ w)[:1, None], lambda w, x: w.sum()])
def test_shape_of_outputs(f):
    with pytest.raises(ValueError, match=r"`outputs` must have shape \(n, c\) with n = 2"):
        Function(f, 3)(inputs(3), inputs(2, 3))


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan"), float("inf")])
def test_scale(net, alpha):
    with pytest.raises(ValueError, match="`alpha` must be positive"):
        Scaled(net, alpha)


@pytest.mark.parametrize("wrapper", [Centered, Linearized])
def test_anchor(net, wrapper):
    with pytest.raises(ValueError, match=r"`anchor` must have shape \(11,\)"):
        wrapper(net, torch.zeros(3))
    anchor = net.init(rng())
    anchor[4] = torch.nan
    with pytest.raises(
        NotFiniteError, match=r"`anchor` must be finite, but is not in 1 of 11 entries, first at \(4,\)"
    ):
        wrapper(net, anchor)


def test_anchor_is_a_copy(net):
    anchor = net.init(rng())
    centered = Centered(net, anchor)
    kept = anchor.clone()
    anchor += 1.0
    assert torch.equal(centered.anchor, kept)


def test_linear_model_is_its_own_linearisation():
    model = Function(lambda w, x: (x @ w).unsqueeze(1), 3)
    w, x = inputs(3), inputs(4, 3, seed=2)
    linear = Linearized(model, inputs(3, seed=3))
    torch.testing.assert_close(linear(w, x), model(w, x), rtol=0, atol=1e-14)
    torch.testing.assert_close(model.gram(w, x)[:, 0, :, 0], x @ x.T, rtol=0, atol=1e-14)  # K = X X^T


def test_linearisation_error_is_second_order(net):
    # Taylor: halving the step divides the error by four.
    anchor, x = net.init(rng()), inputs(4, 3)
    direction = torch.randn(11, generator=rng(9), dtype=torch.float64)
    linear = Linearized(net, anchor)
    errors = [(net(w, x) - linear(w, x)).norm() for w in (anchor + h * direction for h in (1e-2, 5e-3))]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize("maker", [curved_function, qnode_circuit, tanh_net])
@pytest.mark.parametrize("samples", [1, 3])
def test_blocks_of_the_jacobian_do_not_change_the_kernel(monkeypatch, maker, samples):
    case, params, x = maker()
    x, y = torch.cat([x, x + 1]), x[:3] + 2
    expected = [Model.gram(case, params, x, right) for right in (None, y)]
    monkeypatch.setattr(model, "JACOBIAN_BYTES", 8 * samples * case.num_params * 2)
    seen = []
    jacobian = type(case).jacobian
    monkeypatch.setattr(
        type(case), "jacobian", lambda self, w, x: seen.append(len(x)) or jacobian(self, w, x)
    )
    for right, kernel in zip((None, y), expected, strict=True):
        torch.testing.assert_close(Model.gram(case, params, x, right), kernel)
    assert max(seen) == samples


@pytest.mark.parametrize(
    "f",
    [
        lambda w, x: ((x - x.mean(0)) @ w).unsqueeze(1),
        lambda w, x: (x @ w).softmax(0).unsqueeze(1),
        lambda w, x: torch.cumsum(x @ w, 0).unsqueeze(1),
        lambda w, x: (x @ w / len(x)).unsqueeze(1),
        lambda w, x: (x.flip(0) @ w).unsqueeze(1),
    ],
)
def test_kernels_of_functions_that_mix_rows_are_refused(f):
    for use in (
        lambda model, w, x: qlazy.tangent_kernel(model, w, x) @ torch.ones(4, dtype=torch.float64),
        lambda model, w, x: qlazy.tangent_kernel(model, w, x).to_dense(),
        lambda model, w, x: Linearized(model, w)(w, x),
    ):
        with pytest.raises(UnsupportedModelError, match="`f` must .*each sample on its own, but is not"):
            use(Function(f, 3), inputs(3), inputs(4, 3))


def test_functions_are_differentiated_as_nets_are():
    def f(w, x):
        frozen = w[:2].detach() if x[0, 0] > 0 else w[:2]  # which no map over samples takes
        with torch.no_grad():
            front = torch.tanh(x @ w[2:].unsqueeze(0))
        return torch.stack([(x[:, 0] * w[0]).sin() * frozen.sum(), front[:, 0] * w[1]], 1)

    rows = inputs(4, 1)
    model = Function(lambda w, x: torch.cat([f(w, row) for row in x.split(1)]), 3)
    w, v = inputs(3), inputs(3, seed=5)
    leaf = w.clone().requires_grad_()
    jacobian = torch.stack(
        [
            torch.stack([torch.autograd.grad(out, leaf, retain_graph=True)[0] for out in f(leaf, row)[0]])
            for row in rows.split(1)
        ]
    )
    with pytest.warns(SlowBackendWarning, match="`f` is differentiated row by row"):
        torch.testing.assert_close(model.jacobian(w, rows), jacobian)
    torch.testing.assert_close(model.jvp(w, rows, v), jacobian @ v)
    torch.testing.assert_close(model.gram(w, rows), torch.tensordot(jacobian, jacobian, ([2], [2])))
    torch.testing.assert_close(Linearized(model, w)(w + v, rows), model(w, rows) + jacobian @ v)


def test_a_kernel_by_blocks_can_be_differentiated(monkeypatch):
    case, params, x = curved_function()
    expected = torch.func.grad(lambda w: case.gram(w, x).square().sum())(params)
    monkeypatch.setattr(model, "JACOBIAN_BYTES", 1)
    monkeypatch.setattr(model, "_MOST_OUTPUTS", 1)
    leaf = params.clone().requires_grad_()
    (backward,) = torch.autograd.grad(case.gram(leaf, x).square().sum(), leaf)
    torch.testing.assert_close(backward, expected)
    torch.testing.assert_close(torch.func.grad(lambda w: case.gram(w, x).square().sum())(params), expected)


@pytest.mark.parametrize("thing", ["mlp", torch.nn.Linear(2, 1)], ids=["name", "module"])
def test_what_is_no_model_is_refused_with_the_way_to_make_one(thing):
    params, x = torch.zeros(3), torch.zeros(4, 2)
    data = qlazy.from_arrays(torch.randn(8, 2).numpy(), [0, 1] * 4, train=4, test=4)
    for use in (
        lambda: qlazy.tangent_kernel(thing, params, x),
        lambda: qlazy.train(thing, params, (x, x), steps=1),
        lambda: qlazy.select_subset(thing, data),
        lambda: qlazy.compare({"one": thing}, data),
    ):
        with pytest.raises(TypeError, match=r"must be a qlazy Model, such as qlazy\.Net\(module\)"):
            use()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cotangent": torch.ones(3, 1).double()}, "`cotangent` must have shape"),
        ({"cotangent": torch.ones(4, 1)}, "`cotangent` must have the dtype of params"),
        ({"tangent": torch.ones(2).double()}, "`tangent` must have shape"),
    ],
)
def test_second_derivatives_refuse_what_does_not_fit(given, message):
    model, params, x = linear_function()
    arguments = {"cotangent": torch.ones(4, 1).double(), "tangent": torch.ones(3).double(), **given}
    with pytest.raises(ValueError, match=message):
        model.hvp(params, x, **arguments)


def test_a_hessian_that_does_not_fit_is_refused_before_it_is_computed():
    model = Function(lambda w, x: w.sum().expand(len(x), 1), 10**7)
    with pytest.raises(MemoryError, match="`hessian` must fit in .* `hvp` gives products"):
        model.hessian(torch.zeros(10**7), inputs(2, 1).float(), torch.ones(2, 1))


@pytest.mark.parametrize("maker", [tanh_net, curved_function, qnode_circuit])
def test_second_derivatives_of_no_samples_and_of_weights_for_other_outputs(maker):
    model, params, x = maker()
    outputs, weights = model(params, x).shape[1], torch.ones(4, 3, dtype=x.dtype)
    assert model.hessian(params, x[:0]).shape == (0, outputs, len(params), len(params))
    assert not model.hessian(params, x[:0], weights[:0, :outputs]).any()
    assert not model.hvp(params, x[:0], weights[:0, :outputs], params).any()
    for rule in (lambda: model.hessian(params, x, weights), lambda: model.hvp(params, x, weights, params)):
        with pytest.raises(ValueError, match=r"`cotangent` must have shape \(4, 2\), but is \(4, 3\)"):
            rule()
