"""What a verdict says is so: of comparisons drawn at random, each sentence is held to intervals computed apart."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from qlazy.comparison.result import Comparison
from qlazy.comparison.run import Run
from qlazy.comparison.verdict import LazyVerdict, verdicts
from tests.comparison.test_figures import TARGETS, made_up_run

SMALL = 0.1
NAMES = ("Jacobian", "kernel", "outputs")
SIZES = st.floats(-3.5, 1.5).map(lambda x: 10**x)
SCALES = (1.0, 10.0, 100.0)


class Drawn(NamedTuple):
    """Factors (scales, seeds, 3) of the changes, flags (scales, seeds), and the share of the loss that is left."""

    changes: np.ndarray
    diverged: np.ndarray
    linear: np.ndarray
    left: float
    classes: bool
    regression: bool
    nothing: bool
    own_splits: bool


@st.composite
def drawn(draw) -> Drawn:
    scales, seeds = draw(st.integers(1, 3)), draw(st.sampled_from((1, 2, 3, 5)))
    centers = np.array([[draw(SIZES) for _ in NAMES] for _ in range(scales)])
    noise = np.random.default_rng(draw(st.integers(0, 99))).standard_normal((scales, seeds, 3))
    spread = draw(st.sampled_from((0.01, 0.2, 1.5)))
    chance = draw(st.sampled_from((0.0, 0.0, 0.3, 1.0)))
    flags = np.random.default_rng(draw(st.integers(0, 99))).random((2, scales, seeds)) < chance
    left = draw(st.sampled_from((0.05, 0.5, 0.95, 1.7)))
    rest = [draw(st.booleans()) for _ in range(2)]
    return Drawn(
        centers[:, None] * np.exp(spread * noise), flags[0], flags[1], left, *rest,
        draw(st.sampled_from((False, False, False, True))), draw(st.booleans()),
    )  # fmt: skip


def run_of(one: Drawn, i: int, seed: int) -> Run:
    jacobian, kernel, outputs = one.changes[i, seed]
    run = made_up_run("one", seed, SCALES[i], moves=SCALES[i] * outputs)
    losses = run.trace.train_loss[0] * np.array([1.0, 1.0, 1.0, one.left])
    changed = np.array([[jacobian, kernel, kernel, kernel]])
    trace = replace(run.trace, train_loss=losses)
    linear = run.linear_train_outputs * (1e9 if one.linear[i, seed] else 1.0)
    run = replace(
        run, trace=trace, tangent_changes=changed, kernel_final=run.kernel_initial * (1 + kernel),
        linear_train_outputs=linear, diverged="at step 3" if one.diverged[i, seed] else "",
    )  # fmt: skip
    if one.regression:
        answers = np.where(np.arange(4)[:, None] == seed, -1.0, 1.0) * TARGETS
        run = replace(run, regression_train_outputs=answers, regression_test_outputs=answers)
    if one.nothing:
        trace = replace(run.trace, train_outputs=np.tile(TARGETS, (4, 1, 1)), train_loss=np.zeros(4))
        run = replace(run, trace=trace, tangent_changes=np.array([[jacobian, math.nan, math.nan, math.nan]]))
    return run


def comparison_of(one: Drawn) -> Comparison:
    scales, seeds, _ = one.changes.shape
    runs = tuple(run_of(one, i, seed) for i in range(scales) for seed in range(seeds))
    told = {"classes": ["a", "b"]} if one.classes else {}
    return Comparison(runs, {**told, "splits": "a seed"} if one.own_splits else told)


class Interval(NamedTuple):
    low: float
    high: float


def interval(values: np.ndarray) -> Interval | None:
    """By scipy, of the logarithms; None where a run says nothing."""
    if not np.isfinite(values).all() or len(values) < 2:
        return None
    logs = np.log(values)
    half = stats.t.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / math.sqrt(len(logs))
    return Interval(math.exp(min(700, logs.mean() - half)), math.exp(min(700, logs.mean() + half)))


def decided(found: Interval | None, small: float) -> str:
    if found is None:
        return "undecided"
    return "lazy" if found.high <= small else "not lazy" if found.low > small else "undecided"


def table(one: Drawn) -> dict[str, list[Interval | None]]:
    changes = np.where(one.diverged[..., None], np.inf, one.changes)
    changes[..., 2] = np.where(one.linear & ~one.diverged, np.nan, changes[..., 2])
    return {name: [interval(row[:, k]) for row in changes] for k, name in enumerate(NAMES)}


def decision(found: dict[str, list[Interval | None]], small: float) -> str:
    words = {name: [decided(one, small) for one in rows] for name, rows in found.items()}
    if all(word == "lazy" for name in ("kernel", "outputs") for word in words[name]):
        return "lazy"
    return "not lazy" if "not lazy" in (words["kernel"][0], words["outputs"][0]) else "undecided"


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(drawn())
def test_every_sentence_is_true(one: Drawn) -> None:
    found = verdicts(comparison_of(one))
    (said,) = found
    text = " ".join((*said.sentences(), found.caption))
    assert not re.search(r"nan|inf\b|e\+|\b0 seeds", text)
    if one.nothing:
        assert said.decision == "undecided"
        assert one.diverged.any() or "nothing to learn" in text
        return
    if one.changes.shape[1] < 2:
        no_claims(said, text)
        of_one_seed(one, said)
        return
    known = table(one)
    regimes(said, known)
    at_least_scale(one, said, known, text)
    thresholds(said, known, text)
    accuracies(one, said, text)


def no_claims(said: LazyVerdict, text: str) -> None:
    assert said.decision == "undecided"
    for claim in (
        "one is lazy",
        "disguise",
        "features",
        "explain",
        "±",
        "stand in",
        "Training buys",
        "threshold",
    ):
        assert claim not in text


def of_one_seed(one: Drawn, said: LazyVerdict) -> None:
    """What is said of each metric is so of the figures, scale by scale."""
    first = said.sentences()[0].partition("no claim. ")[2].lower()
    if one.diverged.all():
        return
    gone = one.diverged[:, 0, None] | (np.arange(3) == 2) & one.linear[:, 0, None]
    small = (one.changes[:, 0] <= SMALL) & ~gone
    parts = [
        (name, part) for part in first.split("; ") for name in NAMES if name.lower() in part.split(" by ")[0]
    ]
    assert sorted(name for name, _ in parts) == sorted(NAMES)
    for name, part in parts:
        k = NAMES.index(name)
        scale = float(re.search(r" a = ([\d.]+)", part)[1])
        index = SCALES.index(scale)
        if "at most" in part:
            assert small[index:, k].all()
            assert index == 0 or not small[index - 1, k]
        else:
            assert scale == said.scales[-1]
            assert not small[-1, k]
            assert ("cannot be told" in part) == gone[-1, k]


def regimes(said: LazyVerdict, known: dict[str, list[Interval | None]]) -> None:
    first = said.sentences()[0]
    words = {name: [decided(row, SMALL) for row in rows] for name, rows in known.items()}
    if "diverged at every scale" in first:
        assert all(word == "undecided" for rows in words.values() for word in rows)
        return
    if "all three metrics" in first:
        assert all(word == "lazy" for rows in words.values() for word in rows)
        return
    claims = re.findall(
        r"(?:^one|; it) (is(?: not)?(?: shown to be)? lazy) (by its .*?)(?=; it is|\.$)", first
    )
    groups = [
        (names, (claim, told)) for claim, rest in claims
        for names, told in re.findall(r"by its ([\w, ]+?) ((?:from|at) .*?)(?=, by its|$)", rest)
    ]  # fmt: skip
    assert len({claim for claim, _ in claims}) == len(claims)
    parts = [(name, claim, told) for names, (claim, told) in groups for name in re.split(", | and ", names)]
    assert sorted(name for name, _, _ in parts) == sorted(NAMES)
    assert len({told for _, told in groups}) == len(groups)  # what is so of several is said once
    for name, claim, told in parts:
        rows = dict(zip(said.scales, words[name], strict=True))
        if claim != "is lazy":
            assert "lazy" not in rows.values()
            assert ("shown" in claim) == ("undecided" in rows.values())
            assert told.startswith(
                f"at a = {said.scales[-1]:g}" if len(rows) < 2 else "at any scale up to a = "
            )
            continue
        if told.startswith("at every scale"):
            assert set(rows.values()) == {"lazy"}
        elif told.startswith("from a = "):
            least = float(re.match(r"from a = ([\d.]+)", told)[1])
            assert all(rows[a] == "lazy" for a in rows if a >= least)
            assert rows[max(a for a in rows if a < least)] != "lazy"
        else:
            lazy = {float(a) for a in re.match(r"at a = ([\d., ]+) but", told)[1].split(",")}
            assert lazy == {a for a, word in rows.items() if word == "lazy"}
            assert rows[said.scales[-1]] != "lazy"
        for a in re.findall(r"undecided at a = ([\d., ]+)", told):
            assert all(rows[float(x)] == "undecided" for x in a.split(","))


def at_least_scale(one: Drawn, said: LazyVerdict, known: dict, text: str) -> None:
    kernel, outputs = (decided(known[name][0], SMALL) for name in ("kernel", "outputs"))
    expected = "undecided" if one.diverged[0].any() else decision(known, SMALL)
    assert said.decision == expected
    if "in disguise" in text:
        assert said.decision == "lazy"
        assert one.left <= 0.9
    if "features move" in text:
        assert kernel == "not lazy"
    if "features hardly move" in text:
        assert kernel == "lazy"
    if "does not stand in" in text:
        assert outputs == "not lazy"
    if "stands in for its outputs" in text:
        assert outputs == "lazy"
    if one.diverged[0].any():
        count = int(one.diverged[0].sum())
        assert f"training diverged from {count} of {one.diverged.shape[1]} seeds" in text
        return
    assert ("It hardly trained" in text) == (0.9 < one.left <= 1)
    assert ("loss grew" in text) == (one.left > 1)
    assert ("its linearised model diverged at this rate" in text) == bool(one.linear[0].any())
    if one.linear[0].any():
        assert "leave the linearised ones" not in text
        assert "of the linearised model," not in text


def thresholds(said: LazyVerdict, known: dict, text: str) -> None:
    if "at this learning rate" in said.sentences()[0] or "training diverged from" in text:
        return
    for factor in (0.5, 2.0):
        there = decision(known, factor * SMALL)
        phrase = f"at {100 * factor * SMALL:.3g} % {there}"
        changed = there != decision(known, SMALL)
        assert (phrase in text.rpartition("With the threshold")[2]) == changed or not changed


def accuracies(one: Drawn, said: LazyVerdict, text: str) -> None:
    if not one.classes:
        assert "ccuracy" not in text
        return
    for found in (said.accuracies or {}).values():
        if f"Training buys {100 * found.gain:.1f} points" in text:
            assert found.gain > found.half
        if found.half >= abs(found.gain):
            apart = f"{100 * abs(found.gain):.1f} ±{min(100, 100 * found.half):.1f}"
            explained = re.search(r"Those .*? apart .*? can explain|That .*? apart .*? can explain", text)
            assert one.diverged[0].any() or (explained and apart in explained[0])
