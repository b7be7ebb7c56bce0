"""Norms differentiated twice through per-sample gradients, against differences that know nothing of autograd."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from qlazy import Function, Net
from qlazy.models.model import Model
from qlazy.models.norms import norms_for_transforms
from tests.makers import inputs, rng


class Direct(nn.LayerNorm):
    def forward(self, x):
        return torch.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps, False)


NORMS = {
    "layer": nn.LayerNorm(4),
    "layer, by torch.layer_norm": Direct(4),
    "layer, without shift": nn.LayerNorm(4, bias=False),
    "layer over two dimensions": nn.LayerNorm((6, 4)),
    "instance": nn.InstanceNorm1d(6, affine=True),
    "group": nn.GroupNorm(2, 6),
    "root mean square": nn.RMSNorm(4),
    "batch, in evaluation": nn.BatchNorm1d(6).eval(),
}


def double(norm: nn.Module) -> Net:
    return Net(nn.Sequential(nn.Linear(3, 4), norm, nn.Tanh(), nn.Flatten(), nn.Linear(24, 2)).double())


def assert_derivative(f, params: torch.Tensor) -> None:
    direction = torch.randn(params.shape, generator=rng(1), dtype=params.dtype)
    step = 1e-5
    difference = (f(params + step * direction) - f(params - step * direction)) / (2 * step)
    leaf = params.clone().requires_grad_()
    backward = torch.autograd.grad(f(leaf), leaf)[0] @ direction
    forward = torch.func.jvp(f, (params,), (direction,))[1]
    torch.testing.assert_close(backward, difference, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(forward, difference, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NORMS)
def test_the_default_kernel_can_be_differentiated(name):
    net, x = double(NORMS[name]), inputs(3, 6, 3)
    params = torch.randn(net.num_params, generator=rng(), dtype=torch.float64)
    assert_derivative(lambda w: Model.gram(net, w, x).square().sum(), params)


def test_functions_are_served_as_nets_are():
    def f(w, x):
        return F.layer_norm(torch.outer(x[:, 0], w[:3]).sin(), (3,), weight=w[3:6], bias=w[6:]).cos()

    model, x = Function(f, 9), inputs(4, 1)
    assert_derivative(lambda w: model.gram(w, x).square().sum(), model.init(rng()))


def test_statistics_of_one_row():
    def f(w, x):
        h = F.batch_norm(w[:8].view(1, 2, 4) * x.view(1, 1, 4), None, None, w[8:10], w[10:], training=True)
        return h.sin().sum((1, 2)).unsqueeze(1)

    rows = inputs(3, 4)
    params = torch.randn(12, generator=rng(), dtype=torch.float64)

    def gradients(w):
        with norms_for_transforms():
            return torch.func.vmap(torch.func.grad(lambda w, row: f(w, row).sum()), (None, 0))(w, rows)

    model = Function(lambda w, x: torch.cat([f(w, row) for row in x]), 12)
    torch.testing.assert_close(model.jacobian(params, rows).squeeze(1), gradients(params))
    assert_derivative(lambda w: model.gram(w, rows).square().sum(), params)


@pytest.mark.parametrize("name", NORMS)
def test_outputs_and_jacobians_are_those_of_the_module(name):
    net, x = double(NORMS[name]), inputs(3, 6, 3)
    params = torch.randn(net.num_params, generator=rng(), dtype=torch.float64)
    rows = torch.func.vmap(lambda row: net(params, row[None])[0])(x)
    torch.testing.assert_close(rows, torch.func.functional_call(net.module, net.state(params), (x,)))
    leaf = params.clone().requires_grad_()
    expected = torch.stack([torch.autograd.grad(net(leaf, row[None])[0, 1], leaf)[0] for row in x])
    torch.testing.assert_close(net.jacobian(params, x)[:, 1], expected)


def test_torch_still_needs_it():
    # When this fails, torch differentiates the statistics too and the module can go.
    x = torch.tensor([[0.3, -0.8, 1.5]], dtype=torch.float64)
    scale, weights = torch.ones(3, dtype=torch.float64), torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)

    def squared_gradient(x):
        one = torch.func.grad(lambda scale, row: (F.layer_norm(row, (3,), scale) * weights).sum())
        return torch.func.vmap(one, (None, 0))(scale, x).square().sum()

    constant_norm = 2 * (x - x.mean()) / (x.var(unbiased=False) + 1e-5) * weights.square()
    torch.testing.assert_close(torch.func.grad(squared_gradient)(x), constant_norm)
