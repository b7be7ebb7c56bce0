"""Findings, tables and verdicts, and the pattern that every study follows."""

from __future__ import annotations

import html
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
from qlazy.studies.result import Finding, StudyResult


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
    good = Finding("T0", "x", 1.0, 1.05, error=0.02)
    bad = Finding("T0", "y", 1.0, 1.05, error=0.01, tolerance=0.01)
    assert (good.verdict, bad.verdict) == ("agrees", "DISAGREES")
    table = StudyResult("none", None, (good, bad), {}).table().splitlines()
    assert re.split(r"\s{2,}", table[2]) == ["T0", "y", "1", "1.05", "0.01", "0.04", "DISAGREES"]


@pytest.mark.parametrize(
    ("relation", "measured", "verdict"),
    [
        (">=", 1.0, "agrees"),
        (">=", 0.95, "agrees"),
        (">=", 0.8, "DISAGREES"),
        ("<=", 1.05, "agrees"),
        ("<=", 1.2, "DISAGREES"),
        (">=", float("nan"), "DISAGREES"),
        ("=", float("nan"), "DISAGREES"),
        ("", 7.0, "reported"),
    ],
)
def test_bars_are_cleared_without_the_help_of_errors(relation, measured, verdict) -> None:
    """The tolerance counts, standard errors do not: no measurement clears a bar by its noise."""
    assert (
        Finding(
            "T0", "x", 1.0, measured, error=5.0 * (relation != "="), tolerance=0.1, relation=relation
        ).verdict
        == verdict
    )


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
