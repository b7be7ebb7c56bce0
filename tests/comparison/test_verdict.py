"""Verdicts in words, on comparisons that are made up so that every drift, change and gap is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from qlazy.comparison.verdict import SMALL, _half_interval, verdicts
from tests.comparison.test_figures import ALPHAS, made_up


def test_lazy_from_the_scale_where_each_metric_stays_small() -> None:
    """Kernel change and output gap are moves / a: with moves = 50 they come below .1 at a = 1000 alone."""
    (one,) = verdicts(made_up(("one",), moves=50.0))
    assert one.lazy_from["kernel"] == 1000.0
    assert one.least["kernel"] == pytest.approx(50.0)
    assert "by its kernel from a = 1000" in one.sentences()[0]
    assert not one.is_lazy


def test_a_kernel_method_in_disguise() -> None:
    (one,) = verdicts(made_up(("one",), moves=SMALL / 5))
    assert one.is_lazy
    assert "a kernel method in disguise" in one.sentences()[1]


def test_what_hardly_trained_is_called_no_kernel_method() -> None:
    comparison = made_up(("one",), moves=SMALL / 5)
    untrained = [
        replace(run, trace=replace(run.trace, train_loss=np.full_like(run.trace.train_loss, 0.5)))
        for run in comparison.runs
    ]
    (one,) = verdicts(replace(comparison, runs=tuple(untrained)))
    assert one.is_lazy
    assert "hardly trains" in one.sentences()[1]
    assert "a kernel method in disguise" not in str(one)


def test_lazy_at_no_scale() -> None:
    (one,) = verdicts(made_up(("one",), moves=1e4))
    assert one.lazy_from["kernel"] is None
    assert f"by its kernel at no scale up to a = {ALPHAS[-1]:g}" in one.sentences()[0]


def test_a_run_that_diverged_is_not_lazy() -> None:
    (one,) = verdicts(made_up(("one",), moves=SMALL / 2, diverged="at step 3"))
    assert one.lazy_from["kernel"] is None
    assert math.isinf(one.least["kernel"])
    assert "diverged" in one.sentences()[1]


def test_every_model_gets_a_line() -> None:
    verdict = made_up().verdict()
    assert [line.split()[0] for line in str(verdict).splitlines()] == ["one", "two"]
    assert [one.model for one in verdict] == ["one", "two"]
    assert " ".join(verdict.sentences()) == str(verdict).replace("\n", " ")


def test_a_notebook_shows_a_paragraph_a_model() -> None:
    shown = made_up(("a < b", "two")).verdict()._repr_html_()
    assert shown.count("<p>") == 2
    assert "a &lt; b is lazy" in shown


def test_an_output_bias_makes_no_model_lazy() -> None:
    """s^2 1 1^T added to both kernels never moves: the change of the whole falls with s, the centred one does not."""
    comparison = made_up(("one",), moves=0.5)
    changes = []
    for s in (0.0, 3.0, 30.0):
        biased = [
            replace(run, kernel_initial=run.kernel_initial + s**2, kernel_final=run.kernel_final + s**2)
            for run in comparison.runs
        ]
        changes.append([(run.kernel_change, run.centered_kernel_change) for run in biased])
    whole, centered = np.moveaxis(np.array(changes), 2, 0)
    assert (whole[2] < 0.1 * whole[0]).all()
    np.testing.assert_allclose(centered, np.broadcast_to(centered[0], centered.shape), rtol=1e-9)


def test_the_change_along_the_residual_is_that_of_its_formula() -> None:
    run = made_up(("one",), moves=2.0).runs[0]
    residual = (run.trace.train_outputs[0] - run.train_targets).reshape(-1)
    first, last = run.kernel_initial @ residual, run.kernel_final @ residual
    assert run.residual_kernel_change == pytest.approx(np.linalg.norm(last - first) / np.linalg.norm(first))


def test_permuted_and_duplicated_samples_change_nothing() -> None:
    """Every metric of a verdict but the residual's norm is one of the samples as a set."""
    run = made_up(("one",), moves=2.0).runs[0]
    order = np.array([2, 0, 3, 1])

    def with_samples(index: np.ndarray) -> tuple[float, ...]:
        pick = np.ix_(index, index)
        trace = replace(run.trace, train_outputs=run.trace.train_outputs[:, index])
        other = replace(
            run, trace=trace, train_targets=run.train_targets[index], kernel_initial=run.kernel_initial[pick],
            kernel_final=run.kernel_final[pick], linear_train_outputs=run.linear_train_outputs[:, index],
        )  # fmt: skip
        return (
            other.centered_kernel_change,
            other.residual_kernel_change,
            other.kernel_change,
            other.output_gap,
        )

    expected = with_samples(np.arange(4))
    assert with_samples(order) == pytest.approx(expected)
    assert with_samples(np.repeat(np.arange(4), 2)) == pytest.approx(expected)


def test_one_seed_makes_no_claim_and_three_equal_ones_no_certainty() -> None:
    assert math.isnan(_half_interval(np.ones((1, 100))))
    differences = np.zeros((3, 100))
    differences[:, :10] = 1.0  # the same ten samples for every seed
    expected = 1.96 * differences[0].std(ddof=1) / 10
    assert _half_interval(differences) == pytest.approx(expected)


@pytest.mark.parametrize("shared", [0.0, 0.5])
def test_the_interval_of_accuracies_covers(shared: float) -> None:
    """Seeds with accuracies of their own on one test set: the true difference, over seeds and samples, is covered."""
    generator = np.random.default_rng(7)
    seeds, samples, trials, hits = 5, 200, 1000, 0
    for _ in range(trials):
        hard = shared * (generator.random(samples) - 0.5)  # what a sample is for every seed
        own = 0.02 * generator.standard_normal((seeds, 1))
        differences = (generator.random((seeds, samples)) < 0.3 + hard + own).astype(float)
        hits += abs(differences.mean() - 0.3) <= _half_interval(differences)
    assert 0.9 <= hits / trials <= 1.0


def test_drift_is_relative_to_the_initial_parameters() -> None:
    run = made_up(("one",), moves=2.0).runs[0]
    moved = np.linalg.norm(run.trace.params - run.trace.params[0], axis=1).max()
    start = np.linalg.norm(run.trace.params[0])
    assert run.relative_drift == (pytest.approx(moved / start) if start else math.inf)
    shifted = replace(run, trace=replace(run.trace, params=run.trace.params + 3.0))
    assert shifted.relative_drift == pytest.approx(moved / np.linalg.norm(shifted.trace.params[0]))


def test_without_classes_no_accuracy_is_spoken_of() -> None:
    comparison = made_up(("one",))
    regression = replace(comparison, settings={**comparison.settings, "classes": []})
    (one,) = verdicts(regression)
    assert one.accuracy is None
    assert "accuracy" not in str(one)
