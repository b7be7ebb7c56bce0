"""Who learns from few labels, each with settings of its own, chosen by one rule from one grid.

Plain self-training with hard labels has two readings, and both stand here: the student's own most probable class, anew
at every step (Lee 2013); and rounds, in which a trained teacher labels all inputs once and a student starts afresh on
them, to be the teacher of the next round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from qlazy.studies.self_training.few_labels import Problem, train
from qlazy.tasks.self_training.result import SelfTrained
from qlazy.tasks.self_training.teachers import (
    DifferentiableTeacher,
    NoTeacher,
    PseudoLabelTeacher,
    StopGradientTeacher,
    Teacher,
)
from qlazy.training.methods import Adam

SUPERVISED, HARD, ROUNDS, STOPPED, DRIFT = LEARNERS = (
    "supervised", "hard labels", "hard, in rounds", "stopped", "DRIFT"
)  # fmt: skip

Accuracies = NDArray[np.float64]


@dataclass(frozen=True)
class Recipe:
    """How one learner trains: Adam's rate, the factor lambda of the lessons, steps on labels alone before them, steps.

    In rounds ``steps`` are shared out among ``rounds`` students, and ``warmup`` is the training of the first teacher.
    """

    learning_rate: float
    strength: float
    warmup: int
    steps: int
    rounds: int = 1

    def within(self, steps: int) -> Recipe:
        """The same, of no more steps than so many; half of them may be warm-up."""
        if self.steps <= steps:
            return self
        return replace(self, steps=steps, warmup=min(self.warmup, steps // 2), rounds=min(self.rounds, steps))

    def __str__(self) -> str:
        rounds = f" in {self.rounds} rounds" if self.rounds > 1 else ""
        settings = f"rate {self.learning_rate:g}, lambda {self.strength:g}, warm-up {self.warmup}"
        return f"{settings}, steps {self.steps}{rounds}"


NET: Mapping[str, Recipe] = {
    SUPERVISED: Recipe(0.003, 0.1, 0, 300),
    HARD: Recipe(0.003, 10.0, 100, 200),
    ROUNDS: Recipe(0.003, 0.1, 100, 900, 3),
    STOPPED: Recipe(0.003, 0.1, 0, 1000),
    DRIFT: Recipe(0.003, 0.3, 0, 1000),
}
"""For the net, as :mod:`qlazy.studies.self_training.tuning` chooses from its grid on seeds 100 to 159."""

CIRCUIT: Mapping[str, Recipe] = {
    SUPERVISED: Recipe(0.03, 0.1, 0, 200),
    HARD: Recipe(0.1, 0.3, 0, 100),
    ROUNDS: Recipe(0.1, 1.0, 100, 200, 2),
    STOPPED: Recipe(0.1, 3.0, 30, 150),
    DRIFT: Recipe(0.03, 1.0, 100, 200),
}
"""For the circuit, likewise on seeds 100 to 123."""

COMMON = Recipe(0.01, 1.0, 30, 300)
"""One setting for all where it is the warm-up, the linearisation or the scale that changes."""


def accuracies(problems: Sequence[Problem], learner: str, recipe: Recipe) -> Accuracies:
    """Accuracy of the student on the test part at the end, %, of each problem."""
    return along(problems, learner, recipe, (recipe.steps,))[recipe.steps]


def along(
    problems: Sequence[Problem], learner: str, recipe: Recipe, at: Sequence[int]
) -> Mapping[int, Accuracies]:
    """The same after each of the steps ``at``; in rounds after each round."""
    if learner == ROUNDS:
        return _rounds(problems, recipe)
    runs = train(
        problems,
        _teacher(learner, recipe.strength),
        Adam(recipe.learning_rate),
        recipe.steps,
        recipe.warmup,
        at,
    )
    return {step: _scores(runs, step) for step in at}


def _rounds(problems: Sequence[Problem], recipe: Recipe) -> dict[int, Accuracies]:
    method, size = Adam(recipe.learning_rate), recipe.steps // recipe.rounds
    teachers = [problem.start for problem in problems]
    if recipe.warmup:
        first = train(problems, NoTeacher(), method, recipe.warmup, 0, (recipe.warmup,))
        teachers = [torch.from_numpy(run.student) for run in first]
    found = {}
    for number in range(1, recipe.rounds + 1):
        runs = train(
            problems,
            PseudoLabelTeacher(alpha=1.0, strength=recipe.strength),
            method,
            size,
            0,
            (size,),
            teachers,
        )
        teachers = [torch.from_numpy(run.student) for run in runs]
        found[recipe.steps if number == recipe.rounds else number * size] = _scores(runs, size)
    return found


def _teacher(learner: str, strength: float) -> Teacher:
    """Temperature and alpha are one half throughout, as on the reference page of this study."""
    return {
        SUPERVISED: NoTeacher(),
        HARD: PseudoLabelTeacher(strength=strength),
        STOPPED: StopGradientTeacher(strength=strength),
        DRIFT: DifferentiableTeacher(strength=strength),
    }[learner]


def _scores(runs: Sequence[SelfTrained], step: int) -> Accuracies:
    return np.array([100 * float(run.student_accuracy[run.steps == step][0]) for run in runs])
