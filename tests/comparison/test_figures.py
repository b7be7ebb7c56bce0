"""Figures of comparisons that are made up, so that every slope and value in them is known."""

from __future__ import annotations

import csv
import itertools
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from numpy.typing import NDArray

import qlazy
from qlazy.comparison.figures.all import comparison_figures, plot_comparison
from qlazy.comparison.result import Comparison
from qlazy.comparison.run import Run
from qlazy.drawing.files import save, save_figures
from qlazy.kernels.figures import plot_kernel
from qlazy.training.history import History
from qlazy.training.losses import SquaredError

TARGETS = np.array([[-1.0], [1.0], [-1.0], [1.0]])
KERNEL = np.diag([4.0, 3.0, 2.0, 1.0]) + 0.5
STEPS = np.array([0, 1, 10, 100])
ALPHAS = (1.0, 10.0, 100.0, 1000.0)


def made_up_run(
    model: str,
    seed: int,
    alpha: float,
    *,
    moves: float = 1.0,
    targets: NDArray[np.float64] = TARGETS,
    diverged: str = "",
) -> Run:
    """Drift m/a, parameter gap m/a^2, output gap and kernel change m/a: the theory's exponents, exactly."""
    progress = np.linspace(0, 1, len(STEPS))
    linear_params = progress[:, None] * np.array([moves / alpha, 0.0])
    params = linear_params + progress[:, None] * np.array([0.0, moves / alpha**2])
    linear = np.tile(targets, (len(STEPS), 1, 1)) * progress[:, None, None]
    outputs = linear + progress[:, None, None] * moves / alpha * np.abs(targets).clip(1)
    kernel = np.kron(KERNEL, np.eye(targets.shape[1]))
    losses = np.array(
        [float(SquaredError()(torch.from_numpy(o), torch.from_numpy(targets))) for o in outputs]
    )
    trace = History(
        STEPS, STEPS.astype(float), params, losses, outputs, losses, outputs, alpha=alpha,
        loss=SquaredError.convention,
    )  # fmt: skip
    return Run(
        model, seed, alpha, trace, linear_params, linear, linear, targets, targets, kernel,
        kernel * (1 + moves / alpha), diverged,
    )  # fmt: skip


def made_up(models=("one", "two"), alphas=ALPHAS, seeds=(0, 1), **options) -> Comparison:
    runs = itertools.product(models, alphas, seeds)
    return Comparison(tuple(made_up_run(m, s, a, **options) for m, a, s in runs), {})


def drawn(comparison: Comparison, name: str) -> Figure:
    figure = comparison_figures(comparison)[name]
    figure.draw_without_rendering()
    return figure


def legend_texts(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def curves(axes, color: str) -> list:
    """The lines of several points in one colour: data, not legend handles or marks."""
    return [
        line for line in axes.lines
        if to_hex(line.get_color()) == color.lower() and len(np.atleast_1d(line.get_xdata())) > 1
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "slopes"), [("drift", ("−1.00", "−1.00")), ("gap", ("−2.00", "−1.00"))])
def test_slopes_are_in_the_legends_beside_the_theory(name, slopes) -> None:
    figure = drawn(made_up(), name)
    for axes, slope in zip(figure.axes, slopes, strict=True):
        *fitted, theory = legend_texts(axes)
        assert [text.split()[0] for text in fitted] == [slope] * 2
        assert theory == f"{slope.removesuffix('.00')} in theory"
        assert axes.get_xscale() == axes.get_yscale() == "log"


def test_points_are_the_measured_values() -> None:
    axes = drawn(made_up(("one",)), "drift").axes[0]
    data, fit = curves(axes, "#0072B2")
    # drift is sup ||(m/a, m/a^2)|| at m = 1
    expected = [np.hypot(1 / a, 1 / a**2) for a in ALPHAS]
    np.testing.assert_allclose(data.get_ydata(), expected)
    np.testing.assert_allclose(fit.get_ydata(), 1 / np.array([10.0, 1000.0]), rtol=0.01)


def test_a_model_has_one_colour_in_all_figures() -> None:
    figures = comparison_figures(made_up())
    for color in ("#0072B2", "#D55E00"):
        assert len(curves(figures["drift"].axes[0], color)) == 2  # values and their fit
        assert len(curves(figures["accuracy"].axes[0], color)) == 2  # trained and linearised
        assert len(curves(figures["losses"].axes[0], color)) == 4  # the same for two seeds
    titles = [axes.title for axes in figures["spectra"].axes]
    assert [(t.get_text(), t.get_color()) for t in titles] == [("one", "#0072B2"), ("two", "#D55E00")]


def test_the_linearised_loss_is_dashed_and_right() -> None:
    axes = drawn(made_up(("one",), seeds=(0,)), "losses").axes[0]
    trained, linear = curves(axes, "#0072B2")
    assert trained.get_linestyle() == "-"
    assert linear.get_linestyle() == "--"
    (legend,) = [child for child in axes.figure.get_children() if isinstance(child, Legend)]
    names = {
        text.get_text(): line.get_linestyle()
        for text, line in zip(legend.texts, legend.legend_handles, strict=True)
    }
    assert names["trained"] == "-"
    assert names["linearised"] == "--"
    # outputs t y with t = 0, 1/3, 2/3, 1 and y = +-1: half the square of what is left, and 0 not drawn
    np.testing.assert_allclose(linear.get_ydata(), [1 / 2, 2 / 9, 1 / 18, np.nan], rtol=1e-12)


def test_spectra_are_the_eigenvalues() -> None:
    axes = drawn(made_up(("one",)), "spectra").axes[0]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), np.linalg.eigvalsh(KERNEL)[::-1])
    np.testing.assert_allclose(axes.lines[1].get_ydata(), 2 * np.linalg.eigvalsh(KERNEL)[::-1])


def test_kernels_are_ordered_by_class() -> None:
    first = drawn(made_up(("one",)), "kernels").axes[0]
    order = [0, 2, 1, 3]
    np.testing.assert_array_equal(first.images[0].get_array(), KERNEL[np.ix_(order, order)])
    assert [line.get_ydata()[0] for line in first.lines[:1]] == [1.5]


def test_accuracy_shows_chance() -> None:
    targets = np.array([[-1.0], [1.0], [1.0], [1.0]])
    axes = drawn(made_up(targets=targets), "accuracy").axes[0]
    assert 0.75 in [line.get_ydata()[0] for line in axes.lines]
    assert axes.get_ylim()[0] < 0.75


def test_several_classes() -> None:
    figures = comparison_figures(made_up(("one",), targets=np.eye(4)))
    image = figures["kernels"].axes[0].images[0].get_array()
    np.testing.assert_allclose(image, 4 * KERNEL)  # the trace over four equal outputs
    assert 0.25 in [line.get_ydata()[0] for line in figures["accuracy"].axes[0].lines]


def test_regression_has_no_accuracy() -> None:
    assert "accuracy" not in comparison_figures(made_up(targets=np.array([[0.3], [1.1], [-0.2], [0.7]])))


@pytest.mark.parametrize(
    "comparison",
    [
        made_up(("one",), (1.0,), (0,)),
        made_up(("one",), (1.0, 10.0)),
    ],
    ids=["one run", "two scales"],
)
def test_any_number_of_runs_can_be_drawn(comparison, tmp_path: Path) -> None:
    paths = plot_comparison(comparison, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in paths)
    names = {"drift", "gap", "losses", "spectra", "kernels", "accuracy"}
    assert {p.name for p in paths} == {f"{name}.{kind}" for name in names for kind in ("png", "svg")}
    assert all(p.stat().st_size > 1000 for p in paths)


def test_a_model_that_does_not_move_says_zero() -> None:
    figure = drawn(made_up(("still",), moves=0.0), "drift")
    for axes in figure.axes:
        assert "zero throughout" in [text.get_text() for text in axes.texts]
        low, high = axes.get_ylim()
        assert 0 < low < high < np.inf


def test_diverged_runs_are_marked_and_kept_out_of_the_mean() -> None:
    whole = made_up(("one",))
    broken = made_up_run("one", 1, 1.0, moves=1e9, diverged="training diverged at step 7")
    runs = tuple(broken if (r.alpha, r.seed) == (1.0, 1) else r for r in whole.runs)
    comparison = Comparison(runs, {})
    axes = drawn(comparison, "drift").axes[0]
    assert curves(axes, "#0072B2")[0].get_ydata()[0] == pytest.approx(np.sqrt(2))
    assert [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "x"] == [1.0]
    for name in ("gap", "losses", "accuracy"):
        drawn(comparison, name)


def test_no_text_overlaps_in_the_panels_of_many_models() -> None:
    models = [f"strongly_entangling:n={n},layers=12" for n in range(2, 11)]
    figures = comparison_figures(made_up(models, seeds=(0,)))
    for name in ("drift", "losses", "accuracy"):
        figure = figures[name]
        figure.draw_without_rendering()
        for axes in figure.axes:
            if name == "drift":
                assert axes.get_legend().get_window_extent().x0 >= axes.get_window_extent().x1
        outside = [legend.get_window_extent() for legend in figure.legends]
        labels = [axes.xaxis.label.get_window_extent() for axes in figure.axes if axes.get_xlabel()]
        width, height = figure.bbox.size
        for box in outside:
            assert box.x0 >= 0
            assert box.x1 <= width
            assert box.y0 >= 0
            assert not any(box.overlaps(label) for label in labels)
        for box in labels:
            assert box.y0 >= 0
            assert box.y1 <= height


def test_svg_is_the_same_bytes_every_time_with_text_as_text(tmp_path: Path) -> None:
    for folder in ("first", "second"):
        figures = comparison_figures(made_up(("one",), (1.0, 10.0, 100.0), (0,)))
        for name in ("drift", "kernels"):
            save(figures[name], tmp_path / folder, name)
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes(), path.name
    text = (tmp_path / "first" / "drift.svg").read_text(encoding="utf-8")
    assert "output scale a" in text
    assert "<dc:date>" not in text


def test_the_settings_of_the_user_are_left_alone(tmp_path: Path) -> None:
    with mpl.rc_context({"font.size": 31, "lines.linewidth": 9}):
        before = dict(mpl.rcParams)
        save(comparison_figures(made_up(("one",)))["gap"], tmp_path, "gap")
        assert dict(mpl.rcParams) == before
        figure = comparison_figures(made_up(("one",)))["drift"]
        assert figure.axes[0].xaxis.label.get_size() < 31


def test_a_trace_shows_losses_and_drift(tmp_path: Path) -> None:
    trace = made_up_run("one", 0, 10.0).trace
    figure = trace.plot()
    losses, drift = figure.axes
    assert legend_texts(losses) == ["train", "test"]
    np.testing.assert_allclose(drift.lines[0].get_ydata(), trace.drift)
    assert [p.name for p in save(figure, tmp_path, "trace")] == ["trace.png", "trace.svg"]


def test_a_kernel_with_its_labels() -> None:
    figure = plot_kernel(torch.from_numpy(KERNEL), torch.from_numpy(TARGETS))
    figure.draw_without_rendering()
    spectrum, energy, image, _ = figure.axes
    np.testing.assert_allclose(spectrum.lines[0].get_ydata(), np.linalg.eigvalsh(KERNEL)[::-1])
    rank = np.trace(KERNEL) ** 2 / np.trace(KERNEL @ KERNEL)
    assert legend_texts(spectrum) == [f"participation ratio {rank:.1f}"]
    assert energy.lines[0].get_ydata()[-1] == pytest.approx(1)
    assert image.images[0].get_array().shape == (4, 4)


def test_values_draw_themselves() -> None:
    """A comparison and a kernel give the figures that the functions beneath them draw."""
    comparison = made_up()
    assert list(comparison.figures()) == list(comparison_figures(comparison))
    params = torch.tensor([0.3, -1.0], dtype=torch.float64)
    kernel = qlazy.tangent_kernel(
        qlazy.Function(lambda w, x: (x @ w).unsqueeze(1), 2), params, torch.eye(2).double()
    )
    spectrum = kernel.plot(np.array([[1.0], [-1.0]])).axes[0]
    np.testing.assert_allclose(spectrum.lines[0].get_ydata(), [1.0, 1.0])
    with pytest.raises(ValueError, match="`x2` must be absent for plot"):
        qlazy.tangent_kernel(kernel.model, params, kernel.x, kernel.x).plot(np.ones((2, 1)))


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="`comparison` must hold at least one run"):
        comparison_figures(Comparison((), {}))
    with pytest.raises(ValueError, match="`kernel` must not be zero"):
        plot_kernel(np.zeros((4, 4)), TARGETS)
    with pytest.raises(ValueError, match=r"`labels` must have shape \(n, c\)"):
        plot_kernel(KERNEL, TARGETS[:, 0])
    with pytest.raises(ValueError, match="`labels` must have n c = 4 entries"):
        plot_kernel(KERNEL, TARGETS[:3])
    with pytest.raises(ValueError, match="`history` must hold at least one recorded step"):
        History(STEPS[:0], STEPS[:0] * 1.0, np.zeros((0, 2)), np.zeros(0), np.zeros((0, 4, 1))).plot()


def test_no_figure_of_an_earlier_comparison_stays(tmp_path):
    """Those of qlazy alone are removed: the user's own stay."""
    (tmp_path / "mine.svg").write_text("<svg>bounds</svg>")
    comparison = made_up(("one",), alphas=(1.0, 10.0), seeds=(0,))
    comparison.report(tmp_path)
    extra = {"features_of_one": comparison.figures()["drift"]}
    save_figures(extra, tmp_path)
    assert (tmp_path / "features_of_one.png").exists()
    comparison.report(tmp_path)
    names = {path.stem for path in tmp_path.glob("*.svg")}
    assert names == {*comparison.figures(), "mine"}
    assert {path.stem for path in tmp_path.glob("*.png")} == {*comparison.figures()}


def test_a_report_keeps_what_is_printed(tmp_path) -> None:
    """The geometric differences, in a file and on the page, and the learning rate of each model."""
    comparison = made_up(("one", "two"), (1.0, 10.0), seeds=(0, 1))
    runs = tuple(
        replace(run, trace=replace(run.trace, learning_rate=0.5 + run.seed)) for run in comparison.runs
    )
    comparison = Comparison(runs, {"method": "GradientDescent(learning_rate=None)"})
    assert comparison.learning_rates() == {"one": (0.5, 1.5), "two": (0.5, 1.5)}
    page = comparison.report(tmp_path, ridge=0.3).read_text()
    assert "one 0.5 to 1.5; two 0.5 to 1.5" in page
    assert "geometric difference g" in page
    with (tmp_path / "geometric_differences.csv").open() as file:
        rows = list(csv.DictReader(file))
    pairs = comparison.geometry(0.3)
    assert [(row["model"], row["other"]) for row in rows] == [("one", "two"), ("two", "one")]
    for row, pair in zip(rows, pairs, strict=True):
        assert float(row["difference"]) == pair.difference
        assert float(row["ridge"]) == 0.3
