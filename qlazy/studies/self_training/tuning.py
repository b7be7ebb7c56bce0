"""Settings for every learner by one rule: the best mean test accuracy over tuning seeds, from one grid for all.

    from qlazy.studies.self_training.tuning import NET_GRID, tune
    print(tune(NET_GRID))

Tuning seeds are never those of the study, but they split the same pool of images. The supervised learner has no
lessons and only a rate and steps to choose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import final

import numpy as np

from qlazy.base.execution import progress_bar
from qlazy.base.tables import Table
from qlazy.studies.result import mean_and_error
from qlazy.studies.self_training.few_labels import Problem, circuit_problem, net_problem
from qlazy.studies.self_training.learners import LEARNERS, ROUNDS, SUPERVISED, Accuracies, Recipe, along


@dataclass(frozen=True)
class TuningGrid:
    """Every combination of these is tried, on ``seeds`` problems from ``first_seed`` on.

    ``steps`` are points of one run, as long as the last of them; in rounds every round has ``round_steps``.
    """

    make: Callable[[int, int], Problem]
    rates: tuple[float, ...]
    strengths: tuple[float, ...]
    warmups: tuple[int, ...]
    steps: tuple[int, ...]
    round_steps: int
    seeds: int
    first_seed: int = 100
    unlabeled: int = 300

    def recipes(self, learner: str) -> Iterator[tuple[Recipe, tuple[int, ...]]]:
        """The longest recipes, and the steps at which each is looked at."""
        alone = learner == SUPERVISED
        rounds = self.steps[-1] // self.round_steps
        for learning_rate, strength, warmup in product(
            self.rates, self.strengths[:1] if alone else self.strengths, (0,) if alone else self.warmups
        ):
            recipe = Recipe(learning_rate, strength, warmup, self.steps[-1])
            if learner == ROUNDS:
                whole = replace(recipe, steps=rounds * self.round_steps, rounds=rounds)
                yield whole, tuple(self.round_steps * (i + 1) for i in range(rounds))
            else:
                yield recipe, tuple(step for step in self.steps if step > warmup)


NET_GRID = TuningGrid(
    net_problem,
    (0.003, 0.01, 0.03),
    (0.1, 0.3, 1.0, 3.0, 10.0),
    (0, 30, 100),
    (100, 200, 300, 600, 1000),
    300,
    60,
)
CIRCUIT_GRID = TuningGrid(
    circuit_problem, (0.01, 0.03, 0.1), (0.1, 0.3, 1.0, 3.0), (0, 30, 100), (50, 100, 150, 200), 100, 24
)


@final
@dataclass(frozen=True, eq=False)
class Tuned:
    """The recipe each learner comes out with, and its accuracies on the tuning seeds."""

    recipes: Mapping[str, Recipe]
    accuracies: Mapping[str, Accuracies]

    def table(self) -> Table:
        rows = []
        for learner, recipe in self.recipes.items():
            mean, error = mean_and_error(self.accuracies[learner])
            rows.append((learner, str(recipe), f"{mean:.2f} ± {error:.2f}"))
        return Table(
            "best mean test accuracy on the tuning seeds, %", ("learner", "settings", "accuracy"), tuple(rows)
        )

    def __str__(self) -> str:
        return str(self.table())


def tune(grid: TuningGrid, learners: tuple[str, ...] = LEARNERS, progress: bool = True) -> Tuned:
    """The recipe of the grid with the highest mean accuracy, the first of those that tie, for each learner."""
    problems = [grid.make(grid.unlabeled, grid.first_seed + i) for i in range(grid.seeds)]
    recipes: dict[str, Recipe] = {}
    best: dict[str, Accuracies] = {}
    tried = [(learner, *entry) for learner in learners for entry in grid.recipes(learner)]
    for learner, longest, at in progress_bar(tried, progress=progress, desc="tuning"):
        for step, found in along(problems, learner, longest, at).items():
            if learner not in best or _mean(found) > _mean(best[learner]):
                rounds = max(1, longest.rounds * step // longest.steps)
                recipes[learner], best[learner] = replace(longest, steps=step, rounds=rounds), found
    return Tuned(recipes, best)


def _mean(found: Accuracies) -> float:
    """Accuracies are counts of a few hundred: what differs by less than their float32 rounding ties."""
    return round(float(np.mean(found)), 4)
