"""Formulas of angles: traced from torch, differentiated, and evaluated for a whole batch, against torch itself."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qlazy.quantum.backends.angles import AngleMap, Layout
from qlazy.quantum.pennylane.symbolic.carriers import formula
from qlazy.quantum.pennylane.symbolic.elements import NotSymbolic
from qlazy.quantum.pennylane.symbolic.tensor import symbols
from qlazy.quantum.program.expression import Block, Constant, Entry, Expression, Input, call
from qlazy.quantum.program.partial_derivative import derivative
from tests.makers import inputs

LAYOUT = Layout({"w": 0, "b": 3}, {"x": 0})

leaves = st.one_of(
    st.integers(0, 2).map(lambda i: Input("w", i, (3,))),
    st.integers(0, 1).map(lambda i: Input("b", i, (2,))),
    st.integers(0, 1).map(lambda i: Input("x", i, (2,))),
    st.floats(0.5, 2.0).map(Constant),
)


def grow(children: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    pairs = st.tuples(children, children)
    return st.one_of(
        pairs.map(lambda p: p[0] + p[1]),
        pairs.map(lambda p: p[0] - p[1]),
        pairs.map(lambda p: p[0] * p[1]),
        pairs.map(lambda p: p[0] / (1.5 + call("sin", p[1]))),
        pairs.map(lambda p: (1.5 + call("cos", p[0])) ** call("sin", p[1])),
        pairs.map(lambda p: p[0] % (2.5 + call("arctan", p[1]))),
        children.map(lambda e: -e),
        st.sampled_from(["sin", "cos", "arctan"]).flatmap(lambda f: children.map(lambda e: call(f, e))),
        children.map(lambda e: call("exp", call("sin", e))),
        children.map(lambda e: call("log", 2.0 + call("cos", e))),
        children.map(lambda e: call("sqrt", 2.0 + call("cos", e))),
        children.map(lambda e: call("tan", 0.5 * call("cos", e))),
        children.map(lambda e: call("arcsin", 0.5 * call("cos", e))),
        children.map(lambda e: call("arccos", 0.5 * call("sin", e))),
    )


formulas = st.recursive(leaves, grow, max_leaves=6)
PARAMS, X = inputs(5, seed=3) + 0.1, inputs(4, 2, seed=4)


def evaluated(expression: Expression, params: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
    value = expression.evaluate({"w": params[:3], "b": params[3:], "x": row})
    return torch.as_tensor(value, dtype=params.dtype) + 0 * params.sum()


@given(formulas, st.integers(0, 2))
def test_derivative_against_autograd(expression, index):
    expected = torch.func.grad(evaluated, argnums=1)(expression, PARAMS, X[0])[index]
    found = evaluated(derivative(expression, ("w", index)), PARAMS, X[0])
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@given(st.lists(formulas, max_size=6))
def test_values_and_chain_rule_of_a_batch(expressions):
    angles = AngleMap(expressions, LAYOUT)

    def all_angles(params, row):
        return (
            torch.stack([evaluated(e, params, row) for e in expressions])
            if expressions
            else params.new_empty(0)
        )

    expected = torch.func.vmap(all_angles, (None, 0))(PARAMS, X)
    jacobian = torch.func.vmap(torch.func.jacrev(all_angles), (None, 0))(PARAMS, X)
    is_sampled = torch.tensor(angles.sampled, dtype=torch.bool)
    shared = angles.shared_values(PARAMS, X)
    torch.testing.assert_close(shared.expand(4, -1), expected[:, ~is_sampled])
    if is_sampled.any():
        torch.testing.assert_close(angles.sampled_values(PARAMS, X), expected[:, is_sampled])
    cotangents = inputs(4, 2, len(expressions), seed=5)
    found = angles.partials.pull(cotangents[..., ~is_sampled], cotangents[..., is_sampled], PARAMS, X)
    torch.testing.assert_close(found, cotangents @ jacobian, rtol=1e-9, atol=1e-9)


TRACED = {
    "views": lambda w, x: w.reshape(2, 3).T[1:, 0].flatten()[0],
    "products": lambda w, x: (w[:3] * x).sum() - w[3:] @ x / 2,
    "matrix": lambda w, x: (w.reshape(2, 3) @ x)[1],
    "stack": lambda w, x: torch.stack([w[0], x[1], w[2]]).mean(),
    "functions": lambda w, x: torch.sin(w[0]) ** 2 + torch.exp(-x[0]) * torch.cos(x[1]) / (2 + w[1].square()),
    "powers": lambda w, x: (2 + w[0] * x[0]) ** 3 + 2.0 ** x[1],
    "reversed": lambda w, x: 1 - w[0] + 2 / (3 + x[0]),
    "indices": lambda w, x: w[torch.tensor([4, 1])][0] * x[[2, 0]][1],
    "broadcast": lambda w, x: (w[:3, None] + x[None, :]).sum(0)[2],
    "keywords": lambda w, x: torch.stack(torch.split(w, [2, 4], dim=-1)[1:], dim=0)[0, 1] + x.sum(dim=0),
    "repeat": lambda w, x: w.repeat(2)[7] + torch.atleast_1d(x[0]).expand(3)[2],
    "tanh": lambda w, x: torch.tanh(w[0] * x[0]) + torch.sigmoid(w[1]) * torch.log1p(x[1].abs()),
    "choices": lambda w, x: (
        torch.where(w[0] > x[0], w[1], x[1] * w[2]) + torch.relu(w[3]) + w[4].clamp(-1, 0.2)
    ),
    "remainder": lambda w, x: w[0] % 0.3 + torch.maximum(w[1], x[0]) * torch.atan2(w[2], x[1]),
    "complex": lambda w, x: (torch.exp(1j * w[0]) * (x[0] + 2j)).imag + (w[1] * 1j * 1j).real,
    "absolute": lambda w, x: (torch.exp(1j * w[0]) * (x[0] + 2j) + x[1]).abs(),
    "in place": lambda w, x: _doubled(w * 1)[0] + x[0],
    "growth": lambda w, x: (w.sum() ** 2 * w.sum() + w.prod()) * w.sum(),
    "integers": lambda w, x: w[(x * 5).abs().to(torch.int64).clamp(0, 5)[0]],
    "reductions": lambda w, x: (
        w.softmax(0)[1] + torch.linalg.norm(x * w[:3]) + w.max() + x.cumsum(0)[2] + w.prod()
    ),
    "einsum": lambda w, x: torch.einsum("ij,j->i", w.reshape(2, 3), x)[1],
    "a net": lambda w, x: torch.nn.functional.linear(x.tanh(), w.reshape(2, 3), w[:2]).sigmoid()[1],
    "sorted": lambda w, x: torch.sort(w).values[2] * x[0],
    "attention": lambda w, x: torch.softmax(w.reshape(2, 3) @ x.outer(w[:3]), -1).flatten()[3],
}


def _doubled(w):
    w[0] = w[0] * 2
    w.mul_(2)
    return w


@pytest.mark.parametrize("name", TRACED)
def test_formulas_traced_from_torch(name):
    if name == "integers" and tuple(map(int, torch.__version__.split(".")[:2])) < (2, 12):
        pytest.skip("this torch maps no indexing by a tensor")
    w, x = inputs(6, seed=8), inputs(3, seed=9)
    found = formula(TRACED[name](symbols("w", w), symbols("x", x)))
    torch.testing.assert_close(found.evaluate({"w": w, "x": x}), TRACED[name](w, x), rtol=1e-12, atol=1e-12)
    angles, rows = AngleMap([found], Layout({"w": 0}, {"x": 0})), inputs(4, 3, seed=10)
    is_sampled = angles.sampled[0]
    values = torch.stack([TRACED[name](w, row) for row in rows])[:, None]
    found_values = (angles.sampled_values if is_sampled else angles.shared_values)(w, rows)
    torch.testing.assert_close(found_values.expand(4, 1), values, rtol=1e-12, atol=1e-12)
    cotangents = [inputs(4, 2, size, seed=11) for size in ((0, 1) if is_sampled else (1, 0))]
    gradients = torch.stack([torch.func.grad(TRACED[name])(w, row) for row in rows])
    expected = torch.cat(cotangents, -1) * gradients[:, None]
    torch.testing.assert_close(angles.partials.pull(*cotangents, w, rows), expected, rtol=1e-9, atol=1e-12)


def test_tracing_leaves_the_heavy_parts_of_torch_alone():
    program = """
import sys
import torch
from qlazy.quantum.pennylane.symbolic.tensor import symbols
w, x = symbols("w", torch.ones(3)), symbols("x", torch.ones(3))
torch.stack([2 - w[0] * x[0] / (1 + x[1]), torch.split(torch.sin(w), 1, dim=-1)[0][0], w @ x])
print([name for name in ("sympy", "torch.distributed.tensor") if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert run.stdout.strip() == "[]"


NOT_TRACED = {
    "a branch": lambda w: w[0] if w[0] > 0 else w[1],
    "a number": lambda w: w[0] * float(w[1]),
    "an array": lambda w: w[0] * torch.as_tensor(w.numpy()[1]),
    "a complex angle": lambda w: w[0] * 1j,
    "at random": lambda w: torch.nn.functional.dropout(w)[0],
    "in place": lambda w: (w[0].mul_(2), w[0])[1],
    "in place of a view": lambda w: ((v := w[1:]).mul_(2), v[0])[1],
    "a shape": lambda w: w[w > 0].sum(),
}


@pytest.mark.parametrize("name", NOT_TRACED)
def test_what_has_no_formula_is_refused(name):
    with pytest.raises((NotSymbolic, RuntimeError, TypeError)):
        formula(NOT_TRACED[name](symbols("w", inputs(6))))


def test_a_block_that_stands_in_many_others_is_evaluated_once():
    """Each step below has the one before twice: without that, thirty of them would take 2^30 evaluations."""
    seen = []

    def counted(numbers):
        seen.append(numbers.shape)
        return numbers.sum(-1, keepdim=True) / 2

    step = Input("w", 0, (1,))
    for _ in range(30):
        step = Entry(Block("mean", counted, (step, step)), 0)
    angles = AngleMap([step], Layout({"w": 0}, {}))
    shared = angles.shared_values(torch.tensor([0.7], dtype=torch.float64), torch.zeros(1, 0).double())
    assert shared.item() == pytest.approx(0.7)
    assert len(seen) == 30
