"""Kernels compared: inequalities of Huang et al., and path kernels against training itself."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import qlazy
from qlazy.kernels.geometry import (
    geometric_difference,
    model_complexity,
    normalized,
    path_kernel,
    path_prediction,
)
from qlazy.kernels.prediction import kernel_regression
from qlazy.quantum.pennylane.states import fidelity_kernel
from qlazy.training.loop import Record
from qlazy.training.methods import GradientFlow
from tests import systems


def a_kernel(seed: int, size: int = 6) -> Tensor:
    features = systems.normal(size, size + 2, seed=seed)
    return normalized(features @ features.T)


def test_geometric_difference_is_the_published_norm() -> None:
    first, second = a_kernel(1), a_kernel(2)
    values, vectors = torch.linalg.eigh(second)
    root = vectors @ torch.diag(values.sqrt()) @ vectors.T
    published = torch.linalg.matrix_norm(root @ torch.linalg.inv(first) @ root, 2).sqrt()
    torch.testing.assert_close(geometric_difference(first, second), published)
    one = torch.ones((), dtype=first.dtype)
    torch.testing.assert_close(geometric_difference(first, first), one)
    assert geometric_difference(first, second) > 1
    assert geometric_difference(first, second, ridge=0.1) < published
    diagonal = torch.diag(torch.tensor([1.0, 4.0], dtype=torch.float64))
    assert geometric_difference(diagonal, diagonal.flip(0, 1)).item() == pytest.approx(2.0)


def test_complexities_obey_the_geometric_difference() -> None:
    """s_K(y) <= g^2 s_K'(y) for every y, and the worst y attains it."""
    first, second = a_kernel(1), a_kernel(2)
    bound = geometric_difference(first, second).square()
    ratios = [
        model_complexity(first, y) / model_complexity(second, y) for y in systems.normal(200, 6, seed=3)
    ]
    assert max(ratios) <= bound * (1 + 1e-9)
    values, vectors = torch.linalg.eigh(second)
    root = vectors @ torch.diag(values.sqrt()) @ vectors.T
    worst = root @ torch.linalg.eigh(root @ torch.linalg.inv(first) @ root).eigenvectors[:, -1]
    torch.testing.assert_close(model_complexity(first, worst) / model_complexity(second, worst), bound)


def test_model_complexity_is_the_norm_of_what_is_learnt() -> None:
    kernel, y = a_kernel(4), systems.normal(6, 1, seed=5)
    torch.testing.assert_close(model_complexity(kernel, y), (y.T @ torch.linalg.inv(kernel) @ y).squeeze())
    shifted = torch.linalg.inv(kernel + 0.3 * torch.eye(6, dtype=kernel.dtype))
    expected = (y.T @ shifted @ kernel @ shifted @ y).squeeze()
    torch.testing.assert_close(model_complexity(kernel, y, ridge=0.3), expected)


def test_singular_kernels_are_refused() -> None:
    flat = torch.ones(3, 3, dtype=torch.float64)
    with pytest.raises(ValueError, match="`ridge` must be positive where the kernel is singular"):
        geometric_difference(flat, torch.eye(3, dtype=torch.float64))
    with pytest.raises(ValueError, match="`labels` must lie in the range of the kernel"):
        model_complexity(flat, torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64))


def test_the_path_kernel_predicts_training() -> None:
    """Domingos's identity on a tanh net under gradient flow, at inputs it was not trained on."""
    model, start = systems.tanh_net(2, 6), systems.normal(18, seed=1)
    x, y, other = systems.normal(4, 2, seed=2), systems.normal(4, 1, seed=3), systems.normal(3, 2, seed=4)
    trace = qlazy.train(
        model, start, (x, y), steps=200, method=GradientFlow(4.0), record=Record(at=tuple(range(201)))
    )
    path = [torch.from_numpy(params) for params in trace.params]
    kernels = torch.stack([model.gram(params, other, x).reshape(3, 4) for params in path])
    residuals = (torch.from_numpy(trace.train_outputs) - y).squeeze(2) / 4
    learnt = path_prediction(kernels, residuals, trace.times.tolist())
    expected = (model(path[-1], other) - model(path[0], other)).squeeze(1)
    torch.testing.assert_close(learnt, expected, rtol=1e-3, atol=1e-4)
    frozen = path_kernel(kernels[:1].expand(3, 3, 4), [0.0, 1.0, 5.0])
    torch.testing.assert_close(frozen, kernels[0])


def test_tangent_against_fidelity_on_data_made_by_the_ansatz() -> None:
    """Labels of a data re-uploading circuit near the anchor: the tangent kernel holds them, fidelity does not."""
    circuit = qlazy.load_circuit("data_reuploading", n=2, layers=2)
    anchor = circuit.init(torch.Generator().manual_seed(1))
    teacher = anchor + 0.05 * systems.normal(circuit.num_params, seed=2)
    x, test = 1.5 * systems.normal(20, 2, seed=3), 1.5 * systems.normal(40, 2, seed=4)
    y, held = (circuit(teacher, inputs) - circuit(anchor, inputs) for inputs in (x, test))
    errors = {}
    for name, kernel in {
        "tangent": lambda a, b: circuit.gram(anchor, a, b).reshape(len(a), len(b)),
        "fidelity": lambda a, b: fidelity_kernel(circuit, anchor, a, b),
    }.items():
        predicted = kernel_regression(kernel(x, x), kernel(test, x), y, ridge=1e-6)
        errors[name] = ((predicted - held).norm() / held.norm()).item()
    assert errors["tangent"] < 0.25
    assert errors["tangent"] < errors["fidelity"] / 2
