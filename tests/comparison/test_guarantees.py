"""No bound is violated by a measurement, over models, scales and methods; and what a comparison shows of them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

import qlazy
from qlazy.comparison.guarantees import DRIFT, GAP, guarantees, kappa_bound
from qlazy.comparison.result import Comparison
from qlazy.data.datasets import Dataset
from qlazy.quantum.scrambled import scrambled_circuit
from qlazy.theory.bounds import drift_bound
from qlazy.training.methods import Adam, GradientDescent, GradientFlow
from tests import systems

SCALES = (0.3, 1.0, 1e4)
MODELS = {
    "scrambled": scrambled_circuit(2, 12, torch.Generator().manual_seed(1), features=2),
    "re-uploading": qlazy.load_circuit("data_reuploading", n=2, layers=2),
    "tanh net": qlazy.mlp([2, 5, 1]),
    "relu net": qlazy.mlp([2, 5, 1], torch.nn.ReLU),
    "quadratic": systems.quadratic(2),
}
CIRCUITS = ("scrambled", "re-uploading")
METHODS = {
    "flow": (GradientFlow(3.0, solver="RK45", rtol=1e-6, atol=1e-8), 4),
    "descent": (GradientDescent(), 25),
    "small steps": (GradientDescent(0.02), 25),
}


def data() -> Dataset:
    x, y = 2 * systems.normal(4, 2, seed=1), systems.normal(4, 1, seed=2)
    return Dataset("random", x, y, x, y, (), "random")


@pytest.fixture(scope="module")
def comparisons() -> dict[str, Comparison]:
    def compare(method, steps):
        return qlazy.compare(
            MODELS, data(), alphas=SCALES, seeds=(0,), method=method, steps=steps, progress=False
        )

    return {name: compare(*how) for name, how in METHODS.items()}


@pytest.mark.parametrize("name", METHODS)
def test_no_bound_is_violated(comparisons, name: str) -> None:
    found = [(run, one) for run in comparisons[name].runs if not run.diverged for one in guarantees(run)]
    assert [(repr(run), one) for run, one in found if one.looseness < 1 - 1e-6] == []
    assert {run.model for run, _ in found} == (set(MODELS) if name == "flow" else set(CIRCUITS))
    assert {one.quantity for run, one in found if run.model in CIRCUITS} == {DRIFT, GAP}
    assert {one.theorem[:7] for _, one in found} >= {"COB 2.2", "COB 2.3"}
    assert min(one.looseness for _, one in found) < 10  # and they say something


def test_steps_can_violate_the_bound_of_the_flow(comparisons) -> None:
    """Why it is not given for them: a single long step goes beyond sqrt(T R0) / a."""
    circuit = {"re-uploading": MODELS["re-uploading"]}
    long_step = GradientDescent(30.0)
    with pytest.warns(qlazy.LearningRateWarning):
        (run,) = qlazy.compare(
            circuit, data(), alphas=(1.0,), seeds=(0,), method=long_step, steps=1, progress=False
        ).runs
    flow = drift_bound(run.trace.train_loss[0], run.trace.times[-1], run.alpha).value
    assert run.parameter_drift > 1.5 * flow
    assert "COB 2.2 for steps" not in [one.theorem for one in guarantees(run)]
    runs = [run for run in comparisons["descent"].runs if run.model == "re-uploading"]
    given = {run.alpha: [one.theorem for one in guarantees(run)] for run in runs}
    assert "COB 2.2 for steps" not in given[0.3]
    assert "COB 2.2 for steps" in given[1e4]


def test_steps_keep_within_2_3_up_to_a_rate_of_two_inverse_curvatures(comparisons) -> None:
    """Beyond eta ||Dh||^2 = 2 a step overshoots even in the linearised model: no bound may be given."""
    run = next(run for run in comparisons["small steps"].runs if run.model in CIRCUITS)
    curvature = float(torch.linalg.eigvalsh(torch.from_numpy(run.kernel_initial))[-1]) / len(
        run.train_targets
    )
    for product, given in ((1.99, True), (2.01, False), (3.9, False)):
        rated = replace(run, trace=replace(run.trace, learning_rate=product / curvature))
        assert ("COB 2.3" in [one.theorem for one in guarantees(rated)]) is given


def test_no_bound_is_given_for_steps_whose_loss_has_grown(comparisons) -> None:
    """The proof supposes errors that never exceed that of the start; a single recorded loss above it is enough."""
    run = next(run for run in comparisons["small steps"].runs if run.model in CIRCUITS)
    assert guarantees(run)
    losses = run.trace.train_loss.copy()
    losses[len(losses) // 2] = 1.001 * losses[0]
    assert guarantees(replace(run, trace=replace(run.trace, train_loss=losses))) == []


def test_theorem_2_4_where_it_applies() -> None:
    """Two samples, twelve angles, and a scale above ||y|| / C0."""
    x, y = 2 * systems.normal(2, 2), systems.normal(2, 1, seed=5)
    two = Dataset("two", x, y, x, y, (), "")
    run = qlazy.compare(
        {"c": MODELS["scrambled"]},
        two,
        alphas=(1e6,),
        seeds=(0,),
        steps=3,
        method=GradientFlow(20.0),
        progress=False,
    ).runs[0]
    (bound,) = [one for one in guarantees(run) if one.theorem == "COB 2.4"]
    assert 1 <= bound.looseness < 1000
    assert not [one for one in guarantees(replace(run, alpha=1.0)) if one.theorem == "COB 2.4"]


def test_kappa_of_a_run_is_that_of_the_model() -> None:
    from qlazy.theory import bounds

    found = qlazy.compare(MODELS, data(), alphas=(3,), seeds=(0,), steps=2, progress=False).runs
    run = next(run for run in found if run.model == "re-uploading")
    model = MODELS["re-uploading"]
    params = torch.from_numpy(run.trace.params[0])
    centered = qlazy.Centered(model, params)
    curve = bounds.derivative_bounds(centered, params, data().x_train).second
    expected = bounds.kappa(centered, params, data().x_train, data().y_train, curve, 3.0)
    assert kappa_bound(run).value == pytest.approx(expected.value, rel=1e-6)
    assert kappa_bound(next(run for run in found if run.model == "tanh net")) is None


def test_other_methods_have_none() -> None:
    found = qlazy.compare(
        {"net": qlazy.mlp([2, 3, 1])},
        data(),
        alphas=(1,),
        seeds=(0,),
        steps=3,
        method=Adam(0.01),
        progress=False,
    )
    assert guarantees(found.runs[0]) == []
    assert "upper bounds" not in found.table()


def test_a_comparison_tells_and_draws_them(comparisons, tmp_path) -> None:
    found = comparisons["flow"]
    found.save(tmp_path)
    loaded = Comparison.load(tmp_path)
    assert loaded.bounds() == found.bounds()
    lines = [line for line in loaded.table().splitlines() if "COB 2.3" in line]
    assert len(lines) == 4  # drift and gap of two circuits
    least = min(float(cell) for line in lines for cell in line.split()[-len(SCALES) :])
    assert least >= 1
    assert math.isfinite(least)
    from qlazy.comparison.figures.all import comparison_figures

    left, right = comparison_figures(loaded)["bounds"].axes
    assert "output gap" in right.get_ylabel()
    assert len(left.lines) == len(MODELS) + len(MODELS) + len(
        CIRCUITS
    )  # measured, theorem 2.2 of all, 2.3 of the circuits
