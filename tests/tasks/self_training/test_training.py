"""The loop: against bare loops, its limits, that dtype is kept, what it refuses, and what a result keeps."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
import torch

import qlazy
from qlazy import Adam, CrossEntropy, GradientDescent, Logistic
from qlazy.base.errors import NotFiniteError
from qlazy.base.storage import save_arrays
from qlazy.tasks.self_training import (
    DifferentiableTeacher,
    NoTeacher,
    PseudoLabelTeacher,
    SelfTrained,
    StopGradientTeacher,
)
from qlazy.training.history import DivergedError
from qlazy.training.loop import Record

METHODS = [GradientDescent(), GradientDescent(0.2), Adam(0.02)]


@pytest.fixture(scope="module")
def problem():
    data = qlazy.load_data("digits", classes=(3, 5, 8), features=4, train=90, test=60, scaling="standard")
    labeled = dataclasses.replace(data, x_train=data.x_train[:12], y_train=data.y_train[:12])
    return qlazy.mlp([4, 6, 3]), labeled, data.x_train[12:]


def learn(problem, **settings) -> SelfTrained:
    model, data, unlabeled = problem
    defaults = {"steps": 12, "warmup": 3, "method": Adam(0.05), "progress": False}
    return qlazy.self_train(model, data, unlabeled, **{**defaults, **settings})


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_without_a_teacher_it_is_training(problem, method) -> None:
    """The path of qlazy.train with the cross-entropy, to the last bit, and its exponential average."""
    model, data, _ = problem
    start = model.init(torch.Generator().manual_seed(3))
    every = Record(at=tuple(range(13)))
    got = learn(problem, teacher=NoTeacher(0.7), method=method, params=start, record=every)
    trace = qlazy.train(model, start, data, steps=12, loss=CrossEntropy(), method=method, record=every)
    np.testing.assert_array_equal(got.student, trace.params[-1])
    np.testing.assert_array_equal(got.supervised_loss, trace.train_loss)
    average = trace.params[0]
    for params in trace.params:
        average = 0.7 * average + 0.3 * params
    np.testing.assert_allclose(got.teacher, average, rtol=1e-13)


@pytest.mark.parametrize(
    "teacher", [StopGradientTeacher(), PseudoLabelTeacher(), DifferentiableTeacher()], ids=repr
)
def test_without_strength_no_teacher_teaches(problem, teacher) -> None:
    alone = learn(problem, teacher=NoTeacher())
    muted = learn(problem, teacher=dataclasses.replace(teacher, strength=0.0))
    np.testing.assert_array_equal(muted.student, alone.student)
    warm = learn(problem, teacher=dataclasses.replace(teacher, strength=5.0), warmup=12)
    np.testing.assert_array_equal(warm.student, alone.student)


def test_the_path_is_that_of_a_bare_loop(problem) -> None:
    """Both players written out with autograd through T(S), gradient descent."""
    model, data, unlabeled = problem
    student = model.init(torch.Generator().manual_seed(0))
    old = student
    for step in range(13):
        leaf = student.clone().requires_grad_()
        follower = 0.4 * old + 0.6 * leaf
        loss = torch.nn.functional.cross_entropy(model(leaf, data.x_train), data.y_train)
        if step >= 3:
            q = (model(follower, unlabeled) / 0.5).softmax(1)
            weight = 1 - torch.distributions.Categorical(probs=q).entropy() / np.log(3)
            log_p = model(leaf, unlabeled).log_softmax(1)
            loss = (
                loss + 2.0 * (weight * torch.nn.functional.kl_div(log_p, q, reduction="none").sum(1)).mean()
            )
        old = follower.detach()
        if step < 12:
            student = student - 0.3 * torch.autograd.grad(loss, leaf)[0]
    got = learn(problem, teacher=DifferentiableTeacher(0.4, 0.5, 2.0), method=GradientDescent(0.3))
    np.testing.assert_allclose(got.student, student.numpy(), rtol=1e-9)
    np.testing.assert_allclose(got.teacher, old.numpy(), rtol=1e-9)


def test_a_slow_teacher_cannot_be_led(problem) -> None:
    """As alpha -> 1 the interaction vanishes as 1 - alpha, and with it the distance of the two students."""
    distances = []
    for alpha in (0.9999, 0.99999):
        stopped, led = (
            learn(problem, teacher=kind(alpha), method=GradientDescent(0.3)).student
            for kind in (StopGradientTeacher, DifferentiableTeacher)
        )
        distances.append(np.linalg.norm(stopped - led))
    assert distances[0] > 0
    assert distances[1] == pytest.approx(distances[0] / 10, rel=0.01)


def test_linearised_players_are_linear_players(problem) -> None:
    """Linearising twice changes nothing; and at the anchor the linearised model takes the same first step."""
    model, data, unlabeled = problem
    anchor = model.init(torch.Generator().manual_seed(1))
    linear = qlazy.Linearized(model, anchor)
    settings = {
        "params": anchor,
        "teacher": DifferentiableTeacher(),
        "method": GradientDescent(0.3),
        "warmup": 0,
    }
    once = learn((linear, data, unlabeled), **settings)
    twice = learn((qlazy.Linearized(linear, torch.from_numpy(once.student)), data, unlabeled), **settings)
    np.testing.assert_allclose(twice.student, once.student, rtol=1e-9)
    first = [learn((m, data, unlabeled), **{**settings, "steps": 1}).student for m in (model, linear)]
    np.testing.assert_allclose(*first, rtol=1e-12)


def test_a_circuit_with_one_output_learns_from_signs() -> None:
    data = qlazy.load_data("digits", features=3, train=40, test=40)
    labeled = dataclasses.replace(data, x_train=data.x_train[:8], y_train=data.y_train[:8])
    circuit = qlazy.from_qasm(
        "include 'stdgates.inc'; input array[float[64], 3] x; input array[float[64], 6] w; qubit[3] q;"
        "for int i in [0:2] { rx(x[i]) q[i]; ry(w[i]) q[i]; } cx q[0], q[1]; cx q[1], q[2];"
        "for int i in [0:2] { ry(w[i + 3]) q[i]; }",
        observables=("Z q[2]",), data=("x",),
    )  # fmt: skip
    model = qlazy.Scaled(circuit, 4.0)
    trained = learn((model, labeled, data.x_train[8:]), steps=20, warmup=5)
    alone = learn((model, labeled, data.x_train[8:]), steps=20, warmup=5, teacher=NoTeacher())
    trace = qlazy.train(
        model,
        model.init(torch.Generator().manual_seed(0)),
        labeled,
        steps=20,
        loss=Logistic(),
        method=Adam(0.05),
    )
    np.testing.assert_allclose(alone.student, trace.params[-1], rtol=1e-10)
    assert trained.interaction[-1] > 0
    assert trained.supervised_loss[-1] < trained.supervised_loss[0]


def test_float32_is_kept(problem) -> None:
    model, data, unlabeled = problem
    exact = learn(problem)
    single = learn((model, data.to(torch.float32), unlabeled.float()))
    assert single.student.dtype == single.teacher.dtype == np.float32
    assert single.settings["dtype"] == "float32"
    np.testing.assert_allclose(single.student, exact.student, atol=1e-3)


def test_the_start_and_the_data_are_left_alone(problem) -> None:
    model, data, unlabeled = problem
    start = model.init(torch.Generator().manual_seed(0))
    kept = [t.clone() for t in (start, data.x_train, unlabeled)]
    state = torch.get_rng_state()
    learn(problem, params=start)
    for before, after in zip(kept, (start, data.x_train, unlabeled), strict=True):
        assert torch.equal(before, after)
    assert torch.equal(state, torch.get_rng_state())


def test_accuracies_are_those_of_the_players(problem) -> None:
    model, data, unlabeled = problem
    got = learn(problem)
    for params, right in ((got.student, got.student_accuracy), (got.teacher, got.teacher_accuracy)):
        outputs = model(torch.from_numpy(params), data.x_test)
        assert right[-1] == float(qlazy.accuracy(outputs, data.y_test))
    pair = learn((model, (data.x_train, data.y_train), unlabeled))
    np.testing.assert_array_equal(pair.student, got.student)
    assert np.isnan(pair.student_accuracy).all()
    assert "accuracy" not in pair.table()


def test_a_result_is_kept_bit_for_bit(problem, tmp_path) -> None:
    got = learn(problem)
    got.save(tmp_path / "run.npz")
    back = SelfTrained.load(tmp_path / "run.npz")
    for entry in dataclasses.fields(SelfTrained):
        a, b = getattr(got, entry.name), getattr(back, entry.name)
        assert a == b if entry.name == "settings" else a.tobytes() == b.tobytes(), entry.name
    assert back.table() == got.table()
    assert repr(got) in got._repr_html_().replace("&#x27;", "'")
    save_arrays(tmp_path / "other.npz", {"x": np.zeros(1)}, {})
    with pytest.raises(ValueError, match=r"other.npz` must be a self-training result"):
        SelfTrained.load(tmp_path / "other.npz")


def test_the_table_has_a_line_for_each_recorded_step(problem) -> None:
    lines = learn(problem, record=Record(at=(0, 5))).table().splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["0", "5", "12"]
    assert "interaction" in lines[0]


def test_progress_is_shown_and_silenced(problem, capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    learn(problem, progress=True)
    assert "DifferentiableTeacher" in capsys.readouterr().err
    learn(problem, progress=False)
    assert capsys.readouterr().err == ""


def test_a_run_that_runs_away_says_where(problem) -> None:
    with pytest.raises(DivergedError, match="at step") as caught:
        learn(problem, method=GradientDescent(1e308), warmup=0)
    assert caught.value.step >= 1


def broken(problem, **changes):
    model, data, unlabeled = problem
    parts = {"x": data.x_train, "y": data.y_train, "unlabeled": unlabeled, **changes}
    return model, (parts["x"], parts["y"]), parts["unlabeled"]


def test_data_that_do_not_fit_are_refused(problem) -> None:
    _, data, unlabeled = problem
    y, x = data.y_train, data.x_train
    refusals = [
        ({"unlabeled": unlabeled[:0]}, ValueError, "`unlabeled` must hold at least one sample"),
        ({"unlabeled": unlabeled[:, :3]}, ValueError, "`unlabeled` must have rows of shape"),
        ({"unlabeled": unlabeled.numpy()}, ValueError, "`unlabeled` must be a torch tensor"),
        ({"unlabeled": unlabeled.float()}, ValueError, "dtype"),
        (
            {"unlabeled": unlabeled.where(unlabeled < 1, torch.nan)},
            NotFiniteError,
            "`unlabeled` must be finite",
        ),
        ({"y": y[:, :2]}, ValueError, "`y` must have shape"),
        ({"y": y.argmax(1)}, ValueError, "`y` must"),
        ({"y": y * 0.5}, ValueError, "`y` must have one-hot rows"),
        ({"y": y.float()}, ValueError, "dtype"),
        ({"x": x.where(x < 1, torch.inf)}, NotFiniteError, "`x` must be finite"),
        ({"x": x[:0], "y": y[:0]}, ValueError, "`x` must hold at least one sample"),
    ]
    for changes, error, message in refusals:
        with pytest.raises(error, match=message):
            learn(broken(problem, **changes), params=problem[0].init(torch.Generator().manual_seed(0)))


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"steps": 0}, ValueError, "`steps` must be a whole number, 1 or more"),
        ({"steps": 1.5}, ValueError, "`steps`"),
        ({"warmup": -1}, ValueError, "`warmup` must be a whole number, 0 or more"),
        ({"warmup": 13}, ValueError, "`warmup` must be at most 12"),
        ({"teacher": "drift"}, TypeError, "`teacher` must be a Teacher"),
        ({"teacher": DifferentiableTeacher}, TypeError, "`teacher` must be a Teacher"),
        ({"method": qlazy.LBFGS()}, TypeError, "`method` must be GradientDescent or Adam"),
        ({"params": torch.zeros(3, dtype=torch.float64)}, ValueError, "params"),
        ({"record": Record(at=(99,))}, ValueError, "`at`"),
    ],
)
def test_settings_that_do_not_fit_are_refused(problem, settings, error, message) -> None:
    with pytest.raises(error, match=message):
        learn(problem, **settings)


def test_a_test_part_that_cannot_be_scored_is_refused_before_the_run(problem) -> None:
    model, data, unlabeled = problem
    with pytest.raises(ValueError, match="`y_test` must hold labels"):
        learn((model, dataclasses.replace(data, y_test=data.y_test * 0.5), unlabeled))


def test_a_trained_teacher_that_stays_is_a_data_set_of_its_labels(problem) -> None:
    """alpha = 1 from parameters of its own: descent on the cross-entropy with the labels written out once."""
    model, data, unlabeled = problem
    trained = torch.from_numpy(learn(problem, teacher=NoTeacher(), steps=12, warmup=0).student)
    told = model(trained, unlabeled).argmax(1)
    student = model.init(torch.Generator().manual_seed(5))
    got = learn(
        problem, teacher=PseudoLabelTeacher(alpha=1.0, strength=2.0), method=GradientDescent(0.3), warmup=0,
        params=student, teacher_params=trained,
    )  # fmt: skip
    for _ in range(12):
        leaf = student.clone().requires_grad_()
        loss = torch.nn.functional.cross_entropy(model(leaf, data.x_train), data.y_train)
        loss = loss + 2.0 * torch.nn.functional.cross_entropy(model(leaf, unlabeled), told)
        student = student - 0.3 * torch.autograd.grad(loss, leaf)[0]
    np.testing.assert_allclose(got.student, student.numpy(), rtol=1e-9)
    np.testing.assert_array_equal(got.teacher, trained.numpy())


def test_a_teacher_of_another_model_is_refused(problem) -> None:
    with pytest.raises(ValueError, match="`teacher_params` must have shape"):
        learn(problem, teacher_params=torch.zeros(3, dtype=torch.float64))
    start = problem[0].init(torch.Generator().manual_seed(0))
    with pytest.raises(NotFiniteError, match="`teacher_params` must be finite"):
        learn(problem, teacher_params=start * torch.nan)
    with pytest.raises(ValueError, match="`teacher_params` must have the dtype"):
        learn(problem, teacher_params=start.float())
