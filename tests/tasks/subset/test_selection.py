"""The loop: what it chooses, that it resumes bit for bit, what it refuses, and what a result keeps."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

import qlazy
from qlazy.base.errors import NotFiniteError
from qlazy.base.storage import save_arrays
from qlazy.tasks.subset import selection
from qlazy.tasks.subset.agreement import KernelAgreement
from qlazy.tasks.subset.baselines import (
    AllExamples,
    KernelHerding,
    LeverageScores,
    RandomSubset,
    SmallLoss,
    TracIn,
)
from qlazy.tasks.subset.host_cp import HostCP
from qlazy.tasks.subset.result import Subset
from qlazy.tasks.subset.selector import Selector, keep_top
from qlazy.training.losses import CrossEntropy, SquaredError

ARRAYS = ("indices", "scores", "margins", "params", "validation_loss", "test_accuracy")


@pytest.fixture(scope="module")
def problem():
    data = qlazy.load_data("digits", classes=(3, 5, 8), features=4, train=90, test=60, scaling="standard")
    data, trusted = qlazy.subset.hold_out(data, 30)
    return qlazy.mlp([4, 8, 3]), data, trusted


def choose(problem, **settings):
    model, data, trusted = problem
    defaults = {
        "fraction": 0.2,
        "validation": trusted,
        "loss": CrossEntropy(),
        "learning_rate": 0.3,
        "epochs": 3,
        "batch_size": 15,
    }
    return qlazy.select_subset(model, data, **{**defaults, "progress": False, **settings})


def assert_same(a: Subset, b: Subset) -> None:
    for name in ARRAYS:
        assert getattr(a, name).tobytes() == getattr(b, name).tobytes(), name


class Stops(RuntimeError):
    pass


@dataclasses.dataclass(frozen=True)
class Oracle(Selector):
    """Knows who is right."""

    wrong: tuple[bool, ...]

    def weigh(self, task, state, batch):
        wrong = torch.tensor(self.wrong, dtype=task.y.dtype)
        return keep_top(-wrong[batch.index], batch.count), state


def test_a_rule_of_ones_own_is_followed(problem) -> None:
    """Of 60 samples a third is flipped; an oracle's choice holds none, and the doubted are mostly those."""
    model, data, trusted = problem
    noisy, hit = qlazy.subset.flip_labels(data, 0.3, seed=1)
    selector = Oracle(tuple(hit.tolist()))
    subset = choose((model, noisy, trusted), selector=selector, epochs=15, learning_rate=1.0)
    assert len(subset.indices) == 12
    assert not hit[torch.from_numpy(subset.indices)].any()
    assert hit[torch.from_numpy(subset.label_issues)].double().mean() > 0.8
    assert subset.test_accuracy[-1] > subset.test_accuracy[0]
    kept = subset.of(noisy)
    assert torch.equal(kept.x_train, noisy.x_train[subset.indices])
    assert len(kept.x_test) == len(data.x_test)


def test_the_whole_set_is_plain_descent(problem) -> None:
    """With weights 1/b the loop is SGD on the mean loss: batches of all are gradient descent, by qlazy.train."""
    model, data, _ = problem
    subset = choose(problem, selector=AllExamples(), batch_size=60, epochs=4, validation=None)
    start = model.init(torch.Generator().manual_seed(0))
    method = qlazy.GradientDescent(learning_rate=0.3)
    trace = qlazy.train(model, start, data, steps=4, loss=CrossEntropy(), method=method)
    np.testing.assert_allclose(subset.params, trace.params[-1], atol=1e-12)
    assert np.isnan(subset.validation_loss).all()


@pytest.mark.parametrize(
    "selector", [qlazy.subset.HostCP(), SmallLoss(), RandomSubset(fresh=True)], ids=lambda s: type(s).__name__
)
def test_a_run_that_was_stopped_gives_the_same_numbers(problem, selector, tmp_path, monkeypatch) -> None:
    whole = choose(problem, selector=selector)
    epochs, advance = [], selection.Loop.advance

    def stopping(loop, now):
        if len(epochs) == 2:
            raise Stops
        epochs.append(now.done)
        return advance(loop, now)

    monkeypatch.setattr(selection.Loop, "advance", stopping)
    with pytest.raises(Stops):
        choose(problem, selector=selector, out=tmp_path)
    epochs.clear()
    resumed = choose(problem, selector=selector, out=tmp_path)
    assert epochs == [2]
    assert_same(whole, resumed)
    epochs.clear()
    assert_same(whole, choose(problem, selector=selector, out=tmp_path))
    assert epochs == []
    assert len(list(tmp_path.iterdir())) == 1


def test_another_setting_is_another_run(problem, tmp_path) -> None:
    for settings in ({}, {"learning_rate": 0.2}, {"seed": 1}, {"validation": None}):
        choose(problem, selector=SmallLoss(), epochs=1, out=tmp_path, **settings)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_damaged_file_is_named(problem, tmp_path) -> None:
    choose(problem, selector=SmallLoss(), epochs=1, out=tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=path.name):
        choose(problem, selector=SmallLoss(), epochs=1, out=tmp_path)


def test_the_test_part_is_never_looked_at(problem) -> None:
    """Other test labels change the accuracy reported, and nothing else."""
    model, data, trusted = problem
    other = dataclasses.replace(data, y_test=data.y_test.roll(1, dims=1))
    first = choose(problem, selector=TracIn())
    second = choose((model, other, trusted), selector=TracIn())
    for name in ("indices", "scores", "margins", "params", "validation_loss"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()
    assert not np.array_equal(first.test_accuracy, second.test_accuracy)


def test_a_subset_survives_the_disk(problem, tmp_path) -> None:
    subset = choose(problem, selector=TracIn())
    subset.save(tmp_path / "subset.npz")
    loaded = Subset.load(tmp_path / "subset.npz")
    assert_same(subset, loaded)
    assert dict(loaded.settings) == dict(subset.settings)
    assert loaded.table() == subset.table()
    save_arrays(tmp_path / "other.npz", {}, {"format": 1})
    with pytest.raises(ValueError, match=r"other\.npz` must be a subset"):
        Subset.load(tmp_path / "other.npz")


def test_a_table_a_page_and_a_figure(problem) -> None:
    subset = choose(problem, selector=TracIn())
    table = subset.table()
    assert "TracIn()" in table
    assert "12 of 60" in table
    assert "test accuracy" in table
    assert subset._repr_html_().startswith("<pre>selector")
    axes = subset.plot().axes
    assert sum(len(line.get_xdata()) for line in axes[0].lines[:2]) == 60
    assert axes[1].get_ylabel() == "test accuracy"


def test_pairs_regression_and_float32() -> None:
    """Targets that are no labels can be chosen from, but not doubted; dtype is kept; the default rate is safe."""
    model = qlazy.mlp([2, 4, 1], dtype=torch.float32)
    x = torch.rand(20, 2, generator=torch.Generator().manual_seed(1))
    subset = qlazy.select_subset(
        model,
        (x, x.sum(1, keepdim=True)),
        fraction=0.25,
        selector=RandomSubset(),
        epochs=2,
        batch_size=7,
        progress=False,
    )
    assert subset.params.dtype == np.float32
    assert len(subset.indices) == 5
    assert np.isnan(subset.test_accuracy).all()
    with pytest.raises(ValueError, match="`data` must have class labels to be doubted"):
        _ = subset.label_issues
    assert "suspected" not in subset.table()
    subset.plot()


def test_held_out_examples_are_those_taken_out() -> None:
    data = qlazy.load_data("wine")
    rest, (x, y) = qlazy.subset.hold_out(data, 40, seed=3)
    assert len(rest.x_train) + 40 == len(data.x_train)
    rows = sorted(
        map(tuple, torch.cat([torch.cat([rest.x_train, x]), torch.cat([rest.y_train, y])], 1).tolist())
    )
    assert rows == sorted(map(tuple, torch.cat([data.x_train, data.y_train], 1).tolist()))
    assert torch.equal(rest.x_test, data.x_test)
    for count in (0, len(data.x_train)):
        with pytest.raises(ValueError, match="`count` must be from 1 to"):
            qlazy.subset.hold_out(data, count)


@pytest.mark.parametrize("name", ["moons", "wine"])
def test_flipped_labels_are_other_labels(name) -> None:
    data = qlazy.load_data(name)
    noisy, hit = qlazy.subset.flip_labels(data, 0.4, seed=1)
    changed = (noisy.y_train != data.y_train).any(1)
    assert torch.equal(changed, hit)
    assert abs(float(hit.double().mean()) - 0.4) < 3 * (0.24 / len(hit)) ** 0.5
    assert torch.equal(noisy.y_test, data.y_test)
    with pytest.raises(ValueError, match="`share` must be between 0 and 1"):
        qlazy.subset.flip_labels(data, 1.2)
    with pytest.raises(ValueError, match="`data` must have classes"):
        qlazy.subset.flip_labels(qlazy.load_data("diabetes"), 0.1)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"fraction": 0.0}, ValueError, "`fraction` must be more than 0"),
        ({"fraction": float("nan")}, ValueError, "`fraction` must be more than 0"),
        ({"epochs": 0}, ValueError, "`epochs` must be a positive whole number"),
        ({"batch_size": 61}, ValueError, "`batch_size` must be at most 60"),
        ({"learning_rate": -1.0}, ValueError, "`learning_rate` must be positive"),
        ({"learning_rate": 1e200, "loss": SquaredError()}, NotFiniteError, "smaller rate"),
        ({"selector": "HostCP"}, TypeError, "`selector` must be a Selector"),
        ({"selector": TracIn(), "validation": None}, ValueError, "`validation` must be given for TracIn"),
        ({"params": torch.zeros(3)}, ValueError, "`params` must"),
    ],
)
def test_refusals(problem, settings, error, message) -> None:
    with pytest.raises(error, match=message):
        choose(problem, **{"selector": SmallLoss(), **settings})


def test_examples_that_do_not_fit(problem) -> None:
    model, data, (x, y) = problem
    for validation, message in (
        ((x[:, :2], y), "as the net's first layer takes, but is"),
        ((x, y[:, :2]), r"`validation\[1\]` must have shape"),
    ):
        with pytest.raises((ValueError, RuntimeError), match=message):
            choose((model, data, validation), selector=TracIn())
    with pytest.raises(NotFiniteError, match="`x` must be finite"):
        choose(
            (model, dataclasses.replace(data, x_train=data.x_train * torch.nan), (x, y)), selector=TracIn()
        )
    kept = choose(problem, selector=SmallLoss(), epochs=1)
    with pytest.raises(ValueError, match="`data` must have the 60 training samples"):
        kept.of(qlazy.load_data("wine"))


RULES = [
    SmallLoss(),
    TracIn(),
    KernelAgreement(),
    KernelHerding(),
    LeverageScores(),
    RandomSubset(),
    RandomSubset(fresh=True),
    AllExamples(),
    HostCP(memory=8),
]


@pytest.mark.parametrize("selector", RULES, ids=lambda rule: type(rule).__name__)
@pytest.mark.parametrize("batch_size", [7, 20, 31, 39, 60])
def test_what_was_never_scored_is_never_chosen(problem, selector, batch_size) -> None:
    """60 samples, one late epoch: where batches leave some out, a score of 0 would be the best that losses know."""
    subset = choose(problem, selector=selector, epochs=2, batch_size=batch_size)
    scored = ~np.isnan(subset.scores)
    assert scored.sum() == 60 // batch_size * batch_size
    assert scored[subset.indices].all()
    assert len(subset.indices) == 12


def test_scores_are_means_over_the_times_a_sample_was_seen(problem) -> None:
    """Without steps the loss of a sample is the same whenever it is seen: minus its score, whatever the batches."""
    model, data, _ = problem
    params = model.init(torch.Generator().manual_seed(3)).double()
    for batch_size in (13, 25, 60):
        subset = choose(
            problem,
            selector=SmallLoss(),
            epochs=7,
            batch_size=batch_size,
            learning_rate=1e-300,
            params=params,
        )
        losses = CrossEntropy()
        each = [
            float(losses(model(params, x[None]), y[None]))
            for x, y in zip(data.x_train, data.y_train, strict=True)
        ]
        seen = ~np.isnan(subset.scores)
        np.testing.assert_allclose(-subset.scores[seen], np.array(each)[seen], rtol=1e-9)
