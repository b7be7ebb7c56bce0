"""What training took, counted: steps times one gradient, whatever trains; nothing of runs that were kept."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import qlazy
from qlazy.data.datasets import Dataset
from qlazy.models.model import Model
from qlazy.training import lanes
from qlazy.training.effort import Effort, flops_of, watched
from qlazy.training.losses import Objective, SquaredError
from qlazy.training.methods import SGD, Method, batches

STEPS = 7


@pytest.fixture(scope="module")
def data() -> Dataset:
    return qlazy.load_data("digits", features=3, train=14, test=6)


def models() -> dict[str, Model]:
    return {
        "net": qlazy.mlp([3, 4, 1]),
        "circuit": qlazy.load_circuit("hardware_efficient", n=3, layers=2),
    }


def once(found: dict[str, Model], data: Dataset) -> int:
    """One gradient of each."""
    each = [model.gradient_flops(model.init(0), data.x_train) for model in found.values()]
    return sum(flops for flops in each if flops is not None)


def effort_of(found: dict[str, Model], data: Dataset, **settings: object) -> Effort:
    with watched() as effort:
        qlazy.compare(found, data, alphas=(1, 10), seeds=3, steps=STEPS, progress=False, **settings)  # type: ignore[arg-type]
    return effort


@pytest.mark.parametrize("side_by_side", [True, False])
@pytest.mark.parametrize("method", [qlazy.GradientDescent(), qlazy.Adam(0.01)])
def test_a_comparison_counts_every_step_of_every_run(
    data: Dataset, monkeypatch: pytest.MonkeyPatch, side_by_side: bool, method: Method
) -> None:
    if not side_by_side:
        monkeypatch.setattr(lanes, "most_lanes", lambda *_: 0)
    effort = effort_of(models(), data, method=method)
    assert (effort.runs, effort.flops) == (12, 6 * STEPS * once(models(), data))
    assert effort.rate == effort.flops / effort.seconds > 0


def test_runs_that_are_kept_are_not_counted(data: Dataset, tmp_path: Path) -> None:
    net = {"net": models()["net"]}
    assert effort_of(net, data, out=tmp_path).runs == 6
    again = effort_of(net, data, out=tmp_path)
    assert (again.runs, again.seconds, again.flops) == (0, 0.0, 0)
    assert (again.asked, again.kept) == (6, 6)


@pytest.mark.parametrize(
    "settings",
    [
        {"method": qlazy.GradientFlow(1.0)},
        {"method": qlazy.LBFGS()},
        {"models": qlazy.Function(lambda w, x: x @ w[:, None], 3)},
    ],
)
def test_one_run_that_cannot_be_counted_leaves_nothing_to_say(data: Dataset, settings: dict) -> None:
    found = {"net": models()["net"], "other": settings.pop("models", qlazy.mlp([3, 2, 1]))}
    effort = effort_of(found, data, **settings)
    assert (effort.runs, effort.flops, effort.rate) == (12, None, 0.0)


@given(st.integers(1, 12), st.integers(1, 14), st.integers(0, 40))
def test_batches_count_the_samples_that_they_hold(samples: int, size: int, steps: int) -> None:
    net = qlazy.mlp([2, 3, 1])
    x, y = torch.ones(samples, 2, dtype=torch.float64), torch.ones(samples, 1, dtype=torch.float64)
    parts = batches(Objective(net, x, y, 1.0, SquaredError()), size, 0)
    seen = sum(len(part.x) for part in islice(parts, steps))
    row = net.gradient_flops(net.init(0), x[:1])
    assert row is not None
    assert flops_of(net, net.init(0), x, SGD(0.1, size), steps) == seen * row


def test_without_anyone_watching_nothing_is_counted(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Model, "gradient_flops", pytest.fail)
    monkeypatch.setattr(qlazy.Net, "gradient_flops", pytest.fail)
    qlazy.compare({"net": models()["net"]}, data, alphas=(1,), seeds=1, steps=2, progress=False)
