"""Infinite nets in a comparison, held to wide finite nets trained step by step, and to regression with their kernel."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import qlazy
from qlazy.commands import compare as command
from qlazy.commands import main as cli
from qlazy.comparison.baselines import InfiniteCircuit, InfiniteNet
from qlazy.comparison.figures.all import comparison_figures
from qlazy.comparison.specs import build_baseline
from qlazy.kernels.infinite_nets import infinite_kernels, ntk_net
from qlazy.kernels.prediction import LinearizedPath
from qlazy.theory import light_cone


@pytest.fixture(scope="module")
def data():
    return qlazy.load_data("digits", features=3, train=12, test=10)


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_wide_finite_nets_learn_the_same(data, activation) -> None:
    """The distance falls as width^-1/2: a factor of 8 between 32 and 2048 units."""
    nets = {str(w): ntk_net((3, w, 1), activation=activation) for w in (32, 2048)}
    found = qlazy.compare(
        nets, data, alphas=(1,), seeds=(0, 1), steps=60, method=qlazy.GradientDescent(0.5),
        baselines=[InfiniteNet(activation)], progress=False,
    )  # fmt: skip
    (infinite,) = found.baselines
    off = {
        name: np.mean(
            [np.abs(r.trace.test_outputs - infinite.test_outputs).max() for r in found.select(name)]
        )
        for name in nets
    }
    assert off["2048"] < 0.1
    assert off["2048"] < off["32"] / 3
    assert found.values("2048", "test loss").mean() == pytest.approx(infinite.test_loss, abs=0.05)


def test_the_end_of_time_is_regression(data) -> None:
    found = qlazy.compare(
        {"net": qlazy.mlp([3, 2, 1])}, data, alphas=(1,), seeds=(0,), steps=3, method=qlazy.GradientFlow(1e9),
        baselines=[InfiniteNet("relu", hidden=2)], progress=False,
    )  # fmt: skip
    (infinite,) = found.baselines
    kernels = [infinite_kernels(x, data.x_train, hidden=2).tangent for x in (data.x_train, data.x_test)]
    expected = kernels[1] @ torch.linalg.solve(kernels[0], data.y_train)
    np.testing.assert_allclose(infinite.limit, expected, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(infinite.test_outputs[-1], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(infinite.train_outputs[-1], data.y_train, atol=1e-6)


def test_several_outputs_are_learnt_apart() -> None:
    iris = qlazy.load_data("iris", features=3, train=12, test=9)
    baseline = InfiniteNet().train(iris, qlazy.GradientDescent(), 20)
    assert baseline.train_outputs.shape[1:] == (12, 3)
    assert baseline.full_kernel.shape == (36, 36)
    assert baseline.full_kernel[0, 3] == baseline.kernel[0, 1]  # sample-major
    assert baseline.full_kernel[0, 1] == 0


def test_kept_told_and_drawn(data, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(qlazy.Comparison, "plot", lambda self, folder: [])
    options = [
        "--features",
        "3",
        "--train",
        "8",
        "--test",
        "6",
        "--steps",
        "3",
        "--alphas",
        "1,10",
        "--seeds",
        "1",
        "--quiet",
    ]
    assert (
        cli.main(["compare", "mlp:2", *options, "--baselines", "relu,erf:2", "--out", str(tmp_path)])
        == cli.OK
    )
    out = capsys.readouterr().out
    loaded = qlazy.Comparison.load(tmp_path)
    assert [one.name for one in loaded.baselines] == [
        "infinite relu net, 1 hidden",
        "infinite erf net, 2 hidden",
    ]
    assert f"{loaded.baselines[1].test_loss:.2e}" in out
    assert len(loaded.geometry()) == 6
    legend = comparison_figures(loaded)["accuracy"].legends[0]
    assert "infinite relu net, 1 hidden" in [text.get_text() for text in legend.get_texts()]


def test_the_command_takes_circuits_over_random_angles_and_shows_their_process(tmp_path, capsys) -> None:
    flags = (
        "--data digits --classes 3,8 --features 3 --train 9 --test 20 --steps 3 --alphas 1 --seeds 1 --quiet"
    )
    baselines = "erf:2,mean:light_cone:n=3"
    given = ["compare", "mlp:2", *flags.split(), "--baselines", baselines, "--out", str(tmp_path)]
    assert cli.main(given) == cli.OK
    net, circuit = qlazy.Comparison.load(tmp_path).baselines
    assert net.posterior is None
    lines = [line.split("  ") for line in capsys.readouterr().out.splitlines() if "mean kernel of" in line]
    path, process = ([cell.strip() for cell in line if cell.strip()] for line in lines[:2])
    assert path[1:] == [
        f"{circuit.train_loss:.2e}", f"{circuit.test_loss:.2e}",
        f"{((circuit.limit - circuit.test_targets) ** 2).sum() / 40:.2e}", f"{circuit.test_accuracy:.3f}",
    ]  # fmt: skip
    right = (np.sign(circuit.posterior) == circuit.test_targets).mean()
    assert process == [
        "Gaussian process, mean kernel of light_cone",
        f"{((circuit.posterior - circuit.test_targets) ** 2).sum() / 40:.2e}",
        f"{np.sqrt((circuit.deviation**2).mean()):.2e}", f"{right:.3f}",
    ]  # fmt: skip


@pytest.mark.parametrize("spec", ["tanh", "relu:", "relu:0", "relu:2,3", "mean:", "mean:no_such_family"])
def test_baselines_that_cannot_be_read_are_refused(spec, data) -> None:
    with pytest.raises(ValueError, match="must be"):
        [build_baseline(text, data) for text in command._specs(spec)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": qlazy.Logistic()}, "`baselines` must come with the square loss"),
        ({"method": qlazy.Adam(0.1)}, "`baselines` must come with gradient descent or gradient flow"),
    ],
)  # fmt: skip
def test_refused_before_any_training(data, change, message) -> None:
    arguments = {
        "baselines": [InfiniteNet()],
        "alphas": (1,),
        "seeds": (0,),
        "steps": 1,
        "progress": False,
        **change,
    }
    with pytest.raises(ValueError, match=message):
        qlazy.compare({"net": qlazy.mlp([3, 2, 1])}, data, **arguments)


def test_losses_are_those_of_the_last_step(data) -> None:
    """1/(2n) sum ||f - y||^2 where training stopped, not where it began nor in its limit."""
    infinite = InfiniteNet().train(data, qlazy.GradientDescent(), 7)
    for loss, outputs, targets in (
        (infinite.train_loss, infinite.train_outputs, infinite.train_targets),
        (infinite.test_loss, infinite.test_outputs, infinite.test_targets),
    ):
        assert loss == pytest.approx(((outputs[-1] - targets) ** 2).sum() / (2 * len(targets)))
        assert loss != pytest.approx(((outputs[0] - targets) ** 2).sum() / (2 * len(targets)))


def test_infinite_circuits_follow_their_mean_kernel(data) -> None:
    circuit = qlazy.load_circuit("light_cone", n=3)
    found = qlazy.compare(
        {"circuit": circuit}, data, alphas=(1,), seeds=(0,), steps=30, method=qlazy.GradientFlow(20.0),
        baselines=[InfiniteCircuit(circuit, precision=0.002)], progress=False,
    )  # fmt: skip
    (infinite,) = found.baselines
    kernel, cross = (light_cone.mean_kernel(x, data.x_train) for x in (data.x_train, data.x_test))
    path = LinearizedPath(kernel, torch.zeros_like(data.y_train), data.y_train)
    expected = path.predict(cross, data.y_test.new_zeros(10, 1), path.duals([20.0]))
    np.testing.assert_allclose(infinite.kernel, kernel, rtol=0.02, atol=2e-3)
    np.testing.assert_allclose(infinite.test_outputs[-1], expected[-1], atol=0.02)
    assert str(infinite) in str(found.baselines)
    assert np.array_equal(infinite.full_kernel, infinite.kernel)


def test_infinite_circuits_have_the_posterior_of_their_covariance(data) -> None:
    """Against conditioning with the closed form of the covariance, and the same noise."""
    found = InfiniteCircuit(qlazy.load_circuit("light_cone", n=3), precision=0.002).posterior(
        data.x_train, data.y_train, data.x_test
    )
    own, cross, rest = (
        light_cone.covariance(*pair)
        for pair in ((data.x_train,), (data.x_test, data.x_train), (data.x_test,))
    )
    known = own + found.noise * torch.eye(12)
    torch.testing.assert_close(found.mean, cross @ torch.linalg.solve(known, data.y_train), atol=0.05, rtol=0)
    variance = rest.diagonal() - (cross @ torch.linalg.solve(known, cross.T)).diagonal()
    torch.testing.assert_close(found.deviation.flatten(), variance.clamp_min(0).sqrt(), atol=0.02, rtol=0)


def test_circuits_without_a_mean_kernel_are_refused_before_training(data) -> None:
    circuit = qlazy.load_circuit("data_reuploading", n=3)
    with pytest.raises(qlazy.UnsupportedModelError, match="encode its data before its weights"):
        qlazy.compare(
            {"net": qlazy.mlp([3, 2, 1])}, data, alphas=(1,), seeds=(0,), steps=3,
            baselines=[InfiniteCircuit(circuit)], progress=False,
        )  # fmt: skip
