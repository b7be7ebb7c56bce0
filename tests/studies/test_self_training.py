"""The study of self-training in its quick setting: one start and one data set for all learners, and what is shown."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from qlazy import accuracy
from qlazy.studies import find_study
from qlazy.studies.self_training.few_labels import LABELS, circuit_problem, net_problem, train
from qlazy.studies.self_training.learners import (
    CIRCUIT,
    HARD,
    LEARNERS,
    NET,
    ROUNDS,
    Recipe,
    accuracies,
    along,
)
from qlazy.studies.self_training.study import Settings, claims, gain, run
from qlazy.studies.self_training.tuning import CIRCUIT_GRID, NET_GRID, TuningGrid, tune
from qlazy.tasks.self_training import DifferentiableTeacher, NoTeacher, PseudoLabelTeacher
from qlazy.training.methods import Adam
from tests.drawing.looking import faults

QUICK = Settings.quick()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("self_training")
    return run(QUICK, folder, progress=False), folder


def test_every_learner_is_measured_on_every_task(finished):
    arrays = finished[0].arrays
    shapes = {name: array.shape for name, array in arrays.items()}
    assert shapes["net"] == shapes["net, DRIFT's settings"] == (5, QUICK.seeds)
    assert shapes["net, linearised"] == shapes["net, trained"] == (5, QUICK.linear_seeds)
    assert shapes["circuit"] == (5, QUICK.circuit_seeds)
    assert {"net, warm-up 0", "net, warm-up 10", "net, a = 3", "net, a = inf"} < shapes.keys()
    assert all(((array > 0) & (array <= 100)).all() for array in arrays.values())
    assert not any((array == array[0]).all() for array in arrays.values())


def test_gains_are_paired_over_the_seeds():
    """Differences of exactly two points at every seed have no error, whatever the seeds scatter by."""
    base = np.array([50.0, 70.0, 90.0])
    found = np.array([base, base + 1, base, base, base + 3])
    assert gain(found, "DRIFT", "hard labels") == (2.0, 0.0)
    assert gain(found, "DRIFT", "supervised") == (3.0, 0.0)


def test_a_few_seeds_claim_nothing_and_many_do(finished):
    assert all(finding.relation == "" for finding in finished[0].findings)
    found = np.random.default_rng(0).normal([[70], [71], [70.5], [72], [74]], 0.1, (5, 30))
    strong = claims(found)
    assert [f.relation for f in strong] == ["", ">=", ">=", ">=", ">=", ""]
    assert all(f.agrees for f in strong)
    assert all(f.disagrees for f in claims(found[[0, 4, 4, 2, 1]]) if f.relation)
    shift = np.array([[0], [-2], [0], [0], [2]])  # rounds at 74, own labels at 69, DRIFT at 72.5
    one_reading = [f.agrees for f in claims(found[[0, 1, 4, 3, 2]] + shift) if f.relation]
    assert one_reading == [True, True, False, False]


@pytest.mark.parametrize("make", [net_problem, circuit_problem])
def test_three_labels_a_class_and_no_input_twice(make):
    problem = make(40, 7)
    assert problem.data.y_train.sum(0).tolist() == [LABELS] * 4
    assert len(problem.unlabeled) == 40
    rows = torch.cat([problem.data.x_train, problem.unlabeled, problem.data.x_test])
    assert len(torch.unique(rows, dim=0)) == len(rows)


def test_scores_are_those_of_the_problem():
    """Steps of no length: the score is the accuracy of the start, side by side or one after the other."""
    problems = [net_problem(40, seed) for seed in (3, 4)]
    start = [100 * float(accuracy(p.model(p.start, p.data.x_test), p.data.y_test)) for p in problems]
    for learner in LEARNERS:
        for same in (problems, [problem.linearized() for problem in problems]):
            assert accuracies(same, learner, Recipe(1e-12, 1.0, 0, 2, 2)).tolist() == pytest.approx(start)


def test_rounds_are_students_taught_by_the_one_before():
    """Two rounds by hand: a teacher from labels alone; each student starts where the first did."""
    problem = net_problem(40, 5)
    method, hard = Adam(0.02), PseudoLabelTeacher(alpha=1.0, strength=2.0)
    teacher = train([problem], NoTeacher(), method, 15, 0, ())[0]
    expected = []
    for _ in range(2):
        teacher = train([problem], hard, method, 10, 0, (), [torch.from_numpy(teacher.student)])[0]
        expected.append(100 * teacher.student_accuracy[-1])
    found = along([problem], ROUNDS, Recipe(0.02, 2.0, 15, 20, 2), (10, 20))
    assert [float(found[step][0]) for step in (10, 20)] == expected
    assert expected[0] != expected[1]


def test_large_scales_approach_the_linear_model():
    """With steps as 1/a, outputs after a few steps differ from the limit by O(1/a).

    Adam keeps its epsilon: the gradient of the last biases is zero by symmetry, and its rounding error is not.
    """
    problem = net_problem(60, 3, torch.float64)

    def outputs(alpha: float) -> torch.Tensor:
        at = problem.at_scale(alpha)
        learning_rate = 0.01 if math.isinf(alpha) else 0.01 / alpha
        trained = train([at], DifferentiableTeacher(), Adam(learning_rate), 8, 4, ())[0]
        with torch.no_grad():
            return at.model(torch.from_numpy(trained.student), at.data.x_test)

    limit = outputs(math.inf)
    gaps = [float((outputs(alpha) - limit).norm()) for alpha in (30.0, 300.0)]
    assert gaps[1] == pytest.approx(gaps[0] / 10, rel=0.2)
    assert gaps[0] < 0.1 * float(limit.norm())


def test_tuning_keeps_the_best_of_everything_tried():
    """Every combination run on its own, from the formula of the grid: none is better than the one chosen."""
    grid = TuningGrid(net_problem, (0.001, 0.05), (0.3, 3.0), (0, 10), (5, 20), 10, seeds=2, unlabeled=40)
    tuned = tune(grid, progress=False)
    problems = [net_problem(40, seed) for seed in (100, 101)]
    tried = [
        Recipe(learning_rate, strength, warmup, steps)
        for learning_rate in (0.001, 0.05) for strength in (0.3, 3.0) for warmup in (0, 10) for steps in (5, 20)
        if steps > warmup
    ]  # fmt: skip
    means = [accuracies(problems, HARD, recipe).mean() for recipe in tried]
    assert tuned.recipes[HARD] in tried
    assert tuned.accuracies[HARD].mean() == pytest.approx(max(means))
    assert tuned.accuracies[HARD].tolist() == pytest.approx(
        accuracies(problems, HARD, tuned.recipes[HARD]).tolist()
    )
    again = accuracies(problems, ROUNDS, tuned.recipes[ROUNDS])
    assert tuned.accuracies[ROUNDS].tolist() == pytest.approx(again.tolist())
    assert str(tuned.recipes["DRIFT"]) in str(tuned)


@pytest.mark.parametrize(("recipes", "grid"), [(NET, NET_GRID), (CIRCUIT, CIRCUIT_GRID)])
def test_every_setting_is_one_of_the_grid_and_no_seed_is_used_twice(recipes, grid):
    full = Settings.full()
    assert grid.first_seed + grid.seeds <= full.first_seed
    for learner, recipe in recipes.items():
        assert recipe.learning_rate in grid.rates
        assert recipe.strength in grid.strengths
        assert recipe.warmup in grid.warmups
        if learner == ROUNDS:
            assert recipe.steps == recipe.rounds * grid.round_steps
        else:
            assert recipe.steps in grid.steps


def test_tables_and_figures(finished):
    result, folder = finished
    assert (folder / "table.txt").read_text() == f"{result.table()}\n"
    assert len(result.tables) == 7
    assert {path.name for path in folder.glob("*.png")} == {"gains.png", "settings.png"}


def test_figures_have_no_faults(finished):
    """Nothing is cut, covered or bare, and each has a caption of its own."""
    result, _ = finished
    assert faults(find_study("self_training").figures(result)) == []
