"""Verdicts in words, on comparisons that are made up so that every drift, change and gap is known."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from qlazy.base.over_seeds import Interval, geometric_interval
from qlazy.comparison.result import Comparison
from qlazy.comparison.run import Run
from qlazy.comparison.verdict import METRICS, SMALL, LazyVerdict, verdicts
from qlazy.comparison.verdict.decisions import decided
from tests.comparison.test_figures import ALPHAS, made_up, made_up_run


def test_lazy_from_the_scale_where_each_metric_stays_small() -> None:
    """Kernel change and output gap are moves / a: with moves = 50 they come below .1 at a = 1000 alone."""
    (one,) = verdicts(made_up(("one",), moves=50.0))
    assert one.lazy_from["kernel"] == 1000.0
    assert one.least["kernel"] == pytest.approx(50.0)
    assert "by its kernel and outputs from a = 1000" in one.sentences()[0]
    assert one.decision == "not lazy"


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
    said = f"one is not lazy by its kernel and outputs at any scale up to a = {ALPHAS[-1]:g}."
    assert one.sentences()[0] == said


def test_what_is_and_what_is_not_lazy_are_two_clauses() -> None:
    found = {"Jacobian": (LARGE_ONE, SMALL_ONE), "kernel": (LARGE_ONE,) * 2, "outputs": (WIDE_ONE,) * 2}
    one = LazyVerdict("one", (1.0, 100.0), found, 0.3, 3)
    assert one.sentences()[0] == (
        "one is lazy by its Jacobian from a = 100; it is not lazy by its kernel at any scale up to a = 100; it is not "
        "shown to be lazy by its outputs at any scale up to a = 100 (undecided at a = 1, 100)."
    )


def test_a_run_that_diverged_is_not_lazy() -> None:
    (one,) = verdicts(made_up(("one",), moves=SMALL / 2, diverged="at step 3"))
    assert one.lazy_from["kernel"] is None
    assert math.isinf(one.least["kernel"])
    assert "diverged" in one.sentences()[1]


SMALL_ONE = Interval(0.01, 0.005, 0.02)
LARGE_ONE = Interval(0.5, 0.3, 0.9)
WIDE_ONE = Interval(0.09, 0.03, 0.27)
DIVERGED = Interval(math.inf, math.inf, math.inf)


def of_two_scales(first: Interval, second: Interval) -> LazyVerdict:
    """All three metrics alike at a = 1, and at a = 100."""
    return LazyVerdict("one", (1.0, 100.0), dict.fromkeys(METRICS, (first, second)), 0.3, 3)


def test_what_diverged_everywhere_is_called_neither_lazy_nor_not() -> None:
    said = str(of_two_scales(DIVERGED, DIVERGED))
    assert "one diverged at every scale tried" in said
    assert "is lazy by" not in said
    assert "of the training loss is left" not in said  # figures of the seeds that did not diverge


def test_scales_that_diverged_are_named() -> None:
    said = of_two_scales(DIVERGED, SMALL_ONE).sentences()
    assert "by its Jacobian, kernel and outputs from a = 100 (diverged at a = 1)" in said[0]
    assert len(said) == 2


def test_small_at_one_scale_and_not_at_larger_ones_is_said_as_it_is() -> None:
    """Seeds leave nothing undecided there, and "at any scale" would be false."""
    one = of_two_scales(SMALL_ONE, LARGE_ONE)
    assert one.decision == "undecided"
    assert "by its Jacobian, kernel and outputs at a = 1 but not at every larger scale" in one.sentences()[0]
    assert "at any scale" not in str(one)
    assert "not called lazy" in one.sentences()[1]
    assert "leave undecided" not in str(one)


def test_nothing_to_learn_is_said() -> None:
    one = LazyVerdict("one", (1.0,), {"Jacobian": (SMALL_ONE,)}, math.nan, 3)
    assert one.decision == "undecided"
    assert "nothing to learn" in str(one)


def test_every_model_gets_a_line() -> None:
    verdict = made_up().verdict()
    assert [line.split()[0] for line in str(verdict).splitlines()] == ["one", "two"]
    assert [one.model for one in verdict] == ["one", "two"]
    assert " ".join(verdict.sentences()) == str(verdict).replace("\n", " ")
    assert "over 2 seeds" in verdict.caption


def test_a_notebook_shows_a_paragraph_a_model() -> None:
    shown = made_up(("a < b", "two")).verdict()._repr_html_()
    assert shown.count("<p>") == 3  # and how to read them
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
    residual = run.trace.train_outputs[0] - run.train_targets
    within = np.eye(4) - 1 / 4
    first, last = (within @ k @ within @ residual for k in (run.kernel_initial, run.kernel_final))
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


def test_without_classes_no_accuracy_is_spoken_of() -> None:
    comparison = made_up(("one",))
    regression = replace(comparison, settings={**comparison.settings, "classes": []})
    (one,) = verdicts(regression)
    assert one.accuracies is None
    assert "accuracy" not in str(one)


def spread_over_seeds(factors: tuple[float, ...], **options: float) -> Comparison:
    """One model whose kernel changes and output gaps are these, seed by seed, at every scale."""
    runs = tuple(
        replace(
            made_up_run("one", seed, alpha, moves=alpha * factor), tangent_changes=np.full((1, 4), factor)
        )
        for alpha in (1.0, 10.0)
        for seed, factor in enumerate(factors)
    )
    return Comparison(runs, dict(options))


def test_an_interval_decides_and_not_a_mean() -> None:
    """The arithmetic mean of (.27, .01, .01) is .097, under the threshold; nothing follows from that."""
    (one,) = verdicts(spread_over_seeds((0.27, 0.01, 0.01)))
    assert one.decisions("kernel") == ("undecided", "undecided")
    assert one.decision == "undecided"
    assert one.least["kernel"] == pytest.approx((0.27 * 0.01 * 0.01) ** (1 / 3))
    assert one.sentences()[0] == (
        "one is not shown to be lazy by its Jacobian, kernel and outputs at any scale up to a = 10 "
        "(undecided at a = 1, 10)."
    )
    assert "leave undecided" in one.sentences()[1]
    assert "disguise" not in str(one)


@pytest.mark.parametrize(
    ("factors", "decision"),
    [((0.01, 0.012, 0.011), "lazy"), ((0.3, 0.32, 0.31), "not lazy"), ((0.09, 0.1, 0.12), "undecided")],
)
def test_three_answers(factors: tuple[float, ...], decision: str) -> None:
    (one,) = verdicts(spread_over_seeds(factors))
    assert one.decision == decision
    assert one.is_lazy == (decision == "lazy")


def test_one_seed_makes_no_claim() -> None:
    (one,) = verdicts(spread_over_seeds((0.001,)))
    assert one.decision == "undecided"
    assert "one seed, which allows no claim" in one.sentences()[0]
    assert one.sentences()[0].endswith(
        "Its Jacobian and kernel change by at most 10 % from a = 1 on; its outputs leave the linearised ones by at "
        "most 10 % from a = 1 on."
    )
    for claim in ("is lazy", "disguise", "features", "explain", "interval ±"):
        assert claim not in str(one)


def of_one_seed(scales: tuple[float, ...], **changes: tuple[float, ...]) -> str:
    """The first words on changes of one seed, scale by scale, that have no interval."""
    found = {
        name: tuple(Interval(value, math.nan, math.nan) for value in values)
        for name, values in changes.items()
    }
    return LazyVerdict("one", scales, found, 0.3, 1).sentences()[0].partition("no claim. ")[2]


def test_one_seed_is_described_in_plain_words() -> None:
    """Small at every scale, from one on, at the largest alone, or not there: each for what it is."""
    said = of_one_seed((1.0,), Jacobian=(0.4,), kernel=(0.3,), outputs=(0.01,))
    assert said == (
        "Its Jacobian and kernel change by more than 10 % at a = 1; its outputs leave the linearised ones by at most "
        "10 % at a = 1."
    )
    said = of_one_seed(
        (1.0, 10.0, 100.0), Jacobian=(0.01, 0.02, 0.3), kernel=(0.3, 0.05, 0.01), outputs=(1, 1, 0.01)
    )
    assert said == (
        "Its Jacobian changes by more than 10 % at a = 100; its kernel changes by at most 10 % from a = 10 on; its "
        "outputs leave the linearised ones by at most 10 % at a = 100."
    )


def test_what_diverged_from_one_seed_gives_no_amount() -> None:
    gone, small = Interval(math.inf, math.nan, math.nan), Interval(0.01, math.nan, math.nan)
    one = LazyVerdict("one", (1.0, 10.0), dict.fromkeys(METRICS, (small, gone)), 0.3, 1)
    said = "Its Jacobian and kernel change by an amount that cannot be told at a = 10 (training diverged at a = 10);"
    assert said in one.sentences()[0]
    assert "more than" not in one.sentences()[0]


@pytest.mark.parametrize("seed", range(8))
def test_an_interval_that_leaves_all_open_is_not_spelt_out(seed: int) -> None:
    """Of two seeds a factor apart: its ends are hundreds of means away, unless it decides all the same."""
    rng = np.random.default_rng(seed)
    small, ratio = 10 ** rng.uniform(-2, -0.8), rng.uniform(5, 20)
    (one,) = verdicts(spread_over_seeds((small, ratio * small)))
    found = one.intervals["kernel"][0]
    assert found.high > 100 * found.mean
    assert "[an interval too wide to tell, over 2 seeds]" in one.sentences()[1]
    assert f"{100 * found.mean:.3g} % [an interval" in one.sentences()[1]
    assert not re.search(r"\[\d", one.sentences()[1])
    (near,) = verdicts(spread_over_seeds((small, 1.2 * small)))
    assert "too wide" not in str(near)
    assert "[" in near.sentences()[1]


def test_a_wide_interval_that_decides_is_spelt_out() -> None:
    """Its end is a thousand means away and small all the same: the seeds do tell that it is lazy."""
    (one,) = verdicts(spread_over_seeds((1e-9, 3e-9)))
    assert one.intervals["kernel"][0].high > 100 * one.intervals["kernel"][0].mean
    assert one.decision == "lazy"
    assert "too wide" not in str(one)


def test_the_caption_tells_the_two_kernel_changes_apart() -> None:
    for seeds in ((0.01, 0.012), (0.01,)):
        assert (
            "not that of the table, which is of the whole kernel"
            in spread_over_seeds(seeds).verdict().caption
        )


def test_another_threshold_is_an_option_and_told_where_it_matters() -> None:
    comparison = spread_over_seeds((0.07, 0.071, 0.072))
    (one,) = comparison.verdict()
    assert one.decision == "lazy"
    assert (
        one.sentences()[-1]
        == "With the threshold not at 10 % but at 5 % not lazy would be the word on a = 1."
    )
    assert comparison.verdict(small=0.05)[0].decision == "not lazy"
    assert "threshold" not in str(spread_over_seeds((0.01, 0.011, 0.012)).verdict())
    with pytest.raises(ValueError, match="`small` must be positive"):
        comparison.verdict(small=0.0)


def test_the_supremum_over_training_counts() -> None:
    """A kernel that went and came back has changed."""
    (one,) = verdicts(spread_over_seeds((0.01, 0.012, 0.011)))
    assert one.is_lazy
    back = spread_over_seeds((0.01, 0.012, 0.011))
    runs = tuple(
        replace(run, tangent_changes=np.vstack([run.tangent_changes, np.full((1, 4), 0.5)]))
        for run in back.runs
    )
    (one,) = verdicts(replace(back, runs=runs))
    assert one.decisions("kernel") == ("not lazy", "not lazy")
    assert runs[0].kernel_change == pytest.approx(0.01)
    assert runs[0].largest_kernel_change == 0.5


def test_a_linearised_path_that_diverges_is_said_to() -> None:
    comparison = spread_over_seeds((0.01, 0.012, 0.011))
    runs = tuple(replace(run, linear_train_outputs=1e9 * run.linear_train_outputs) for run in comparison.runs)
    (one,) = verdicts(replace(comparison, runs=runs))
    assert "its linearised model diverged at this rate" in one.sentences()[1]
    assert "e+" not in str(one)


def with_regression(run: Run, outputs: np.ndarray) -> Run:
    return replace(run, regression_train_outputs=outputs, regression_test_outputs=outputs)


def test_kernel_regression_is_told_apart_from_the_stopped_path() -> None:
    comparison = spread_over_seeds((0.01, 0.012, 0.011))
    runs = tuple(with_regression(run, 0.5 * run.test_targets) for run in comparison.runs)
    (one,) = verdicts(replace(comparison, runs=runs))
    run = runs[0]
    expected = np.linalg.norm(run.trace.test_outputs[-1] - 0.5 * run.test_targets)
    assert run.test_regression_gap == pytest.approx(expected / np.linalg.norm(run.test_targets))
    assert "Kernel regression to the end" in str(one)
    assert run.regression_train_loss == pytest.approx(0.125)  # half the square of .5


def test_accuracies_come_with_their_interval_and_samples() -> None:
    """Of 4 test samples one is gained against kernel regression: no claim at that number."""
    comparison = replace(spread_over_seeds((0.01, 0.012, 0.011)), settings={"classes": ["a", "b"]})
    wrong = np.array([[1.0], [1.0], [-1.0], [1.0]])
    runs = tuple(with_regression(run, wrong) for run in comparison.runs)
    (one,) = verdicts(replace(comparison, runs=runs))
    assert one.accuracies["kernel regression"].gain == pytest.approx(0.25)
    assert not one.accuracies["kernel regression"].differs
    assert "Its accuracy on 4 test samples there is 100 %." in str(one)
    assert "25.0 ±" in str(one)
    own = replace(comparison, settings={"classes": ["a", "b"], "splits": "a seed"})
    assert "of a split a seed" in str(verdicts(own)[0])
    assert "describe that pool" in verdicts(own).caption


@pytest.mark.parametrize(("effect", "name"), [(0.1, "at the threshold"), (0.03, "lazy"), (0.33, "not lazy")])
def test_verdicts_hold_their_level(
    effect: float, name: str, record_property: Callable[[str, object], None]
) -> None:
    """Changes of seeds are log-normal about a true geometric mean. At the threshold a claim either way is an error."""
    generator = np.random.default_rng(11)
    trials, found = 600, []
    for _ in range(trials):
        values = effect * np.exp(0.5 * generator.standard_normal(5))
        found.append(decided(geometric_interval(values), SMALL))
    undecided = found.count("undecided") / trials
    if name == "at the threshold":
        assert 0.9 <= undecided <= 0.98
        return
    power = found.count(name) / trials
    wrong = (trials - found.count(name) - found.count("undecided")) / trials
    record_property("power", float(power))
    print(f"power at a geometric mean of {effect}: {power:.2f}")
    assert wrong <= 0.01
    assert power > 0.8
