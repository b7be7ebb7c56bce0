"""Runs side by side: each is the run that it would have been alone, whatever stands beside it."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
import torch

import qlazy
from qlazy import Adam, GradientDescent
from qlazy.base.errors import NotFiniteError
from qlazy.tasks.self_training import (
    DifferentiableTeacher,
    NoTeacher,
    PseudoLabelTeacher,
    StopGradientTeacher,
)
from qlazy.training.history import DivergedError
from qlazy.training.loop import Record

LANES = 3
TEACHERS = [
    NoTeacher(),
    PseudoLabelTeacher(),
    PseudoLabelTeacher(alpha=1.0),
    StopGradientTeacher(0.3),
    DifferentiableTeacher(0.7),
]


def net_lanes():
    model = qlazy.mlp([4, 6, 3])
    sets = [
        qlazy.load_data("digits", classes=(3, 5, 8), features=4, train=42, test=30, scaling="none", seed=seed)
        for seed in range(LANES)
    ]
    few = [dataclasses.replace(d, x_train=d.x_train[:12] / 16, y_train=d.y_train[:12]) for d in sets]
    return model, few, [d.x_train[12:] / 16 for d in sets]


def circuit_lanes():
    text = (
        "include 'stdgates.inc'; input array[float[64], 3] x; input array[float[64], 3] w; qubit[3] q;"
        "for int i in [0:2] { rx(x[i]) q[i]; ry(w[i]) q[i]; } cx q[0], q[1]; cx q[1], q[2];"
    )
    circuit = qlazy.Scaled(qlazy.from_qasm(text, observables=("Z q[2]",), data=("x",)), 3.0)
    sets = [qlazy.load_data("digits", features=3, train=16, test=10, seed=seed) for seed in range(LANES)]
    few = [dataclasses.replace(d, x_train=d.x_train[:6], y_train=d.y_train[:6]) for d in sets]
    return circuit, few, [d.x_train[6:] for d in sets]


def starts(model, first: int = 0):
    return [model.init(torch.Generator().manual_seed(first + lane)) for lane in range(LANES)]


def agree(together, alone) -> None:
    for entry in dataclasses.fields(alone):
        got, expected = getattr(together, entry.name), getattr(alone, entry.name)
        if entry.name == "settings":
            assert got == expected
        else:
            np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12, err_msg=entry.name)


@pytest.mark.parametrize("teacher", TEACHERS, ids=repr)
@pytest.mark.parametrize("make", [net_lanes, circuit_lanes])
def test_every_lane_is_the_run_alone(make, teacher) -> None:
    """Gradient descent, whose steps are continuous in the gradient: students, losses, norms, accuracies."""
    model, data, unlabeled = make()
    settings = {
        "teacher": teacher, "steps": 12, "warmup": 3, "method": GradientDescent(0.3), "progress": False,
        "record": Record(at=(0, 5)),
    }  # fmt: skip
    params, others = starts(model), starts(model, 10)
    together = qlazy.self_training.self_train_batched(
        model, data, unlabeled, params, teacher_params=others, **settings
    )
    assert len(together) == LANES
    for lane, got in enumerate(together):
        alone = qlazy.self_train(
            model, data[lane], unlabeled[lane], params=params[lane], teacher_params=others[lane], **settings
        )
        agree(got, alone)
    assert not np.allclose(together[0].student, together[1].student)


def test_adam_keeps_its_averages_lane_by_lane() -> None:
    model, data, unlabeled = net_lanes()
    settings = {"steps": 20, "warmup": 5, "method": Adam(0.02), "progress": False}
    together = qlazy.self_training.self_train_batched(model, data, unlabeled, starts(model), **settings)
    for lane, start in enumerate(starts(model)):
        agree(together[lane], qlazy.self_train(model, data[lane], unlabeled[lane], params=start, **settings))


def test_the_number_of_lanes_changes_none() -> None:
    model, data, unlabeled = net_lanes()
    settings = {"steps": 8, "warmup": 0, "method": GradientDescent(0.3), "progress": False}
    three = qlazy.self_training.self_train_batched(model, data, unlabeled, starts(model), **settings)
    one = qlazy.self_training.self_train_batched(
        model, data[1:2], unlabeled[1:2], starts(model)[1:2], **settings
    )
    np.testing.assert_allclose(one[0].student, three[1].student, rtol=1e-10)


def test_a_lane_that_runs_away_is_named() -> None:
    model, data, unlabeled = net_lanes()
    params = starts(model)
    params[2] = params[2] * 1e160
    with pytest.raises(DivergedError, match="at step 1 in run") as caught:
        qlazy.self_training.self_train_batched(
            model, data, unlabeled, params, method=GradientDescent(1e308), warmup=0, steps=3, progress=False
        )
    assert caught.value.step == 1


def test_progress_is_shown_and_silenced(capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    model, data, unlabeled = net_lanes()
    for progress in (True, False):
        qlazy.self_training.self_train_batched(
            model, data, unlabeled, starts(model), steps=2, warmup=0, progress=progress
        )
        assert ("3 runs" in capsys.readouterr().err) == progress


def test_what_does_not_fit_is_refused() -> None:
    model, data, unlabeled = net_lanes()
    params = starts(model)
    longer = [*unlabeled[:2], torch.cat([unlabeled[2]] * 2)]
    bad = [params[0], params[1], params[2].where(params[2] < 0, torch.nan)]
    refusals = [
        ((data, unlabeled, []), {}, ValueError, "`params` must hold the start of at least one run"),
        ((data[:2], unlabeled, params), {}, ValueError, "`data` must have 3 entries"),
        ((data, unlabeled[:1], params), {}, ValueError, "`unlabeled` must have 3 entries"),
        ((data, longer, params), {}, ValueError, "`unlabeled` must have shape"),
        ((data, unlabeled, bad), {}, NotFiniteError, "`params` must be finite"),
        (
            (data, unlabeled, params),
            {"teacher_params": params[:1]},
            ValueError,
            "`teacher_params` must have 3",
        ),
        (
            (data, unlabeled, params),
            {"method": GradientDescent()},
            ValueError,
            "`method` must have a learning rate",
        ),
        ((data, unlabeled, params), {"warmup": 400}, ValueError, "`warmup`"),
    ]
    for given, settings, error, message in refusals:
        with pytest.raises(error, match=message):
            qlazy.self_training.self_train_batched(model, *given, progress=False, **settings)
