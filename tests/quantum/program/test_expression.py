"""Angle expressions: text, folding and evaluation agree with plain arithmetic."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import jacrev, vmap

from qlazy.quantum.program.expression import Call, Constant, Input, call
from tests import oracle

W = [Input("w", i, (2, 2)) for i in range(4)]
VALUES = {"w": torch.tensor([0.3, -0.7, 1.1, 0.9], dtype=torch.float64)}


def trees():
    leaves = st.one_of(
        st.sampled_from(W), st.floats(-3, 3, allow_subnormal=False).map(lambda v: Constant(round(v, 3)))
    )

    def grow(children):
        pair = st.tuples(children, children)
        return st.one_of(
            pair.map(lambda p: p[0] + p[1]),
            pair.map(lambda p: p[0] - p[1]),
            pair.map(lambda p: p[0] * p[1]),
            children.map(lambda a: -a),
            pair.map(lambda p: p[0] - -p[1]),
            children.map(lambda a: a / 1.7),
            children.map(lambda a: a ** Constant(2.0)),
            children.map(lambda a: call("sin", a)),
            children.map(lambda a: call("arctan", a)),
        )

    return st.recursive(leaves, grow, max_leaves=8)


@settings(max_examples=150, deadline=None)
@given(trees())
def test_the_text_means_what_the_tree_means(tree):
    """The oracle evaluates the text with Python, whose operators bind as those of OpenQASM."""
    expected = oracle.angle_value(tree, {"w": VALUES["w"].reshape(2, 2).numpy()})
    assert float(tree.evaluate(VALUES)) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_constants_fold_and_neutral_elements_vanish():
    assert Constant(1.0) + 2 == Constant(3.0)
    assert call("cos", Constant(0.0)) == Constant(1.0)
    assert (W[0] + 0, 1 * W[0], W[0] / 1, W[0] ** 1, W[0].__neg__().__neg__()) == (W[0],) * 5
    assert isinstance(call("cos", W[0]), Call)


def test_elements_size_and_depth():
    tree = 2 * W[1] + call("sin", W[2] - W[1])
    assert tree.elements == {("w", 1), ("w", 2)}
    assert (tree.size, tree.depth) == (8, 4)


def test_text_keeps_the_grouping():
    a, b, c, d = W
    assert str(a - (b - c)) == "w[0, 0] - (w[0, 1] - w[1, 0])"
    assert str((a**b) ** c) == "(w[0, 0] ** w[0, 1]) ** w[1, 0]"
    assert str((-a) ** 2) == "(-w[0, 0]) ** 2.0"
    assert str(-(a * d)) == "-(w[0, 0] * w[1, 1])"
    assert str(a / -(b * c)) == "w[0, 0] / -(w[0, 1] * w[1, 0])"
    assert str(a * Constant(-1.0)) == "w[0, 0] * -1.0"


def test_derivatives_of_each_function():
    """d/dw of f(w) at w = 0.3, from the table of derivatives."""
    expected = {
        "sin": math.cos(0.3),
        "cos": -math.sin(0.3),
        "tan": 1 / math.cos(0.3) ** 2,
        "arcsin": 1 / math.sqrt(1 - 0.09),
        "arccos": -1 / math.sqrt(1 - 0.09),
        "arctan": 1 / 1.09,
        "exp": math.exp(0.3),
        "log": 1 / 0.3,
        "sqrt": 0.5 / math.sqrt(0.3),
    }
    for name, value in expected.items():
        gradient = jacrev(lambda w, name=name: call(name, W[0]).evaluate({"w": w}))(VALUES["w"])
        assert float(gradient[0]) == pytest.approx(value, rel=1e-12), name


def test_remainder_takes_the_sign_of_the_dividend():
    assert float((W[1] % 0.5).evaluate(VALUES)) == pytest.approx(-0.2)
    assert Constant(-0.7) % 0.5 == Constant(math.fmod(-0.7, 0.5))


def test_transforms_pass_through():
    batch = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gradient = vmap(jacrev(lambda w: (W[0] * W[3] + 1).evaluate({"w": w})))(batch)
    expected = torch.zeros(5, 4, dtype=torch.float64)
    expected[:, 0], expected[:, 3] = batch[:, 3], batch[:, 0]
    torch.testing.assert_close(gradient, expected)


def test_a_batch_is_evaluated_at_once():
    batch = torch.stack([VALUES["w"], 2 * VALUES["w"]])
    torch.testing.assert_close((2 * W[0] - W[1]).evaluate({"w": batch}), 2 * batch[:, 0] - batch[:, 1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_dtype_is_kept(dtype):
    values = {"w": VALUES["w"].to(dtype)}
    assert (W[0] / 3 + math.pi).evaluate(values).dtype == dtype
    assert call("exp", 2 * W[0]).evaluate(values).dtype == dtype
