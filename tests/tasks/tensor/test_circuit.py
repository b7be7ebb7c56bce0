"""Components that are states: entries from the states of default.qubit, and what descent finds and lazy does not."""

from __future__ import annotations

import pytest
import torch

from qlazy.tasks.tensor import (
    CircuitDescent,
    CircuitTensor,
    decompose_with_circuits,
    index_tuples,
    multiplicities,
    random_target,
    real_ansatz,
    tangent_fit,
)
from tests.quantum.programs import states


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_circuit_tensor_is_that_of_its_states():
    model = CircuitTensor(real_ansatz(2, 2), 3, 2, signs=[1, -1])
    params = model.init(rng(3))
    params[:2] = torch.tensor([0.5, 2.0])
    weights = torch.tensor([0.25, -4.0], dtype=torch.float64)
    vectors = torch.from_numpy(states(real_ansatz(2, 2), params[2:].reshape(2, 4)).real)
    dense = torch.einsum("m,ma,mb,mc->abc", weights, vectors, vectors, vectors)
    x = torch.cartesian_prod(*[torch.arange(4)] * 3)
    torch.testing.assert_close(model(params, x)[:, 0], dense.flatten())
    torch.testing.assert_close(model.decomposition(params).dense(), dense)


def test_a_component_adds_no_more_than_its_dimension_to_the_tangent_space():
    """d = 8 directions and scale, from 13 parameters: where C(d + l - 1, l) / d comes from."""
    x = index_tuples(8, 3)
    model = CircuitTensor(real_ansatz(), 3, 4)
    target = random_target(8, 3, 2, rng(5))
    assert tangent_fit(model, model.init(rng(2)), x, target.entries(x), multiplicities(x)).rank == 4 * 8


def test_circuits_find_what_the_tangent_kernel_cannot():
    targets = [random_target(4, 3, 2, rng(s)) for s in range(2)]
    runs = decompose_with_circuits(targets, real_ansatz(2, 3), 3, [rng(10 + s) for s in range(2)])
    for target, run in zip(targets, runs, strict=True):
        model = CircuitTensor(real_ansatz(2, 3), 3, 3, signs=torch.sign(run.found.weights))
        found = model.decomposition(run.params)
        assert found.relative_error(target) == pytest.approx(run.error, rel=1e-6)
        assert run.error < 0.02
        x = index_tuples(4, 3)
        lazy = tangent_fit(model, model.init(rng(1)), x, target.entries(x), multiplicities(x))
        assert lazy.error > 0.1


def test_redrawing_replaces_small_components():
    targets = [random_target(4, 3, 1, rng(0))]
    settings = CircuitDescent(epochs=3, steps=40)
    run = decompose_with_circuits(targets, real_ansatz(2, 2), 6, [rng(1)], settings)[0]
    assert run.redraws.shape == (2,)
    assert run.redraws.sum() > 0
    assert run.steps[-1] == 120
    assert len(run.errors) == len(run.steps) == 13


def test_what_is_refused():
    with pytest.raises(ValueError, match="`program` must have 8 amplitudes, but is 4"):
        decompose_with_circuits([random_target(8, 3, 1, rng(0))], real_ansatz(2, 1), 1, [rng(0)])
