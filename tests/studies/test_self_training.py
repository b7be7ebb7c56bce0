"""The study of self-training in its quick setting: one start and one data set for all learners, and what is shown."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from qlazy import accuracy
from qlazy.methods import Adam
from qlazy.studies import self_training
from qlazy.studies.self_training import LEARNERS, Settings, circuit_problem, gain, net_problem, run, score

QUICK = Settings.quick()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("self_training")
    return run(QUICK, folder, progress=False), folder


def test_every_learner_is_measured_on_every_task(finished):
    arrays = finished[0].arrays
    shapes = {name: array.shape for name, array in arrays.items()}
    assert shapes["net"] == shapes["net, linearised"] == (4, QUICK.seeds)
    assert shapes["circuit"] == shapes["circuit, linearised"] == (4, QUICK.circuit_seeds)
    assert {"net, warm-up 0", "net, a = 3", "net, a = inf"} < shapes.keys()
    assert all(((array > 0) & (array <= 100)).all() for array in arrays.values())
    assert not any((array == array[0]).all() for array in arrays.values())


def test_gains_are_paired_over_the_seeds():
    """Differences of exactly two points at every seed have no error, whatever the seeds scatter by."""
    base = np.array([50.0, 70.0, 90.0])
    accuracies = np.array([base, base + 1, base, base + 3])
    assert gain(accuracies, "DRIFT", "hard labels") == (2.0, 0.0)
    assert gain(accuracies, "DRIFT", "supervised") == (3.0, 0.0)


def test_a_few_seeds_claim_nothing_and_many_do(finished):
    assert all(finding.relation == "" for finding in finished[0].findings)
    accuracies = np.random.default_rng(0).normal([[70], [71], [72], [74]], 0.1, (4, 30))
    strong = self_training._findings({"net": accuracies}, Settings(), "net")
    assert [f.relation for f in strong] == ["", ">=", ">=", ""]
    assert all(f.agrees for f in strong)
    weak = self_training._findings({"net": accuracies[[0, 3, 2, 1]]}, Settings(), "net")
    assert not any(f.agrees for f in weak if f.relation)


@pytest.mark.parametrize("make", [net_problem, circuit_problem])
def test_three_labels_a_class_and_no_input_twice(make):
    problem = make(QUICK, 7)
    assert problem.data.y_train.sum(0).tolist() == [QUICK.labels] * 4
    assert len(problem.unlabelled) == QUICK.unlabelled
    rows = torch.cat([problem.data.x_train, problem.unlabelled, problem.data.x_test])
    assert len(torch.unique(rows, dim=0)) == len(rows)


def test_scores_are_those_of_the_problem():
    """One step of no length: the score is the accuracy of the start, and of the same problem linearised there."""
    problem = net_problem(QUICK, 3)
    with torch.no_grad():
        start = 100 * float(accuracy(problem.model(problem.start, problem.data.x_test), problem.data.y_test))
    for learner in LEARNERS:
        assert score(problem, learner, Adam(1e-12), 1, 0) == start
        assert score(problem.linearised(), learner, Adam(1e-12), 1, 0) == start


def test_large_scales_approach_the_linear_model():
    """With steps as 1/a, outputs after a few steps differ from the limit by O(1/a).

    Adam keeps its epsilon: the gradient of the last biases is zero by symmetry, and its rounding error is not.
    """
    problem = net_problem(QUICK, 3)

    def outputs(alpha: float) -> torch.Tensor:
        at = problem.at_scale(alpha)
        rate = 0.01 if math.isinf(alpha) else 0.01 / alpha
        trained = self_training.self_train(
            at.model, at.data, at.unlabelled, steps=8, warmup=4, method=Adam(rate),
            params=at.start, progress=False,
        )  # fmt: skip
        with torch.no_grad():
            return at.model(torch.from_numpy(trained.student), at.data.x_test)

    limit = outputs(math.inf)
    gaps = [float((outputs(alpha) - limit).norm()) for alpha in (30.0, 300.0)]
    assert gaps[1] == pytest.approx(gaps[0] / 10, rel=0.2)
    assert gaps[0] < 0.1 * float(limit.norm())


def test_tables_and_figures(finished):
    result, folder = finished
    assert (folder / "table.txt").read_text() == f"{result.table()}\n"
    assert len(result.tables) == 2
    assert {path.name for path in folder.glob("*.png")} == {"gains.png", "settings.png"}
