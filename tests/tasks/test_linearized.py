"""The estimators: scikit-learn's own suite of checks, gradient flow in the linearised model, and kernel ridge."""

from __future__ import annotations

import pickle
import subprocess
import sys

import cloudpickle
import numpy as np
import pennylane as qml
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import qlazy
from qlazy import Linearized, LinearizedClassifier, LinearizedRegressor, Scaled, load_circuit, mlp
from qlazy.base.errors import NotFiniteError
from qlazy.kernels.prediction import leave_one_out_ridge


@parametrize_with_checks([LinearizedClassifier(), LinearizedRegressor()])
def test_scikit_learns_conventions(estimator, check) -> None:
    check(estimator)


RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(9, 3)), RNG.normal(size=(5, 3))
TARGETS = {1: np.sin(X[:, :1]) + 0.3, 2: np.stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]], 1)}
MODELS = {
    "net": lambda c: mlp([3, 4, c]),
    "circuit": lambda c: load_circuit("hardware_efficient", n=3, layers=2)
    if c == 1
    else qlazy.from_qasm(QASM, observables=["Z q[0]", "X q[1]"], data=["x"]),
}  # fmt: skip
QASM = """OPENQASM 3.0; include "stdgates.inc"; input array[float, 3] x; input array[float, 12] w; qubit[3] q;
for int k in [0:2] { rx(x[k]) q[k]; ry(w[k]) q[k]; rz(w[k + 3]) q[k]; }
cx q[0], q[1]; cx q[1], q[2]; cx q[2], q[0];
for int k in [0:2] { ry(w[k + 6]) q[k]; rx(w[k + 9] + x[k]) q[k]; } cx q[0], q[1];"""


def flow(model: qlazy.Model, start: torch.Tensor, targets: np.ndarray, ridge: float) -> torch.Tensor:
    """Parameters of the linearised model at the end of gradient flow of 1/2 |f - y|^2 + ridge/2 |w - w0|^2.

    w' = -J^T (f0 + J (w - w0) - y) - ridge (w - w0) from w0, whose end is a least-squares solution; found by the
    pseudoinverse of the stacked system, without any kernel.
    """
    x = torch.from_numpy(X)
    jacobian = model.jacobian(start, x).detach().flatten(0, 1)
    residual = torch.from_numpy(targets).flatten() - model(start, x).detach().flatten()
    stacked = torch.cat([jacobian, ridge**0.5 * torch.eye(len(start), dtype=torch.float64)])
    right = torch.cat([residual, torch.zeros(len(start), dtype=torch.float64)])
    return start + torch.linalg.pinv(stacked, rtol=1e-12) @ right


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize("ridge", [0.0, 0.3])
@pytest.mark.parametrize("name", MODELS)
def test_a_fit_is_the_end_of_gradient_flow_in_the_linearised_model(name, ridge, centered, columns) -> None:
    model, targets = MODELS[name](columns), TARGETS[columns]
    fitted = LinearizedRegressor(model, ridge=ridge, scale=1.7, centered=centered, random_state=3).fit(
        X, targets
    )
    start = fitted.params_
    wrapped = Scaled(qlazy.Centered(model, start) if centered else model, 1.7)
    end = flow(wrapped, start, targets, ridge)
    expected = Linearized(wrapped, start)(end, torch.from_numpy(Y)).detach()
    np.testing.assert_allclose(fitted.predict(Y), expected, atol=1e-9)
    assert np.abs(fitted.predict(Y)).max() > 0.1


@pytest.mark.parametrize("columns", [1, 2])
def test_a_fit_without_ridge_is_the_linearised_path_at_infinity(columns) -> None:
    model, targets = mlp([3, 4, columns]), torch.from_numpy(TARGETS[columns])
    fitted = LinearizedRegressor(model, ridge=0.0, centered=False, random_state=1).fit(X, targets.numpy())
    start, x, y = fitted.params_, torch.from_numpy(X), torch.from_numpy(Y)
    dense = qlazy.tangent_kernel(model, start, x).to_dense()
    path = qlazy.LinearizedPath(dense, model(start, x).detach(), targets)
    across = qlazy.tangent_kernel(model, start, y, x)
    [expected] = path.predict(across, model(start, y).detach(), path.duals([float("inf")]))
    np.testing.assert_allclose(fitted.predict(Y), expected, atol=1e-8)


@pytest.mark.parametrize("name", MODELS)
def test_a_fit_is_kernel_ridge_with_the_kernel_given(name) -> None:
    """One output serves two targets."""
    model = MODELS[name](1)
    for targets in TARGETS.values():
        fitted = LinearizedRegressor(model, ridge=0.2, random_state=5).fit(X, targets)
        gram = [
            qlazy.tangent_kernel(model, fitted.params_, torch.from_numpy(a), torch.from_numpy(X))
            for a in (X, Y)
        ]
        theirs = KernelRidge(alpha=0.2, kernel="precomputed").fit(gram[0].to_dense().numpy(), targets)
        np.testing.assert_allclose(fitted.predict(Y), theirs.predict(gram[1].to_dense().numpy()), atol=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_the_ridge_is_that_of_refitting_without_each_sample(seed) -> None:
    """Of one kernel for three targets, and of one kernel of three outputs, by fits without each sample in turn."""
    draws = np.random.default_rng(seed)
    features, y = draws.normal(size=(8, 12)), draws.normal(size=(8, 3))
    shared = features @ features.T
    own = (wide := draws.normal(size=(24, 30))) @ wide.T
    grid = [0.01, 0.3, 3.0, 40.0, 300.0]
    for kernel in (shared, own):
        errors = [refitted_error(kernel, y, ridge) for ridge in grid]
        chosen = leave_one_out_ridge(torch.from_numpy(kernel), torch.from_numpy(y), grid)
        assert chosen == grid[int(np.argmin(errors))]
        fine = leave_one_out_ridge(torch.from_numpy(kernel), torch.from_numpy(y))
        assert refitted_error(kernel, y, fine) <= 1.001 * min(errors) or not 1e-2 < fine < 300


WEIGHTED = (
    ("net", 1, 0.3), ("net", 2, 0.3), ("net", 2, 0.0), ("circuit", 1, 0.2), ("circuit", 2, 0.2), ("circuit", 2, 0.0),
    ("net", 1, "leave-one-out"), ("net", 2, "leave-one-out"), ("circuit", 2, "leave-one-out"),
)  # fmt: skip


@pytest.mark.parametrize(("name", "columns", "ridge"), WEIGHTED)
@pytest.mark.parametrize("centered", [True, False])
def test_whole_weights_are_rows_repeated_and_left_out(name, columns, ridge, centered) -> None:
    counts = np.array([1, 2, 0, 3, 1, 0, 2, 1, 4])
    for targets in (TARGETS[columns], TARGETS[1]):
        make = LinearizedRegressor(
            MODELS[name](targets.shape[1]), ridge=ridge, centered=centered, random_state=2
        )
        weighted = clone(make).fit(X, targets, sample_weight=counts)
        order = np.random.default_rng(1).permutation(counts.sum())
        repeated = clone(make).fit(*(np.repeat(a, counts, axis=0)[order] for a in (X, targets)))
        np.testing.assert_allclose(weighted.predict(Y), repeated.predict(Y), atol=1e-7)
        np.testing.assert_allclose(weighted.ridge_, repeated.ridge_, rtol=1e-9)
        assert len(repeated.X_fit_) == 7
        alike = clone(make).fit(X, targets, sample_weight=np.ones(9))
        np.testing.assert_allclose(alike.predict(Y), clone(make).fit(X, targets).predict(Y), atol=1e-9)
        assert np.abs(alike.predict(Y) - weighted.predict(Y)).max() > 1e-4


@pytest.mark.parametrize("seed", range(4))
def test_a_weighted_fit_is_kernel_ridge_and_least_squares(seed) -> None:
    """scikit-learn's KernelRidge; and, for two outputs and their whole kernel, the stacked system of least squares."""
    draws = np.random.default_rng(seed)
    weights = draws.exponential(size=9) * (draws.random(9) > 0.2)
    model = MODELS["circuit"](1)
    fitted = LinearizedRegressor(model, ridge=0.2, random_state=5).fit(X, TARGETS[2], weights)
    gram = [
        qlazy.tangent_kernel(model, fitted.params_, torch.from_numpy(a), torch.from_numpy(X))
        .to_dense()
        .numpy()
        for a in (X, Y)
    ]
    theirs = KernelRidge(alpha=0.2, kernel="precomputed").fit(gram[0], TARGETS[2], sample_weight=weights)
    np.testing.assert_allclose(fitted.predict(Y), theirs.predict(gram[1]), atol=1e-9)
    own = MODELS["net"](2)
    fitted = LinearizedRegressor(own, ridge=0.3, centered=False, random_state=5).fit(X, TARGETS[2], weights)
    start, roots = fitted.params_, np.repeat(np.sqrt(weights), 2)
    jacobian = own.jacobian(start, torch.from_numpy(X)).detach().flatten(0, 1).numpy()
    residual = (TARGETS[2] - own(start, torch.from_numpy(X)).detach().numpy()).reshape(-1)
    stacked = np.concatenate([roots[:, None] * jacobian, 0.3**0.5 * np.eye(len(start))])
    step = np.linalg.lstsq(stacked, np.concatenate([roots * residual, np.zeros(len(start))]))[0]
    expected = Linearized(own, start)(start + torch.from_numpy(step), torch.from_numpy(Y)).detach()
    np.testing.assert_allclose(fitted.predict(Y), expected, atol=1e-9)


def test_the_ridge_leaves_samples_out_with_their_weight() -> None:
    """By fits without each sample in turn, scored by weight, one of them a row that is there twice."""
    x, y = np.r_[X, X[:1]], np.r_[np.sin(X[:, 0]), 2.0]
    weights = np.array([1.0, 0.3, 5.0, 2.0, 0.1, 1.0, 1.0, 3.0, 1.0, 0.7])
    chosen = LinearizedRegressor(random_state=0).fit(x, y, weights)
    errors = []
    ridges = chosen.ridge_ * np.array([0.1, 10**-0.5, 10**-0.25, 1.0, 10**0.25, 10**0.5, 10.0])
    for ridge in ridges:
        total = 0.0
        for i in range(9):
            out = (x == x[i]).all(1)
            fit = LinearizedRegressor(ridge=ridge, random_state=0).fit(x[~out], y[~out], weights[~out])
            total += float((weights[out] * (fit.predict(x[out]) - y[out]) ** 2).sum())
        errors.append(total)
    assert np.argmin(errors) == 3
    scaled = LinearizedRegressor(random_state=0).fit(x, y, 1e4 * weights)
    np.testing.assert_allclose(scaled.predict(Y), chosen.predict(Y), atol=1e-7)


def test_weights_of_classes() -> None:
    x, names = IRIS[0], np.array(["a", "b", "c"])[IRIS[1]]
    weights = np.random.default_rng(0).integers(0, 3, len(x))
    weighted = LinearizedClassifier(random_state=0, ridge=0.1).fit(x, names, sample_weight=weights)
    repeated = LinearizedClassifier(random_state=0, ridge=0.1).fit(
        np.repeat(x, weights, 0), np.repeat(names, weights)
    )
    np.testing.assert_allclose(weighted.decision_function(x), repeated.decision_function(x), atol=1e-8)
    two = LinearizedClassifier(random_state=0).fit(x, names, sample_weight=names != "b")
    assert two.classes_.tolist() == ["a", "c"]
    with pytest.raises(ValueError, match="`y` must have two classes or more, but is of one class"):
        LinearizedClassifier().fit(x, names, sample_weight=names == "b")


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (np.ones(8), r"have shape \(9,\), a weight for each row of X, but is \(8,\)"),
        (np.ones((9, 1)), r"have shape \(9,\)"),
        ([1.0] * 8 + [-0.5], "be from 0 up, but is -0.5"),
        (np.zeros(9), "be positive for some row, but is zero for each"),
        ([1.0] * 8 + [np.nan], "be finite"),
        (["a"] * 9, "hold real numbers"),
        (2.0, "be an array"),
        (np.ma.masked_less(np.arange(9.0), 1), "have a value in every entry"),
    ],
)
def test_weights_that_are_none_are_named(weights, words) -> None:
    with pytest.raises((ValueError, NotFiniteError), match=f"`sample_weight` must {words}"):
        LinearizedRegressor().fit(X, TARGETS[1], sample_weight=weights)


def refitted_error(kernel: np.ndarray, y: np.ndarray, ridge: float) -> float:
    samples, outputs = y.shape
    width = len(kernel) // samples
    right = y if width == 1 else y.reshape(-1, 1)
    total = 0.0
    for i in range(samples):
        out = np.arange(i * width, (i + 1) * width)
        rest = np.setdiff1d(np.arange(len(kernel)), out)
        inner = kernel[np.ix_(rest, rest)] + ridge * np.eye(len(rest))
        predicted = kernel[np.ix_(out, rest)] @ np.linalg.solve(inner, right[rest])
        total += float(((predicted - right[out]) ** 2).sum())
    return total / (samples * outputs)


def test_a_centred_fit_by_leaving_one_out_does_not_depend_on_the_scale() -> None:
    fits = [LinearizedRegressor(scale=a, random_state=0).fit(X, X[:, 0]) for a in (1e-3, 1.0, 1e3)]
    for other in fits[1:]:
        np.testing.assert_allclose(other.predict(Y), fits[0].predict(Y), atol=1e-8)
        assert np.isclose(other.ridge_ / other.scale**2, fits[0].ridge_ / fits[0].scale ** 2)


IRIS = tuple(array[::2] for array in load_iris(return_X_y=True))


@pytest.mark.parametrize("model", ["mlp:8", "hardware_efficient:layers=2", lambda d: mlp([d, 8, 3])])
def test_classes_of_iris(model) -> None:
    """Several classes by one output for all of them, and by an output for each."""
    estimator = make_pipeline(StandardScaler(), LinearizedClassifier(model, random_state=0))
    assert cross_val_score(estimator, *IRIS, cv=3).mean() > 0.9
    fitted = estimator.fit(*IRIS)
    decision = fitted.decision_function(IRIS[0])
    assert decision.shape == (75, 3)
    assert (fitted.classes_[decision.argmax(1)] == fitted.predict(IRIS[0])).all()
    assert not hasattr(fitted, "predict_proba")


def test_two_classes_are_signs_whatever_they_are_called() -> None:
    x, names = IRIS[0][:50], np.array(["setosa", "versicolor"])[IRIS[1][:50]]
    classifier = LinearizedClassifier(random_state=2).fit(x, names)
    regressor = LinearizedRegressor(random_state=2).fit(x, 2.0 * IRIS[1][:50] - 1)
    np.testing.assert_allclose(classifier.decision_function(x), regressor.predict(x))
    assert (classifier.predict(x) == names).all()


def test_a_grid_search_over_ridge_and_scale_scores_as_fits_by_hand() -> None:
    targets = np.sin(X[:, 0])
    given = {"ridge": [0.01, 1.0], "scale": [0.5, 4.0]}
    search = GridSearchCV(LinearizedRegressor("mlp:4", centered=False, random_state=0), given, cv=3).fit(
        X, targets
    )
    scores = [
        cross_val_score(clone(search.estimator).set_params(**one), X, targets, cv=3).mean()
        for one in search.cv_results_["params"]
    ]
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], scores)
    assert len({round(score, 6) for score in scores}) == 4


def test_a_circuit_is_cloned_and_travels() -> None:
    import pennylane as qml

    @qml.qnode(qml.device("default.qubit", wires=3))
    def circuit(inputs, weights):
        qml.AngleEmbedding(inputs, wires=range(3))
        qml.BasicEntanglerLayers(weights, wires=range(3))
        return qml.expval(qml.Z(0))

    own = LinearizedRegressor(qlazy.Circuit(circuit, {"weights": (2, 3)}), random_state=0)
    expected = own.fit(X, X[:, 0]).predict(Y)
    np.testing.assert_allclose(clone(own).fit(X, X[:, 0]).predict(Y), expected)
    net = LinearizedRegressor(torch.nn.Linear(3, 1), random_state=0).fit(X, X[:, 0])
    np.testing.assert_allclose(pickle.loads(pickle.dumps(net)).predict(Y), net.predict(Y))
    sent = pickle.loads(cloudpickle.dumps(own))  # as joblib sends it to other processes
    np.testing.assert_allclose(sent.fit(X, X[:, 0]).predict(Y), expected)


def test_starts_are_drawn_from_the_random_state() -> None:
    fits = [
        LinearizedRegressor(random_state=s).fit(X, X[:, 0]).params_
        for s in (0, 0, 1, np.random.RandomState(0))
    ]
    assert torch.equal(fits[0], fits[1])
    assert torch.equal(fits[0], fits[3])
    assert not torch.equal(fits[0], fits[2])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ridge": -1.0}, "`ridge` must be 'leave-one-out' or a number from 0 up"),
        ({"ridge": "loo"}, "`ridge` must be 'leave-one-out' or a number from 0 up, but is 'loo'"),
        ({"scale": 0}, "`scale` must be positive"),
        ({"centered": 1}, "`centered` must be True or False"),
        ({"model": 3}, "`model` must be a Model, a torch module, a text"),
        ({"model": "mlp:0"}, "`model` must have hidden layers"),
        ({"model": lambda d: mlp([d, 2])}, "`model` must have one output, or 3 as the targets have"),
        ({"model": mlp([5, 1])}, "`x` must have shape"),
    ],
)
def test_what_does_not_fit_is_named(changes, words) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        LinearizedClassifier(**changes).fit(*IRIS)


def test_scikit_learn_waits_until_it_is_used() -> None:
    program = "import sys, qlazy; qlazy.mlp; print('sklearn' in sys.modules); qlazy.LinearizedRegressor"
    program += "; print('sklearn' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert found.stdout.split() == ["False", "True"]


def test_a_qnode_is_refused_with_the_call_that_makes_a_model_of_it() -> None:
    def circuit(inputs, weights):
        return qml.expval(qml.Z(0))

    qnode = qml.QNode(circuit, qml.device("default.qubit"))
    for estimator in (LinearizedClassifier(qnode), LinearizedRegressor(qnode), qlazy.TangentFeatures(qnode)):
        with pytest.raises(
            TypeError, match=r"`model` must .*but is a QNode: qlazy\.Circuit\(qnode, shapes\) makes"
        ):
            estimator.fit(X, np.arange(len(X)) % 2)


def test_the_seed_of_the_start_is_drawn_by_random_state() -> None:
    model = mlp([3, 4, 1])
    start = LinearizedRegressor(model, random_state=0).fit(X, TARGETS[1]).params_
    seed = int(np.random.RandomState(0).randint(2**31 - 1))
    assert torch.equal(start, model.init(torch.Generator().manual_seed(seed)))
    assert not torch.equal(start, model.init(torch.Generator().manual_seed(0)))
