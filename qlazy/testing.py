"""Assertions for a test suite of your own: the laws every model obeys, and what a verdict says.

>>> from qlazy.testing import assert_learns, check_model
>>> check_model(model, params, x)  # doctest: +SKIP
>>> assert_learns(qnode, data)  # doctest: +SKIP

Every law is a function of (model, params, x) that raises AssertionError where it fails; ``LAWS`` is all of
them, so that a test suite can report each on its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from qlazy.checking.check import check
from qlazy.checking.lazy import LazyPanel
from qlazy.checking.verdict import Verdict
from qlazy.models.derivatives import jacobian_by_rows
from qlazy.models.model import Model
from qlazy.models.wrappers import Centered, Linearized, Scaled

Law = Callable[[Model, Tensor, Tensor], None]


def check_model(model: Model, params: Tensor, x: Tensor, laws: Iterable[Law] | None = None) -> None:
    """Run the laws at parameters (p,) on inputs (n, ...), two rows or more; float64 gives the sharpest check.

    Raises AssertionError with the law's name and what it found.
    """
    assert len(x) >= 2, f"`x` must have two rows or more, but has {len(x)}"
    for law in LAWS if laws is None else laws:
        try:
            law(model, params, x)
        except AssertionError as error:
            raise AssertionError(f"{model!r} breaks the law `{law.__name__}`: {error}") from error


def assert_lazy(model: object, data: Any, **settings: Any) -> Verdict:
    """Assert that a model is lazy at a = 1: a kernel method in disguise, by the whole interval over seeds.

    Model, data and ``settings`` are those of :func:`qlazy.check`; training is ordinary unless ``alphas`` or
    ``centered`` are given. Raises AssertionError with the verdict's words where it is not lazy, or undecided; returns
    the verdict.
    """
    verdict = _ordinary(model, data, settings)
    assert verdict.panels["lazy"].decision == "lazy", str(verdict)
    return verdict


def assert_learns(model: object, data: Any, **settings: Any) -> Verdict:
    """Assert that training beats the model's own tangent kernel on test samples, by whole 95 % intervals.

    Of classes by accuracy, of real targets by the ratio of test losses; against the linearised model stopped at the
    same step and against kernel regression with a tuned ridge. Model, data and ``settings`` as for :func:`assert_lazy`.
    Raises AssertionError with the verdict's words where it does not, or is undecided; returns the verdict.
    """
    verdict = _ordinary(model, data, settings)
    panel = verdict.panels["lazy"]
    assert isinstance(panel, LazyPanel)
    assert panel.learning == "learning", str(verdict)
    return verdict


def _ordinary(model: object, data: Any, settings: dict[str, Any]) -> Verdict:
    ordinary = {"alphas": (1.0,), "centered": False, "progress": False}
    return check(model, data, panels=("lazy",), **{**ordinary, **settings})


def pure(model: Model, params: Tensor, x: Tensor) -> None:
    """The same arguments give the same outputs, bit for bit, and stay as they were."""
    before = params.clone(), x.clone()
    first, second = model(params, x), model(params, x)
    assert torch.equal(first, second), "two calls differ"
    assert torch.equal(params, before[0]), "the parameters were changed"
    assert torch.equal(x, before[1]), "the inputs were changed"


def blocks_cover(model: Model, params: Tensor, x: Tensor) -> None:
    """Blocks are consecutive and cover the parameter vector; init draws such a vector reproducibly."""
    stops = [0]
    for block in model.blocks.values():
        assert block.start == stops[-1], f"a block starts at {block.start}, not at {stops[-1]}"
        stops.append(block.stop)
    assert stops[-1] == model.num_params, f"blocks end at {stops[-1]}, not at {model.num_params}"
    draws = [model.init(torch.Generator().manual_seed(7)) for _ in range(2)]
    assert draws[0].shape == (model.num_params,), f"init has shape {tuple(draws[0].shape)}"
    assert torch.equal(*draws), "init depends on more than its generator"


def batched(model: Model, params: Tensor, x: Tensor) -> None:
    """Row i alone gives row i of the batch; no rows give no rows."""
    outputs = model(params, x)
    alone = torch.cat([model(params, row.unsqueeze(0)) for row in x])
    _close(alone, outputs)
    assert model(params, x[:0]).shape == (0, outputs.shape[1]), "an empty batch has the wrong shape"


def fixed_inputs(model: Model, params: Tensor, x: Tensor) -> None:
    """The model on fixed inputs is the model, for any parameters, and so is its gradient."""
    bound = model.on(x)
    for w in (params, params + _random(params, params)):
        _close(bound(w), model(w, x))
    leaf = params.clone().requires_grad_()
    u = _random(bound(params), params)
    _close(torch.autograd.grad(bound(leaf), leaf, u)[0], model.vjp(params, x, u))


def jacobian_is_derivative(model: Model, params: Tensor, x: Tensor) -> None:
    """J v agrees with a central difference of the outputs, which knows nothing of autograd."""
    direction = _random(params, params)
    step = torch.finfo(params.dtype).eps ** (1 / 3)
    difference = (model(params + step * direction, x) - model(params - step * direction, x)) / (2 * step)
    _close(model.jacobian(params, x) @ direction, difference, slack=_DIFFERENCE_SLACK)


def jacobian_is_autograds(model: Model, params: Tensor, x: Tensor) -> None:
    """The model's own Jacobian equals the one that plain autograd derives from its outputs, row by row."""
    jacobian = model.jacobian(params, x)
    assert jacobian.shape == (*model(params, x).shape, model.num_params), f"shape {tuple(jacobian.shape)}"
    _close(jacobian, jacobian_by_rows(model, params, x))


def products_are_adjoint(model: Model, params: Tensor, x: Tensor) -> None:
    """<u, J v> = <J^T u, v>, and both products agree with the Jacobian."""
    jacobian = model.jacobian(params, x)
    v, u = _random(params, params), _random(jacobian[..., 0], params)
    forward, backward = model.jvp(params, x, v), model.vjp(params, x, u)
    _close(forward, jacobian @ v)
    _close(backward, torch.tensordot(u, jacobian, 2))
    _close((u * forward).sum(), (backward * v).sum())


def backward_is_vjp(model: Model, params: Tensor, x: Tensor) -> None:
    """Plain ``backward()`` through the outputs gives J^T u."""
    leaf = params.clone().requires_grad_()
    outputs = model(leaf, x)
    u = _random(outputs, params)
    _close(torch.autograd.grad(outputs, leaf, u)[0], model.vjp(params, x, u))


def gram_is_jacobian_product(model: Model, params: Tensor, x: Tensor) -> None:
    """gram = J J^T, on one batch and between two."""
    left, right = model.jacobian(params, x), model.jacobian(params, x[:1])
    _close(model.gram(params, x), torch.tensordot(left, left, ([2], [2])))
    _close(model.gram(params, x, x[:1]), torch.tensordot(left, right, ([2], [2])))


def hvp_is_derivative(model: Model, params: Tensor, x: Tensor) -> None:
    """H v agrees with a central difference of J^T u, which knows nothing of second derivatives."""
    u, v = _random(model(params, x), params), _random(params, params)
    step = torch.finfo(params.dtype).eps ** (1 / 3)
    ahead, behind = (model.vjp(params + e * v, x, u) for e in (step, -step))
    _close(model.hvp(params, x, u, v), (ahead - behind) / (2 * step), slack=_DIFFERENCE_SLACK)


def hessians_agree(model: Model, params: Tensor, x: Tensor) -> None:
    """The Hessians of all outputs, of their weighted sum, and products with that are one; it is symmetric."""
    hessians = model.hessian(params, x)
    shape = (*model(params, x).shape, model.num_params, model.num_params)
    assert hessians.shape == shape, f"the Hessians have shape {tuple(hessians.shape)}, not {shape}"
    u, v = _random(hessians[..., 0, 0], params), _random(params, params)
    weighted = model.hessian(params, x, u)
    _close(weighted, torch.tensordot(u, hessians, 2))
    _close(weighted, weighted.T)
    _close(model.hvp(params, x, u, v), weighted @ v)
    _close(model.second_derivative(params, x, v), (hessians @ v) @ v)


def wrapped_hessians(model: Model, params: Tensor, x: Tensor) -> None:
    """The Hessian of Scaled(model, a) is a H, that of Centered is H, and that of Linearized zero."""
    u, v = _random(model(params, x), params), _random(params, params)
    product, bent = model.hvp(params, x, u, v), model.second_derivative(params, x, v)
    _close(Scaled(model, 3.0).hvp(params, x, u, v), 3.0 * product)
    _close(Scaled(model, 3.0).second_derivative(params, x, v), 3.0 * bent)
    _close(Centered(model, params).hvp(params, x, u, v), product)
    _close(Centered(model, params).second_derivative(params, x, v), bent)
    linear, elsewhere = Linearized(model, params), params + v
    assert not linear.hvp(elsewhere, x, u, v).any(), "Linearized is not linear"
    assert not linear.second_derivative(elsewhere, x, v).any(), "Linearized is not linear"
    assert not linear.hessian(elsewhere, x, u).any(), "Linearized is not linear"


def scaled_kernel(model: Model, params: Tensor, x: Tensor) -> None:
    """K of Scaled(model, a) is a^2 K."""
    _close(Scaled(model, 3.0).gram(params, x), 9.0 * model.gram(params, x))


def centered_kernel(model: Model, params: Tensor, x: Tensor) -> None:
    """Centered vanishes at its anchor and keeps K."""
    centered = Centered(model, params)
    assert not centered(params, x).any(), "Centered is not zero at its anchor"
    _close(centered.gram(params, x), model.gram(params, x))


def linearized_kernel_is_constant(model: Model, params: Tensor, x: Tensor) -> None:
    """Linearized touches the model at its anchor, with a kernel that no parameters change."""
    linear = Linearized(model, params)
    elsewhere = params + _random(params, params)
    _close(linear(params, x), model(params, x))
    _close(linear.gram(elsewhere, x), model.gram(params, x))
    _close(linear(elsewhere, x) - linear(params, x), model.jacobian(params, x) @ (elsewhere - params))


def linearized_twice_is_once(model: Model, params: Tensor, x: Tensor) -> None:
    """Linearising a linearised model, at whatever anchor, changes nothing."""
    once = Linearized(model, params)
    twice = Linearized(once, params + _random(params, params))
    elsewhere = params - _random(params, params)
    _close(twice(elsewhere, x), once(elsewhere, x))
    _close(twice.jacobian(elsewhere, x), once.jacobian(elsewhere, x))


def linearized_and_scaled_commute(model: Model, params: Tensor, x: Tensor) -> None:
    """Linearized(Scaled(h)) = Scaled(Linearized(h))."""
    elsewhere = params + _random(params, params)
    inner, outer = Linearized(Scaled(model, 3.0), params), Scaled(Linearized(model, params), 3.0)
    _close(inner(elsewhere, x), outer(elsewhere, x))


def dtype_and_device_kept(model: Model, params: Tensor, x: Tensor) -> None:
    """Everything comes in the dtype and on the device of the parameters."""
    for dtype in (torch.float32, torch.float64):
        w, inputs = _cast(params, dtype), _cast(x, dtype)
        outputs = model(w, inputs)
        assert outputs.dtype == dtype, f"outputs are {outputs.dtype} for {dtype}"
        results = {
            "outputs": outputs,
            "jacobian": model.jacobian(w, inputs),
            "jvp": model.jvp(w, inputs, torch.ones_like(w)),
            "vjp": model.vjp(w, inputs, torch.ones_like(outputs)),
            "gram": model.gram(w, inputs),
            "hvp": model.hvp(w, inputs, torch.ones_like(outputs), torch.ones_like(w)),
            "second derivative": model.second_derivative(w, inputs, torch.ones_like(w)),
            "hessian": model.hessian(w, inputs, torch.ones_like(outputs)),
        }
        for name, result in results.items():
            assert result.dtype == dtype, f"{name} is {result.dtype} for {dtype}"
            assert result.device == w.device, f"{name} is on {result.device}, not on {w.device}"


def precisions_agree(model: Model, params: Tensor, x: Tensor) -> None:
    """float32 and float64 agree to the precision of float32."""
    single = _cast(params, torch.float32), _cast(x, torch.float32)
    double = _cast(single[0], torch.float64), _cast(single[1], torch.float64)
    _close(model(*single).double(), model(*double), precision=torch.float32)
    _close(model.jacobian(*single).double(), model.jacobian(*double), precision=torch.float32)


LAWS: tuple[Law, ...] = (
    pure,
    blocks_cover,
    batched,
    fixed_inputs,
    jacobian_is_derivative,
    jacobian_is_autograds,
    products_are_adjoint,
    backward_is_vjp,
    gram_is_jacobian_product,
    hvp_is_derivative,
    hessians_agree,
    wrapped_hessians,
    scaled_kernel,
    centered_kernel,
    linearized_kernel_is_constant,
    linearized_twice_is_once,
    linearized_and_scaled_commute,
    dtype_and_device_kept,
    precisions_agree,
)
"""All the laws, in the order they are run."""

_SLACK = 2e5  # in units of eps times the size of the values: sums over gates and parameters
_DIFFERENCE_SLACK = 1e8  # a central difference keeps two thirds of the digits


def _close(
    actual: Tensor, expected: Tensor, slack: float = _SLACK, precision: torch.dtype | None = None
) -> None:
    eps = torch.finfo(precision or expected.dtype).eps
    size = float(expected.abs().max()) if expected.numel() else 0.0
    slack = min(slack, 1e-3 / eps)
    torch.testing.assert_close(actual, expected, rtol=slack * eps, atol=slack * eps * max(size, 1.0))


def _random(like: Tensor, params: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(params)


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor
