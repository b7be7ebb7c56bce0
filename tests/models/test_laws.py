"""Every law holds for every leaf and wrapper, and each law can fail."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch

from qlazy import Model, testing
from qlazy.testing import LAWS, check_model
from tests.makers import MAKERS, inputs, linear_function


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_law(maker, law):
    model, params, x = maker()
    check_model(model, params, x, [law])


class Broken(Model):
    """A linear model with one rule replaced, to see the laws catch it."""

    def __init__(self, **rules):
        self._rules = rules

    num_params = 3
    blocks: ClassVar = {"w": slice(0, 3)}

    def init(self, generator):
        return torch.randn(3, generator=generator, dtype=torch.float64)

    def forward(self, params, x):
        return self._rules.get("forward", lambda w, x: torch.sin(x @ w).unsqueeze(1))(params, x)

    def jacobian(self, params, x):
        return self._rules.get("jacobian", super().jacobian)(params, x)

    def on(self, x):
        return self._rules.get("on", super().on)(x)

    def jvp(self, params, x, tangent):
        return self._rules.get("jvp", super().jvp)(params, x, tangent)

    def vjp(self, params, x, cotangent):
        return self._rules.get("vjp", super().vjp)(params, x, cotangent)

    def hvp(self, params, x, cotangent, tangent):
        return self._rules.get("hvp", super().hvp)(params, x, cotangent, tangent)

    def hessian(self, params, x, cotangent=None):
        return self._rules.get("hessian", super().hessian)(params, x, cotangent)

    def gram(self, params, x, y=None):
        return self._rules.get("gram", super().gram)(params, x, y)


def counted():
    state = {"calls": 0}

    def forward(w, x):
        state["calls"] += 1
        return (x @ w).unsqueeze(1) + state["calls"]

    return forward


BROKEN = {
    testing.pure: {"forward": counted()},
    testing.batched: {"forward": lambda w, x: ((x - x.mean(0)) @ w).unsqueeze(1)},
    testing.jacobian_is_derivative: {"forward": lambda w, x: (x @ w.detach()).unsqueeze(1) + 0 * w.sum()},
    testing.jacobian_is_autograds: {"jacobian": lambda w, x: 2 * x.unsqueeze(1)},
    testing.products_are_adjoint: {"jvp": lambda w, x, v: (x @ v).unsqueeze(1)},
    testing.fixed_inputs: {"on": lambda x: lambda w: torch.cos(x @ w).unsqueeze(1)},
    testing.backward_is_vjp: {"vjp": lambda w, x, u: 2 * (x.T @ u)[:, 0]},
    testing.linearized_kernel_is_constant: {"jvp": lambda w, x, v: (x @ v).unsqueeze(1) + 1},
    testing.linearized_twice_is_once: {"jvp": lambda w, x, v: (x @ v).unsqueeze(1) ** 2},
    testing.gram_is_jacobian_product: {"gram": lambda w, x, y=None: x.new_ones(len(x), 1, len(x), 1)},
    testing.hvp_is_derivative: {"hvp": lambda w, x, u, v: (x.T @ u)[:, 0] * v},
    testing.hessians_agree: {
        "hessian": lambda w, x, u=None: torch.ones(*(() if u is not None else (len(x), 1)), 3, 3).double()
    },
    testing.wrapped_hessians: {"hvp": lambda w, x, u, v: torch.rand(3, dtype=w.dtype)},
    testing.dtype_and_device_kept: {"forward": lambda w, x: torch.sin(x @ w).unsqueeze(1).double()},
    testing.precisions_agree: {"forward": lambda w, x: (x @ w).unsqueeze(1) + torch.finfo(w.dtype).eps * 1e6},
}


@pytest.mark.parametrize("law", BROKEN, ids=lambda law: law.__name__)
def test_laws_catch_a_broken_model(law):
    model = Broken(**BROKEN[law])
    params, x = torch.tensor([0.3, -0.5, 0.7], dtype=torch.float64), inputs(4, 3)
    with pytest.raises(AssertionError, match=law.__name__):
        check_model(model, params, x, [law])


def test_check_model_runs_every_law_and_wants_two_rows():
    model, params, x = linear_function()
    check_model(model, params, x)
    with pytest.raises(AssertionError, match="two rows"):
        check_model(model, params, x[:1])
