"""The first sentence of a verdict, at every answer that a question can have, and all questions asked in one call."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import qlazy
from qlazy.checking.panels import PANELS, classical_words
from qlazy.comparison.baselines.result import Rival
from tests.checking.test_check import two_angles

NAMES = ("circuit", "unentangled twin", "RBF support vectors", "logistic regression")
SETTINGS = {"folds": 3, "candidates": 4, "method": "Adam", "steps": 20}
STANDINGS = {"better": (1.0, 1.0), "worse": (0.0, 0.0), "undecided": (0.0, 1.0)}
"""Answers of a model from two seeds beside .5, .5 of the circuit, all on one sample."""


def panel_of(*standings: str) -> qlazy.Surrogates:
    rows = [(0.5, 0.5), *(STANDINGS[one] for one in standings)]
    answers = np.repeat(np.array(rows)[:, :, None], 400, axis=2)
    rivals = tuple(Rival(name, 1, "", 1, 0.0) for name in NAMES[: len(rows)])
    return qlazy.Surrogates(rivals, answers, ("a", "b"), True, 0.02, {}, SETTINGS)


@pytest.mark.parametrize("standings", [s for n in (1, 2, 3) for s in product(STANDINGS, repeat=n)])
def test_every_outcome_has_words(standings: tuple[str, ...]) -> None:
    """They name who matches where somebody does, with a verb that fits, and nobody elsewhere."""
    panel = panel_of(*standings)
    assert tuple(panel.standings.values()) == standings
    words, matching = classical_words(panel), standings.count("better")
    assert words.startswith("classical, as") == (panel.decision == "classical") == (matching > 0)
    if matching:
        first = panel.matching[0]
        many = matching > 1 or first == "RBF support vectors"
        assert (" do as well" in words) == many
        assert not any(f"the {name}" in words for name in NAMES[2:])
    else:
        assert not any(name in words for name in NAMES[1:])


def test_all_questions_in_one_call() -> None:
    """No data set decides for them: whatever is answered is said, kept and read."""
    data = qlazy.load_data("moons", train=12, test=12)
    verdict = qlazy.check(two_angles, data, seeds=2, steps=3, alphas=(1,), progress=False)
    assert set(verdict.panels) == set(PANELS)
    assert verdict.sentence.count(";") == 2
