"""Comparisons: laws of scaling, resuming bit for bit, runs that diverge, and what is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pennylane as qml
import pytest
import torch

import qlazy
from qlazy import (
    Adam,
    Centered,
    Comparison,
    CrossEntropy,
    Function,
    GradientDescent,
    GradientFlow,
    Logistic,
    mlp,
)
from qlazy.comparison.metrics import METRICS, THEORY
from tests.makers import inputs

SCALES = (10.0, 30.0, 100.0, 300.0, 1000.0)


@pytest.fixture(scope="module")
def data():
    return qlazy.load_data("digits", features=3, train=20, test=20)


@pytest.fixture(scope="module")
def comparison(data, tmp_path_factory):
    models = {"net": mlp([3, 4, 1]), "circuit": qlazy.load_circuit("hardware_efficient", n=3, layers=2)}
    out = tmp_path_factory.mktemp("comparison")
    return qlazy.compare(models, data, alphas=SCALES, seeds=(0, 1), steps=60, out=out, progress=False), out


def test_data_without_test_samples_are_refused_by_their_name():
    x = inputs(6, 2)
    for make in (qlazy.Dataset, lambda *parts: lambda seed: qlazy.Dataset(*parts)):
        data = make("all", x, x[:, :1].sign(), x[:0], x[:0, :1], ("-", "+"), "all to train on")
        with pytest.raises(ValueError, match="`data` must hold test samples"):
            qlazy.compare({"net": mlp([2, 2, 1])}, data, seeds=2, progress=False)


@pytest.mark.parametrize("model", ["net", "circuit"])
@pytest.mark.parametrize("metric", METRICS)
def test_slopes_against_the_scale(comparison, model, metric):
    # Chizat, Oyallon, Bach 2019, theorem 2.2: -1, -2, -1 at a fixed horizon; the kernel follows the drift.
    slope = comparison[0].slopes()[model, metric]
    assert slope.slope == pytest.approx(THEORY[metric], abs=0.1)
    assert slope.low <= slope.slope <= slope.high


def test_outputs_do_not_depend_on_a_large_scale(comparison):
    losses = comparison[0].values("circuit", "train loss")
    np.testing.assert_allclose(losses[-1], losses[-2], rtol=1e-2)


def test_saved_and_loaded_bit_for_bit(comparison):
    found, out = comparison
    loaded = Comparison.load(out)
    assert loaded.table() == found.table()
    assert json.dumps(loaded.settings, sort_keys=True) == json.dumps(found.settings, sort_keys=True)
    for one, other in zip(found.runs, loaded.runs, strict=True):
        assert np.array_equal(one.trace.params, other.trace.params)
        assert np.array_equal(one.kernel_final, other.kernel_final)


@pytest.mark.filterwarnings("error::UserWarning")
def test_optimizers_and_losses_of_torch_are_compared_and_kept(data, tmp_path):
    def make(params):
        return torch.optim.AdamW(params, lr=0.02)

    settings = {"alphas": (1.0, 30.0), "seeds": 2, "steps": 6, "out": tmp_path, "progress": False}
    found = qlazy.compare(
        {"net": mlp([3, 4, 1])}, data, method=make, loss=torch.nn.SoftMarginLoss(), **settings
    )
    names = sorted(path.name for path in (tmp_path / "runs").iterdir())
    again = qlazy.compare(
        {"net": mlp([3, 4, 1])}, data, method=make, loss=torch.nn.SoftMarginLoss(), **settings
    )
    assert names == sorted(path.name for path in (tmp_path / "runs").iterdir())  # taken up, not made anew
    assert again.table() == found.table()
    assert found.settings["seeds"] == [0, 1]
    plain = qlazy.compare({"net": mlp([3, 4, 1])}, data, loss=Logistic(), **{**settings, "method": make})
    for one, other in zip(found.runs, plain.runs, strict=True):  # one column: the same loss
        np.testing.assert_allclose(one.trace.params, other.trace.params, rtol=0, atol=1e-12)
    assert len(list((tmp_path / "runs").iterdir())) == 2 * len(names)


def test_the_same_seeds_give_the_same_numbers(comparison, data):
    again = qlazy.compare(
        {"net": mlp([3, 4, 1])}, data, alphas=SCALES, seeds=(0, 1), steps=60, progress=False
    )
    np.testing.assert_array_equal(
        again.values("net", "output gap"), comparison[0].values("net", "output gap")
    )


def test_a_comparison_takes_up_what_is_there(data, tmp_path):
    models = {"net": mlp([3, 4, 1])}
    whole = qlazy.compare(
        models, data, alphas=(1, 10), seeds=(0,), steps=5, out=tmp_path / "a", progress=False
    )
    qlazy.compare(models, data, alphas=(10,), seeds=(0,), steps=5, out=tmp_path / "b", progress=False)
    kept = next((tmp_path / "b" / "runs").iterdir())
    before = (kept / "run.npz").stat().st_mtime_ns
    resumed = qlazy.compare(
        models, data, alphas=(1, 10), seeds=(0,), steps=5, out=tmp_path / "b", progress=False
    )
    assert (kept / "run.npz").stat().st_mtime_ns == before
    assert resumed.table() == whole.table()


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 6},
        {"method": GradientDescent(0.1)},
        {"centered": False},
        {"loss": Logistic()},
        {"models": {"net": mlp([3, 5, 1])}},
    ],
)
def test_other_settings_are_other_runs(data, tmp_path, change):
    arguments = {"models": {"net": mlp([3, 4, 1])}, "alphas": (3,), "seeds": (0,), "steps": 5}
    for settings in (arguments, arguments | change):
        qlazy.compare(data=data, out=tmp_path, progress=False, **settings)
    assert len(list((tmp_path / "runs").iterdir())) == 2


@pytest.mark.parametrize("part", ["x_train", "y_train", "x_test", "y_test"])
def test_one_other_number_in_the_data_is_another_run(data, tmp_path, part):
    """A run kept for the same inputs with other test data, or other targets, is not taken for this one's."""
    changed = getattr(data, part).clone()
    changed[0, 0] = -changed[0, 0] + (changed[0, 0] == 0)
    for found in (data, replace(data, **{part: changed})):
        qlazy.compare(
            {"net": mlp([3, 4, 1])}, found, alphas=(3,), seeds=(0,), steps=2, out=tmp_path, progress=False
        )
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_a_run_that_diverges_does_not_stop_the_others(data, tmp_path):
    models = {"net": mlp([3, 4, 1])}
    method = GradientDescent(learning_rate=2000.0)
    with pytest.warns(qlazy.LearningRateWarning):
        found = qlazy.compare(
            models, data, alphas=(0.01, 1), seeds=(0,), steps=200, method=method, out=tmp_path, progress=False
        )
    diverged = [run for run in found.runs if run.diverged]
    assert diverged
    assert "diverged at step" in diverged[0].diverged
    assert np.isnan(found.values("net", "train loss")[found.alphas.index(diverged[0].alpha)]).all()
    assert "1 diverged" in found.table()
    assert Comparison.load(tmp_path).table() == found.table()


@pytest.mark.parametrize(
    ("loss", "method"),
    [(Logistic(), GradientDescent(2.0)), (Logistic(), Adam(0.01)), (qlazy.SquaredError(), GradientFlow(5.0))],
)
def test_other_losses_and_methods_have_a_linearised_path(data, loss, method):
    found = qlazy.compare(
        {"net": mlp([3, 4, 1])},
        data,
        alphas=(300,),
        seeds=(0,),
        steps=20,
        loss=loss,
        method=method,
        progress=False,
    )
    assert 0 < found.runs[0].output_gap < 0.05


@pytest.mark.parametrize("name", ["net", "circuit"])
def test_the_linearised_path_of_adam_is_adam_on_the_linear_model(data, name):
    model = mlp([3, 4, 1]) if name == "net" else qlazy.load_circuit("hardware_efficient", n=3, layers=1)
    settings = {"steps": 12, "method": Adam(0.02), "progress": False}
    found = qlazy.compare({name: model}, data, alphas=(1, 30), seeds=(0, 1), **settings)
    for run in found.runs:
        start = torch.from_numpy(run.trace.params[0]).requires_grad_()
        jacobian = model.jacobian(start.detach(), data.x_train)[:, 0]
        params = start.detach().clone().requires_grad_()
        optimizer = torch.optim.Adam([params], lr=0.02 / run.alpha)
        path = [params.detach().clone()]
        for _ in range(12):
            optimizer.zero_grad()
            residual = run.alpha * jacobian @ (params - start.detach()) - data.y_train[:, 0]
            (residual.square().sum() / (2 * len(residual) * run.alpha**2)).backward()
            optimizer.step()
            path.append(params.detach().clone())
        expected = torch.stack(path).numpy()[run.trace.steps]
        np.testing.assert_allclose(run.linear_params, expected, rtol=0, atol=1e-10)
    (alone,) = qlazy.compare({name: model}, data, alphas=(30,), seeds=(1,), **settings).runs
    assert np.array_equal(alone.linear_params, found.select(name, 30.0)[1].linear_params)


def test_a_linear_model_is_its_own_linearisation(data):
    model = Function(lambda w, x: (x @ w).unsqueeze(1), 3)
    found = qlazy.compare({"linear": model}, data, alphas=(1, 10, 100), seeds=(0,), steps=20, progress=False)
    assert found.values("linear", "output gap").max() < 1e-12
    assert found.values("linear", "parameter gap").max() < 1e-12
    assert ("linear", "kernel change") not in found.slopes()


def test_classes_and_cross_entropy():
    data = qlazy.load_data("iris", features=3)
    found = qlazy.compare(
        {"net": mlp([3, 5, 3])}, data, alphas=(1,), seeds=(0,), steps=30, loss=CrossEntropy(),
        method=GradientDescent(1.0), progress=False,
    )  # fmt: skip
    assert found.runs[0].test_accuracy > 0.6


def test_regression_has_losses_and_no_accuracy():
    data = qlazy.load_data("diabetes", features=3, train=40, test=20)
    found = qlazy.compare({"net": mlp([3, 3, 1])}, data, alphas=(1,), seeds=(0,), steps=5, progress=False)
    assert "accuracy" not in found.table()
    assert math.isfinite(found.rows()[0]["test loss"])


def test_float32_stays_float32(data):
    found = qlazy.compare(
        {"net": mlp([3, 4, 1])}, data.to(torch.float32), alphas=(1,), seeds=(0,), steps=5, progress=False
    )
    assert found.runs[0].trace.params.dtype == np.float32
    assert found.settings["dtype"] == "float32"


def test_what_stands_after_a_mean_is_the_standard_deviation_of_a_sample(comparison):
    """Two seeds differ by d: d / sqrt(2), and not d / 2, which a few seeds' spread would be called on average less.

    Of logarithms, but for accuracies, which are shares.
    """
    found = comparison[0]
    for row in found.rows():
        values = found.values(row["model"], "output gap")[found.alphas.index(row["alpha"])]
        apart = abs(math.log(values[0] / values[1]))
        assert row["output gap factor"] == pytest.approx(math.exp(apart / math.sqrt(2)), rel=1e-12)
        assert row["output gap"] == pytest.approx(math.sqrt(values[0] * values[1]), rel=1e-12)
        shares = found.values(row["model"], "test accuracy")[found.alphas.index(row["alpha"])]
        assert row["test accuracy sd"] == pytest.approx(abs(shares[0] - shares[1]) / math.sqrt(2), abs=1e-12)


def test_tables_for_notebooks_and_spreadsheets(comparison):
    found, out = comparison
    models = 2
    assert found.table().count(" ±") == 1 + models * (2 * len(SCALES) + 3)
    laws = len(SCALES)  # the circuit's variance law
    assert found.table().count(" ×÷") == 1 + models * (9 * len(SCALES) + 3 + 4 + 4 - 1 + 3) + laws
    rows = (out / "table.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * len(SCALES)
    page = found._repr_html_()
    assert page.count("<tr>") == sum(1 + len(table.rows) for table in found.tables())


BAD = [
    ({"models": {}}, "`models` must hold at least one model"),
    ({"alphas": ()}, "`alphas` must hold at least one value"),
    ({"alphas": (1, 1)}, "`alphas` must hold each value once"),
    ({"alphas": (1, -1)}, "`alphas` must be positive"),
    ({"seeds": ()}, "`seeds` must hold at least one value"),
    ({"seeds": 0}, "`seeds` must be a sequence of whole numbers, or how many"),
    ({"steps": 0}, "`steps` must be a positive whole number"),
    ({"workers": 0}, "`workers` must be a positive integer"),
    ({"models": {"net": mlp([3, 4, 2])}}, r"`models\['net'\]` must have one output"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_refused_settings(data, change, message):
    arguments = {"models": {"net": mlp([3, 4, 1])}, "alphas": (1,), "seeds": (0,), "steps": 5} | change
    with pytest.raises(ValueError, match=message):
        qlazy.compare(data=data, progress=False, **arguments)


def test_every_model_is_checked_before_any_is_trained(data, tmp_path):
    """A second model that does not fit the data is found at once, not after the first one's runs."""
    models = {"fits": mlp([3, 1]), "does not": mlp([3, 2])}
    with pytest.raises(ValueError, match=r"`models\['does not'\]` must have one output"):
        qlazy.compare(models, data, alphas=(1,), seeds=(0, 1), steps=1, out=tmp_path, progress=False)
    assert not (tmp_path / "runs").exists()


def test_refused_types(data):
    with pytest.raises(TypeError, match="must be a qlazy Model"):
        qlazy.compare({"net": torch.nn.Linear(3, 1)}, data, progress=False)
    qnode = qml.QNode(lambda inputs, weights: qml.expval(qml.Z(0)), qml.device("default.qubit"))
    with pytest.raises(
        TypeError, match=r"`models\['q'\]` must .*but is a QNode: qlazy\.Circuit\(qnode, shapes\) makes"
    ):
        qlazy.compare({"q": qnode}, data, progress=False)
    with pytest.raises(TypeError, match=r"must be a qlazy Dataset, as qlazy\.from_arrays\(x, y\) makes one"):
        qlazy.compare({"net": mlp([3, 1])}, (inputs(4, 3), inputs(4, 1)), progress=False)


def test_damaged_folders_name_the_file(comparison, tmp_path):
    found, _ = comparison
    small = Comparison(found.runs[:1], found.settings)
    small.save(tmp_path)
    run = tmp_path / "runs" / "0000" / "run.npz"
    run.write_bytes(run.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"run\.npz"):
        Comparison.load(tmp_path)
    (tmp_path / "comparison.json").write_text("{")
    with pytest.raises(ValueError, match=r"comparison\.json"):
        Comparison.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        Comparison.load(Path(tmp_path, "elsewhere"))


def test_uncentred_models_start_from_their_outputs(data):
    model = mlp([3, 4, 1])
    found = qlazy.compare(
        {"net": model}, data, alphas=(2,), seeds=(5,), steps=3, centered=False, progress=False
    )
    params = model.init(torch.Generator().manual_seed(5))
    expected = 2 * model(params, data.x_train).detach().numpy()
    np.testing.assert_allclose(found.runs[0].trace.train_outputs[0], expected, rtol=1e-12)
    np.testing.assert_allclose(found.runs[0].linear_train_outputs[0], expected, rtol=1e-10)


def test_the_gap_is_that_of_two_models_trained_apart(data):
    # Against a linearised model trained by hand, step by step.
    model = mlp([3, 4, 1])
    found = qlazy.compare({"net": model}, data, alphas=(3,), seeds=(0,), steps=15, progress=False).runs[0]
    params = model.init(torch.Generator().manual_seed(0))
    linear = qlazy.Linearized(Centered(model, params), params)
    trace = qlazy.train(
        linear, params, data, steps=15, alpha=3.0, method=GradientDescent(found.trace.learning_rate),
        record=qlazy.Record(at=tuple(found.trace.steps.tolist())),
    )  # fmt: skip
    np.testing.assert_allclose(found.linear_params, trace.params, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.linear_train_outputs, trace.train_outputs, rtol=0, atol=1e-11)
    np.testing.assert_allclose(found.linear_test_outputs, trace.test_outputs, rtol=0, atol=1e-11)
    assert replace(found, diverged="").output_gap == found.output_gap


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def bytes_of_one_and_of_others(model, data, folder: Path, **others) -> None:
    arguments = {
        "models": {"one": model}, "data": data, "alphas": (1, 10), "seeds": (0, 1), "steps": 5, "progress": False,
    }  # fmt: skip
    qlazy.compare(**arguments, out=folder / "one")
    expected = contents(folder / "one")
    assert len(expected) == 2 * 4 + 3
    threads = torch.get_num_threads()
    for name, where in others.items():
        qlazy.compare(**arguments, **where, out=folder / name)
        assert contents(folder / name) == expected
    assert torch.get_num_threads() == threads


def test_processes_write_the_bytes_of_one_process(data, tmp_path):
    bytes_of_one_and_of_others(mlp([3, 4, 1]), data, tmp_path, processes={"workers": 2})


@pytest.mark.slow
def test_clusters_and_processes_take_circuits(data, tmp_path, client):
    circuit = qlazy.load_circuit("hardware_efficient", n=3, layers=1)
    others = {"cluster": {"client": client}, "processes": {"workers": 2}}
    bytes_of_one_and_of_others(circuit, data, tmp_path, **others)


def test_workers_hand_runs_back_where_there_is_no_folder(data):
    arguments = {
        "models": {"net": mlp([3, 4, 1])},
        "data": data,
        "alphas": (1, 10),
        "seeds": (0,),
        "steps": 5,
    }
    alone = qlazy.compare(**arguments, progress=False)
    shared = qlazy.compare(**arguments, progress=False, workers=2)
    assert shared.table() == alone.table()
    for one, other in zip(alone.runs, shared.runs, strict=True):
        assert np.array_equal(one.trace.params, other.trace.params)


def test_workers_take_up_what_is_there(data, tmp_path):
    arguments = {
        "data": data,
        "alphas": (1, 10),
        "seeds": (0,),
        "steps": 5,
        "out": tmp_path,
        "progress": False,
    }
    qlazy.compare({"net": mlp([3, 4, 1])}, **arguments)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.npz")}
    qlazy.compare({"net": mlp([3, 4, 1])}, **arguments, workers=2)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.npz")} == before


@pytest.mark.filterwarnings("ignore::qlazy.base.errors.LearningRateWarning")
def test_a_frame_has_a_row_a_run_with_every_metric() -> None:
    data = qlazy.load_data("digits", features=2, train=8, test=6)
    models = {
        "net": qlazy.mlp([2, 2, 1]),
        "wild": qlazy.Function(lambda w, x: (1e3 * w[0]) ** 3 * x[:, :1], 1),
    }
    found = qlazy.compare(
        models, data, alphas=(1, 10), seeds=2, steps=30, method=qlazy.GradientDescent(0.5), progress=False
    )
    frame = found.frame()
    assert len(frame) == len(found.runs)
    assert list(frame.columns[:3]) == ["model", "seed", "alpha"]
    net = frame[frame["model"] == "net"].pivot(index="alpha", columns="seed", values="output gap")
    np.testing.assert_array_equal(net.to_numpy(), found.values("net", "output gap"))
    assert set(found.metrics) <= set(frame.columns)
    stopped, whole = frame[frame["diverged"]], frame[~frame["diverged"]]
    assert frame["diverged"].dtype == bool
    assert len(stopped) == sum(bool(run.diverged) for run in found.runs) > 0
    assert list(stopped["reason"]) == [run.diverged for run in found.runs if run.diverged]
    assert whole["reason"].isna().all()
    assert (stopped["model"] == "wild").all()
    assert stopped["kernel change"].isna().all()
