"""What the tangent kernel says of every label: closed forms, and flips that are known, found without training."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

import qlazy
from qlazy.base.errors import ZeroJacobianError
from qlazy.data.labels import label_codes
from qlazy.tasks.subset import leave_one_out as module
from qlazy.tasks.subset.baselines import SmallLoss
from qlazy.tasks.subset.labels import margins
from qlazy.tasks.subset.leave_one_out import label_margins, leave_one_out, outputs_left_out
from qlazy.tasks.subset.selector import Task
from qlazy.training.losses import CrossEntropy, SquaredError


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_leave_one_out_is_fitting_without_one() -> None:
    """The closed form against n fits, the offset being the mean of all."""
    x = torch.randn(10, 4, generator=generator(), dtype=torch.float64)
    kernel, y = x @ x.T, torch.randn(10, 2, generator=generator(1), dtype=torch.float64)
    found, ridge = leave_one_out(kernel, y)
    for i in range(10):
        others = [j for j in range(10) if j != i]
        shifted = kernel[others][:, others] + ridge * torch.eye(9, dtype=torch.float64)
        fit = torch.linalg.solve(shifted, y[others] - y.mean(0))
        np.testing.assert_allclose(found[i], kernel[i, others] @ fit + y.mean(0), atol=1e-9)


def noisy(kind: str, share: float, seed: int):
    """A net on four digits or a circuit on two, labels flipped: the task, the data and who was hit."""
    if kind == "net":
        model, classes, loss = qlazy.mlp([8, 16, 4]), (3, 5, 8, 9), CrossEntropy()
        data = qlazy.load_data(
            "digits", classes=classes, features=8, train=300, test=10, seed=seed, scaling="standard"
        )
    else:
        model, classes, loss = (
            qlazy.load_circuit("strongly_entangling", n=4, layers=3),
            (3, 8),
            SquaredError(),
        )
        data = qlazy.load_data("digits", classes=classes, features=4, train=200, test=10, seed=seed)
    data, trusted = qlazy.subset.hold_out(data, 40, seed=seed)
    data, hit = qlazy.subset.flip_labels(data, share, seed=seed)
    params = model.init(generator(seed))
    return Task(model, params, data.x_train, data.y_train, loss, 1, trusted), data, hit


def test_margins_by_the_definition() -> None:
    """Sample by sample, with thresholds from a loop over the classes."""
    task, _, _ = noisy("net", 0.2, 0)
    task = dataclasses.replace(task, x=task.x[:40], y=task.y[:40])
    outputs, codes = outputs_left_out(task), label_codes(task.y)
    labels = codes.argmax(1).tolist()
    means = [
        float(torch.stack([outputs[i, j] for i in range(40) if labels[i] == j]).mean()) for j in range(4)
    ]
    for i, margin in enumerate(label_margins(task, generator())):
        excess = [float(outputs[i, j]) - means[j] for j in range(4)]
        other = max(excess[j] for j in range(4) if j != labels[i])
        assert float(margin) == pytest.approx(max(excess[labels[i]], 0) - other)


@pytest.mark.parametrize("kind", ["net", "circuit"])
@pytest.mark.parametrize(("share", "found"), [(0.1, 0.5), (0.3, 0.65)])
def test_precision_and_recall_at_known_flips(kind, share, found) -> None:
    """Means over three seeds: doubts are mostly right, more often than without thresholds, and find most flips."""
    precisions, plain, recalls = [], [], []
    for seed in range(20, 23):
        task, _, hit = noisy(kind, share, seed)
        doubted = label_margins(task, generator()) < 0
        against = margins(outputs_left_out(task), label_codes(task.y)) < 0
        precisions.append(float(hit[doubted].double().mean()))
        plain.append(float(hit[against].double().mean()))
        recalls.append(float((doubted & hit).sum() / hit.sum()))
    assert np.mean(precisions) > max(0.6, np.mean(plain) + 0.05)
    assert np.mean(recalls) > found


@pytest.mark.parametrize("kind", ["net", "circuit"])
def test_a_model_left_untrained_does_not_spoil_the_doubts(kind) -> None:
    """Small loss keeps a fifth, mostly of few classes: its model speaks against many labels that are right."""
    task, data, hit = noisy(kind, 0.2, 0)
    subset = qlazy.select_subset(
        task.model, data, fraction=0.2, selector=SmallLoss(), validation=task.validation, loss=task.loss,
        learning_rate=0.3, epochs=5, progress=False,
    )  # fmt: skip
    doubted = np.isin(np.arange(len(hit)), subset.label_issues)
    with torch.no_grad():
        outputs = task.model(torch.from_numpy(subset.params), task.x)
    trained = (margins(outputs, task.y) < 0).numpy()

    def precision(mask):
        return (mask & hit.numpy()).sum() / mask.sum()

    assert precision(doubted) > precision(trained) + 0.2
    assert (np.diff(subset.margins[subset.label_issues]) >= 0).all()


def test_many_examples_judge_each_other_in_parts(monkeypatch) -> None:
    task, _, hit = noisy("net", 0.2, 3)
    whole = label_margins(task, generator())
    monkeypatch.setattr(module, "ROWS", 100)
    parts = label_margins(task, generator(1))
    assert torch.equal(parts, label_margins(task, generator(1)))
    assert not torch.equal(parts, label_margins(task, generator(2)))
    assert float(((parts < 0) == (whole < 0)).double().mean()) > 0.85
    assert float(hit[parts < 0].double().mean()) > 0.7


def test_what_is_there_is_enough(monkeypatch) -> None:
    """One class, one sample, no trusted labels or trusted targets that are no labels: margins are numbers."""
    task, _, _ = noisy("net", 0.2, 0)
    alone = dataclasses.replace(task, x=task.x[:1], y=task.y[:1])
    one_class = dataclasses.replace(task, y=task.y[:1].expand_as(task.y))
    untrusted = dataclasses.replace(task, validation=None)
    soft = dataclasses.replace(task, validation=(task.validation[0], task.validation[1] / 2))
    for other in (alone, one_class, untrusted, soft):
        assert label_margins(other, generator()).isfinite().all()
    assert (label_margins(one_class, generator()) > 0).all()
    torch.testing.assert_close(label_margins(soft, generator()), label_margins(untrusted, generator()))


def test_a_model_that_ignores_its_parameters_is_refused_before_it_is_trained() -> None:
    still = qlazy.Function(lambda w, x: 0 * w.sum() + x[:, :4], 3)
    data = qlazy.load_data("digits", classes=(3, 5, 8, 9), features=4, train=20, test=10)
    with pytest.raises(ZeroJacobianError):
        qlazy.select_subset(still, data, selector=SmallLoss(), learning_rate=0.1, progress=False)
