"""Kernels two by two: the inequalities of Huang et al., and what a comparison tells of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import qlazy
from qlazy.commands import main as cli
from qlazy.comparison.kernel_pairs import kernel_pairs, pair_table
from qlazy.kernels.geometry import geometric_difference, model_complexity, normalized, training_difference
from tests import systems


def a_kernel(seed: int, size: int = 6, rank: int = 8) -> torch.Tensor:
    features = systems.normal(size, rank, seed=seed)
    return features @ features.T


def test_training_error_obeys_the_training_difference() -> None:
    """||K (K + ridge)^-1 y - y||^2 <= g_train^2 s_K'(y) without ridge in K', and the worst y attains it."""
    first, second, ridge = normalized(a_kernel(1, rank=3)), normalized(a_kernel(2)), 0.1
    bound = training_difference(first, second, ridge).square().item()
    shrunk = first @ torch.linalg.inv(first + ridge * torch.eye(6, dtype=first.dtype))
    ratios = [
        ((shrunk @ y - y).square().sum() / model_complexity(second, y)).item()
        for y in systems.normal(300, 6, seed=3)
    ]
    assert max(ratios) <= bound * (1 + 1e-9)
    values, vectors = torch.linalg.eigh(second)
    root = vectors @ torch.diag(values.sqrt()) @ vectors.T
    left = torch.eye(6, dtype=first.dtype) - shrunk
    worst = root @ torch.linalg.eigh(root @ left.T @ left @ root).eigenvectors[:, -1]
    attained = ((shrunk @ worst - worst).square().sum() / model_complexity(second, worst)).item()
    assert attained == pytest.approx(bound)
    with pytest.raises(ValueError, match="`ridge` must be positive"):
        training_difference(first, second, 0.0)


def test_pairs_go_both_ways_and_do_not_depend_on_scales() -> None:
    first, second, labels = a_kernel(1), a_kernel(2), systems.normal(6, 1, seed=4)
    kernels = {"a": [first.numpy(), (3 * first).numpy()], "b": [second.numpy()]}
    there, back = kernel_pairs(kernels, labels.numpy(), ridge=0.2)
    assert (there.model, there.other, back.model, back.other) == ("a", "b", "b", "a")
    expected = geometric_difference(normalized(first), normalized(second), 0.2).item()
    assert there.difference == pytest.approx(expected)
    assert there.difference_factor == pytest.approx(1, abs=1e-12)
    assert back.complexity == pytest.approx(model_complexity(normalized(second), labels, 0.2).item())
    assert back.other_complexity == pytest.approx(there.complexity)
    assert "ridge 0.2" in pair_table([there]).title


def test_the_spread_of_a_difference_is_the_deviation_of_a_sample_of_logarithms() -> None:
    """Over two seeds |log g1 - log g2| / sqrt(2): dividing by the number of seeds would call it a 1.4th of that."""
    ones, other, labels = [a_kernel(1), a_kernel(5)], a_kernel(2), systems.normal(6, 1, seed=4)
    (there, _) = kernel_pairs(
        {"a": [one.numpy() for one in ones], "b": [other.numpy()]}, labels.numpy(), ridge=0.2
    )
    first, second = (geometric_difference(normalized(one), normalized(other), 0.2).item() for one in ones)
    assert there.difference == pytest.approx((first * second) ** 0.5)
    assert np.log(there.difference_factor) == pytest.approx(abs(np.log(first / second)) / 2**0.5)


def test_a_comparison_sets_circuit_against_net(capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(qlazy.Comparison, "plot", lambda self, folder: [])
    arguments = ["--train", "8", "--test", "6", "--steps", "2", "--alphas", "1", "--seeds", "2", "--quiet"]
    command = [
        "compare",
        "hardware_efficient:layers=1",
        "mlp:2",
        *arguments,
        "--ridge",
        "0.5",
        "--tables",
        "--out",
        str(tmp_path),
    ]
    assert cli.main(command) == cli.OK
    out = capsys.readouterr().out
    assert "trace N, ridge 0.5" in out
    found = qlazy.Comparison.load(tmp_path).geometry(0.5)
    assert str(pair_table(found)) in out
    kernels = [
        [torch.from_numpy(run.kernel_initial) for run in qlazy.Comparison.load(tmp_path).select(model)]
        for model in ("hardware_efficient:layers=1", "mlp:2")
    ]
    logs = [
        float(geometric_difference(normalized(c), normalized(n), 0.5).log())
        for c, n in zip(*kernels, strict=True)
    ]
    assert found[0].difference == pytest.approx(np.exp(np.mean(logs)))
    assert found[0].difference > 1 / 1.5


def test_one_model_has_no_pair() -> None:
    data = qlazy.load_data("digits", features=2, train=6, test=4)
    found = qlazy.compare(
        {"net": qlazy.mlp([2, 2, 1])}, data, alphas=(1,), seeds=(0,), steps=1, progress=False
    )
    assert found.geometry() == []
