"""Findings, tables and verdicts, and the pattern that every study follows."""

from __future__ import annotations

import html
import math
import re
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pytest

from qlazy.base.storage import load_arrays
from qlazy.base.tables import Table
from qlazy.commands import main as cli
from qlazy.studies import STUDIES, find_study
from qlazy.studies.lazy import study as lazy
from qlazy.studies.report import finish, study_page
from qlazy.studies.result import UNDECIDED, Finding, StudyResult, log10_ratios


@dataclass(frozen=True)
class Sizes:
    seeds: int = 3

    @classmethod
    def quick(cls) -> Self:
        return cls()

    @classmethod
    def full(cls) -> Self:
        return cls(30)


def test_a_verdict_can_be_bad() -> None:
    good = Finding("T0", "x", 1.0, 1.05, error=0.02, tolerance=0.1)
    bad = Finding("T0", "y", 1.0, 1.05, error=0.01, tolerance=0.02)
    assert (good.verdict, bad.verdict) == ("agrees", "DISAGREES")
    table = StudyResult("none", None, (good, bad), {}).table().splitlines()
    row = ["T0", "y", "1 ± 0.02", "1.05", "0.01", "1.03 to 1.07", "0.00", "0.00", "DISAGREES"]
    assert re.split(r"\s{2,}", table[2]) == row


@pytest.mark.parametrize(
    ("relation", "measured", "error", "verdict"),
    [
        ("=", 1.05, 0.02, "agrees"),  # 1.01 to 1.09 within 0.9 to 1.1
        ("=", 1.05, 0.03, UNDECIDED),  # 0.99 to 1.11
        ("=", 1.0, 5.0, UNDECIDED),  # noise does not help
        ("=", 1.2, 0.04, "DISAGREES"),
        (">=", 1.0, 0.0, "agrees"),
        (">=", 1.0, 0.04, "agrees"),  # from 0.92, and 0.9 is enough
        (">=", 1.0, 0.06, UNDECIDED),
        (">=", 0.8, 0.04, "DISAGREES"),
        (">=", 0.8, 0.06, UNDECIDED),
        ("<=", 1.0, 0.04, "agrees"),
        ("<=", 1.05, 0.04, UNDECIDED),
        ("<=", 1.2, 0.04, "DISAGREES"),
        (">=", math.nan, 0.0, "DISAGREES"),
        ("=", math.nan, 0.0, "DISAGREES"),
        (">=", 9.0, math.nan, UNDECIDED),  # one run
        ("", 7.0, 5.0, "reported"),
    ],
)
def test_a_claim_is_decided_by_the_whole_interval(relation, measured, error, verdict) -> None:
    """Two errors to each side; the tolerance is 0.1."""
    found = Finding("T0", "x", 1.0, measured, error, tolerance=0.1, relation=relation)
    assert found.verdict == verdict
    assert found.agrees == (verdict in ("agrees", "reported"))
    assert found.disagrees == (verdict == "DISAGREES")


def test_an_equivalence_needs_a_tolerance_that_was_fixed() -> None:
    with pytest.raises(ValueError, match="`tolerance` must be fixed beforehand where a claim is '=' "):
        Finding("T0", "x", 1.0, 1.0, error=0.1)
    assert Finding("T0", "x", 3, 3).verdict == "agrees"
    assert Finding("T0", "x", 3, 4).verdict == "DISAGREES"
    with pytest.raises(ValueError, match="`runs` must be counted for a share"):
        Finding("T0", "x", 1.0, 1.0, relation=">=", kind="share")
    with pytest.raises(ValueError, match="`tolerance` must not be negative"):
        Finding("T0", "x", 1.0, 1.0, tolerance=-0.1)


def test_few_runs_reach_farther() -> None:
    """Student's quantile of two degrees of freedom, 4.303, in place of two."""
    found = Finding.mean("T0", "x", 0.0, [1.0, 2.0, 3.0], relation=">=")
    assert found.interval == pytest.approx((2 - 4.303 / 3**0.5, 2 + 4.303 / 3**0.5), abs=1e-3)
    assert (found.measured, found.runs, found.verdict) == (2.0, 3, UNDECIDED)
    assert Finding.mean("T0", "x", 0.0, [1.0], relation=">=").verdict == UNDECIDED


def test_equal_differences_of_accuracies_are_not_certain() -> None:
    """Three differences of exactly 0 from 100 answers each leave 3 / 300 open, not nothing."""
    found = Finding.mean("T0", "x", 0.0, [0.0] * 3, 0.01, answers=100)
    assert found.error == pytest.approx(1.5 / 300)
    assert found.verdict == UNDECIDED
    assert Finding.mean("T0", "x", 0.0, [0.0] * 10, 0.01, answers=1000).verdict == "agrees"
    scattered = [0.1, -0.1, 0.0]
    assert (
        Finding.mean("T0", "x", 0.0, scattered, 0.01, answers=100).error
        == Finding.mean("T0", "x", 0.0, scattered, 0.01).error
    )


def test_every_run_takes_five_to_be_told_from_every_other_one() -> None:
    five = Finding.every("T0", "x", 0.5, [0.1, 0.2, 0.3, 0.4, 0.5], "<=")
    assert (five.measured, five.verdict, five.size, five.power) == (0.5, "agrees", 0.5**5, 1.0)
    assert Finding.every("T0", "x", 0.5, [0.1] * 4, "<=").verdict == UNDECIDED
    assert Finding.every("T0", "x", 0.4, [0.1, 0.2, 0.3, 0.5], "<=").verdict == "DISAGREES"
    assert Finding.every("T0", "x", 0.4, [[0.5, 0.6], [0.3, 0.7]], ">=").measured == 0.3


def test_shares_have_clopper_and_pearsons_interval() -> None:
    """9 of 10 are .555 to .997 (Clopper, Pearson 1934); all of 10 from .6915."""
    found = Finding.share("T0", "x", 0.5, [True] * 9 + [False], ">=", effect=0.8)
    assert found.interval == pytest.approx((0.5550, 0.9975), abs=1e-4)
    assert found.verdict == "agrees"
    assert found.size == pytest.approx(11 / 1024)  # 9 or 10 of 10 fair coins
    assert found.power == pytest.approx(0.8**10 + 10 * 0.8**9 * 0.2)
    assert Finding.share("T0", "x", 0.8, [True] * 10, ">=").verdict == UNDECIDED
    assert Finding.share("T0", "x", 0.5, [False] * 10, ">=").verdict == "DISAGREES"


CLAIMS = [("=", 1.0, 0.3), (">=", 1.0, 0.0), ("<=", 1.0, 0.1)]


@pytest.mark.parametrize("runs", [4, 12])
@pytest.mark.parametrize(("relation", "theory", "tolerance"), CLAIMS)
def test_claims_pass_as_often_as_they_print(runs, relation, theory, tolerance) -> None:
    """Simulated studies, at the edge of the claim and well inside it: the printed size and power.

    At the edge a claim is just false, and what agrees there does so by chance.
    """
    generator = np.random.default_rng(runs)
    edge = theory - tolerance if relation == ">=" else theory + tolerance
    inside = {"=": theory, ">=": edge + 0.25, "<=": edge - 0.25}[relation]
    trials, deviation = 1500, 0.2

    def simulated(truth: float) -> list[Finding]:
        samples = truth + deviation * generator.standard_normal((trials, runs))
        return [Finding.mean("T0", "x", theory, row, tolerance, relation, effect=inside) for row in samples]

    false, true = simulated(edge), simulated(inside)
    size, power = (float(np.mean([f.agrees for f in found])) for found in (false, true))
    noise = 3 * math.sqrt(0.05 * 0.95 / trials)
    assert size <= 0.025 + noise
    assert np.mean([f.disagrees for f in true]) <= 0.025 + noise
    known = Finding("T0", "x", theory, 0.0, deviation / runs**0.5, tolerance, relation, runs, effect=inside)
    assert power == pytest.approx(known.power, abs=0.04)
    assert size == pytest.approx(known.size, abs=0.015)
    assert power > 5 * size


def test_intervals_cover_nineteen_times_in_twenty() -> None:
    """Means from 3 to 30 runs, with an effect and without; shares at least as often."""
    generator = np.random.default_rng(0)
    trials = 1500
    for runs in (3, 10, 30):
        for effect in (0.0, 2.0):
            samples = effect + generator.standard_normal((trials, runs))
            found = [Finding.mean("T0", "x", 0.0, row, relation="").interval for row in samples]
            assert 0.93 < np.mean([low <= effect <= high for low, high in found]) < 0.975
        hits = generator.random((trials, runs)) < 0.8
        found = [Finding.share("T0", "x", 0.5, row, ">=").interval for row in hits]
        assert np.mean([low <= 0.8 <= high for low, high in found]) > 0.94


def test_no_effect_is_needed_to_see_what_a_claim_can_see() -> None:
    """80 % of studies pass from where the power is printed, two errors and .84 above the bar."""
    found = Finding("T0", "x", 1.0, 3.0, error=0.5, relation=">=")
    assert found.cells()[6:8] == ("0.80 at 2.42", "0.023")
    assert found.chance(2.42) == pytest.approx(0.8, abs=0.005)


def test_ratios_are_paired_in_logarithms() -> None:
    np.testing.assert_allclose(log10_ratios([10.0, 1.0], [1.0, 100.0]), [1.0, -2.0])
    with pytest.raises(ValueError, match="`samples` must be positive on both sides"):
        log10_ratios([1.0, 0.0], [1.0, 1.0])


def test_the_page_counts_what_fails_and_what_is_undecided() -> None:
    findings = (
        Finding("T0", "good", 1.0, 1.0),
        Finding("T1", "bad", 1.0, 2.0, error=0.1, tolerance=0.1),
        Finding("T2", "open", 1.0, 1.0, error=0.1, tolerance=0.1),
        Finding("T3", "shown", math.nan, 1.0, relation=""),
    )
    page = study_page(StudyResult("none", Sizes.quick(), findings, {}), {}).html()
    assert "1 of 3 claims hold, 1 fail, 1 are undecided at this size." in page
    assert "Fails: T1, bad: measured 2 (1.8 to 2.2), claimed 1 ± 0.1." in page
    assert "Undecided: T2, open: measured 1 (0.8 to 1.2), claimed 1 ± 0.1." in page
    whole = study_page(StudyResult("none", Sizes.quick(), findings[:1], {}), {}).html()
    assert "The one claim holds." in whole
    none = study_page(StudyResult("none", Sizes.quick(), findings[3:], {}), {}).html()
    assert "Nothing is claimed. 1 further figures are reported as they are." in none
    assert "claims hold" not in none


def test_what_a_study_leaves(tmp_path) -> None:
    """A figure without a theory is null in the file, the tables stand before the findings, conventions win."""
    reported = Finding("T0", "x", float("nan"), 2.0, relation="")
    table = Table("accuracy", ("rule", "test"), (("random", "52.7"), ("all", "56.7")))
    study = StudyResult("none", Sizes(7), (reported,), {"x": np.arange(3)}, (table,), {"loss": "mean"})
    finish(study, tmp_path, lambda result: {})
    assert (tmp_path / "table.txt").read_text().startswith("accuracy\nrule    test\nrandom  52.7\n")
    _, settings = load_arrays(tmp_path / "result.npz")
    assert settings["findings"][0]["theory"] is None
    assert settings["loss"] == "mean"
    assert settings["dtype"] == "float64"
    assert settings["tables"][0]["rows"] == [["random", "52.7"], ["all", "56.7"]]
    assert "Sizes(seeds=7)" in (tmp_path / "report.html").read_text()


def test_every_study_follows_the_pattern() -> None:
    for name in STUDIES:
        study = find_study(name)
        assert study.Settings.quick() != study.Settings.full()
        assert callable(study.run)
        assert callable(study.figures)
    with pytest.raises(ValueError, match="`name` must be one of "):
        find_study("nothing")


def test_the_command_lists_studies(capsys) -> None:
    assert cli.main(["study"]) == 0
    assert "wide_circuits" in capsys.readouterr().out
    assert cli.main(["study", "nothing"]) == 2
    assert "`name` must be one of" in capsys.readouterr().err


def test_a_page_names_settings_by_experiment_and_gives_a_call_that_runs() -> None:
    """The call written on the page of other settings makes those very settings."""
    settings = replace(lazy.Settings.quick(), plane=lazy.Plane(steps=7, seeds=2))
    page = study_page(StudyResult("lazy", settings, (), {}), {}).html()
    assert "steps 7; seeds 2" in page
    code = html.unescape(page)[html.unescape(page).index("from qlazy.studies.lazy.study import") :]
    lines = code.split("<")[0].replace("\n\nrun(", "\n\nfound = (")
    made: dict[str, object] = {}
    exec(lines, made)
    assert made["found"] == settings
