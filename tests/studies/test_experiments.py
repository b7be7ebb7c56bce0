"""Experiments of a study: carried out once, kept, and taken up again to the bit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from qlazy.base.storage import load_arrays
from qlazy.base.tables import Table
from qlazy.studies.experiments import KEPT, Outcome, carry_out
from qlazy.studies.result import Finding, StudyResult
from tests.studies.test_result import Sizes

SIZES = Sizes()


class Stopped(Exception):
    pass


def experiments(calls: list[str], stop_at: str = "") -> Mapping[str, Callable[[], Outcome]]:
    def one(name: str) -> Callable[[], Outcome]:
        def carried_out() -> Outcome:
            if name == stop_at:
                raise Stopped
            calls.append(name)
            finding = Finding(name, "third", math.nan, 1 / 3, relation="")
            return Outcome([finding], {name: np.array([1 / 3, math.nan])}, [Table(name, ("a",), (("1",),))])

        return carried_out

    return {name: one(name) for name in ("first", "second one", "third")}


def run(calls: list[str], out: Path | None, settings: Sizes = SIZES, stop_at: str = "") -> StudyResult:
    parts = experiments(calls, stop_at)
    return carry_out("none", settings, parts, lambda result: {}, out=out, progress=False)


def test_a_study_goes_on_where_it_stopped(tmp_path) -> None:
    """With the bytes of an uninterrupted one in every file, and nothing carried out twice."""
    calls: list[str] = []
    with pytest.raises(Stopped):
        run(calls, tmp_path / "one", stop_at="third")
    stopped = run(calls, tmp_path / "one")
    assert calls == ["first", "second one", "third"]
    whole = run([], tmp_path / "two")
    assert str(stopped.findings) == str(whole.findings)
    assert stopped.table() == whole.table()
    files = sorted(
        path.relative_to(tmp_path / "two") for path in (tmp_path / "two").rglob("*") if path.is_file()
    )
    assert len([file for file in files if file.parts[0] == KEPT]) == 3
    assert all(
        (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes() for file in files
    )


def test_other_settings_are_other_experiments(tmp_path) -> None:
    calls: list[str] = []
    run(calls, tmp_path)
    run(calls, tmp_path, Sizes(4))
    assert len(calls) == 6


def test_without_a_folder_the_same_numbers(tmp_path) -> None:
    loose, kept = run([], None), run([], tmp_path)
    assert str(loose.findings) == str(kept.findings)
    assert list(loose.arrays) == list(kept.arrays)
    np.testing.assert_array_equal(loose.arrays["first"], kept.arrays["first"])
    assert loose.tables == kept.tables


def test_a_damaged_experiment_is_named(tmp_path) -> None:
    run([], tmp_path)
    path = next((tmp_path / KEPT).glob("first-*"))
    _, about = load_arrays(path)
    assert about["settings"] == {"seeds": 3}
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=str(path)):
        run([], tmp_path)
