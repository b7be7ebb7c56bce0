"""A sweep that lacks one run: what is asked of each run to find it is little, and what is made is that run alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from qlazy.base import keys
from qlazy.comparison.compare import tasks, telling
from tests.killing import finished_files
from tests.sweep import Sizes, time_to_find


@pytest.mark.parametrize("lost", [0, 5, 11])
def test_models_are_told_once_a_seed_however_many_scales_and_one_run_is_found(
    lost: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, told, made = Sizes(2, 3, 2), [], []
    sizes.sweep(tmp_path)
    quiet = finished_files(tmp_path)
    shutil.rmtree(sorted((tmp_path / "runs").iterdir())[lost])
    make_runs = tasks.make_runs_here

    def counting(*arguments: Any) -> str | None:
        told.append(arguments)
        return keys.told(*arguments)

    def making(seeded: Any, some: Any) -> Any:
        made.extend(some)
        return make_runs(seeded, some)

    monkeypatch.setattr(telling, "told", counting)
    assert time_to_find(sizes.sweep, tmp_path) < 60
    assert len(told) == 2 * 2
    monkeypatch.setattr(tasks, "make_runs_here", making)
    sizes.sweep(tmp_path)
    assert len(made) == 1
    assert finished_files(tmp_path) == quiet
