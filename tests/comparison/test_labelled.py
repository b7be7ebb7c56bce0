"""Comparisons as xarray data sets: every number is in its place, and the package's absence is said."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from qlazy.comparison.result import Comparison
from qlazy.comparison.run import Run
from tests.comparison.test_figures import made_up, made_up_run


def _sparse(run: Run, rows: list[int]) -> Run:
    """The run as if it had been recorded at some of the steps alone."""
    names = ("steps", "times", "params", "train_loss", "train_outputs", "test_loss", "test_outputs")
    trace = replace(run.trace, **{name: getattr(run.trace, name)[rows] for name in names})
    linear = ("linear_params", "linear_train_outputs", "linear_test_outputs")
    return replace(run, trace=trace, **{name: getattr(run, name)[rows] for name in linear})


def uneven() -> Comparison:
    """Two models, three scales and two seeds, one run diverged, one scale missing for one model."""
    runs = [*made_up(("one", "two"), (1.0, 10.0, 100.0), (4, 7)).runs]
    runs[1] = made_up_run("one", 7, 1.0, diverged="training diverged at step 7")
    runs[2] = _sparse(runs[2], [0, 2, 3])
    kept = [run for run in runs if (run.model, run.alpha) != ("two", 100.0)]
    return Comparison(tuple(kept), {"loss": "half", "steps": 100, "seeds": [4, 7], "centered": True})


def test_every_number_is_in_its_place() -> None:
    xr = pytest.importorskip("xarray")
    comparison = uneven()
    found = comparison.xarray()
    assert isinstance(found, xr.Dataset)
    assert dict(found.sizes) == {"model": 2, "alpha": 3, "seed": 2, "step": 4}
    assert set(comparison.metrics) <= set(found.data_vars)
    for run in comparison.runs:
        at = {"model": run.model, "alpha": run.alpha, "seed": run.seed}
        for name, of in comparison.metrics.items():
            value = float(found[name].sel(at))
            assert np.isnan(value) if run.diverged else np.array_equal(value, of(run), equal_nan=True)
        for name in ("train_loss", "test_loss", "drift"):
            np.testing.assert_array_equal(
                found[name].sel({**at, "step": run.trace.steps}), getattr(run.trace, name)
            )
        assert bool(found["diverged"].sel(at)) == bool(run.diverged)
    missing = found.sel(model="two", alpha=100.0)
    assert missing["parameter drift"].isnull().all()
    assert missing["train_loss"].isnull().all()
    assert found["train_loss"].dims == ("model", "alpha", "seed", "step")


def test_settings_are_attributes_that_a_file_can_hold() -> None:
    pytest.importorskip("xarray")
    attributes = uneven().xarray().attrs
    assert (attributes["loss"], attributes["steps"]) == ("half", 100)
    assert json.loads(attributes["seeds"]) == [4, 7]
    assert json.loads(attributes["centered"]) is True
    assert all(isinstance(value, str | int | float) for value in attributes.values())


def test_its_absence_is_said_with_the_remedy(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(ImportError, match="pip install xarray$"):
        uneven().xarray()
