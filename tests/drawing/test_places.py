"""Figures on the user's axes and in the user's style, and matplotlib's own settings as they were."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

import qlazy
from qlazy.comparison.metrics import THEORY
from qlazy.drawing.files import Drawing
from qlazy.kernels.figures import plot_kernel
from tests.comparison.test_figures import KERNEL, TARGETS, made_up
from tests.drawing.looking import covered_data, cut_texts

STYLES = {
    "settings": {"font.size": 13.0, "axes.labelsize": 13.0},
    "name": "ggplot",
    "several": ["ggplot", {"axes.labelsize": 11.0}],
    "all of one's own": mpl.rcParams,
}


def label_size(figure: Figure) -> float:
    return figure.axes[0].xaxis.label.get_size()


@pytest.mark.parametrize("asked", STYLES.values(), ids=STYLES)
def test_settings_of_matplotlib_are_as_they_were(asked, tmp_path) -> None:
    comparison = made_up(("one",), alphas=(1.0, 10.0), seeds=(0,))
    with mpl.rc_context({"font.size": 31, "axes.labelsize": 17.0}):
        before = dict(mpl.rcParams)
        Drawing(comparison.figures(style=asked)["gap"]).file("pdf")
        comparison.figure("parameter gap", Figure().subplots(), style=asked)
        plot_kernel(KERNEL, TARGETS, style=asked)
        assert dict(mpl.rcParams) == before


def test_a_style_is_what_figures_are_drawn_in() -> None:
    comparison = made_up(("one",), seeds=(0,))
    assert label_size(comparison.figures()["drift"]) == 8
    assert label_size(comparison.figures(style={"axes.labelsize": 13.0})["drift"]) == 13
    assert (
        label_size(comparison.figures(style=[{"axes.labelsize": 9}, {"axes.labelsize": 11.0}])["drift"]) == 11
    )
    ggplot = comparison.figures(style="ggplot")["drift"].axes[0]
    assert mpl.colors.to_hex(ggplot.get_facecolor()) == "#e5e5e5"
    with mpl.rc_context({"axes.labelsize": 17.0, "axes.spines.top": True}):
        own = comparison.figures(style=mpl.rcParams)["drift"]
        assert label_size(own) == 17
        assert own.axes[0].spines.top.get_visible()
        assert label_size(comparison.figures()["drift"]) == 8
    assert label_size(comparison.runs[0].trace.plot(style={"axes.labelsize": 12.0})) == 12
    assert label_size(plot_kernel(KERNEL, TARGETS, style={"axes.labelsize": 12.0})) == 12


def test_letters_of_formulas_are_drawn_in_the_style_too() -> None:
    """Some settings are read as the file is written: those of the figure, not those of the moment."""
    figure = made_up(("one",), seeds=(0,)).figure("gap", style={"svg.fonttype": "path"})
    assert b"<text" not in Drawing(figure).file("svg")
    assert b"<text" in Drawing(made_up(("one",), seeds=(0,)).figure("gap")).file("svg")


@pytest.mark.parametrize(
    ("asked", "error", "says"),
    [
        (
            "no such style",
            ValueError,
            "be a style of matplotlib, such as ggplot, or a file of one, but is 'no such",
        ),
        ({"no.such": 1}, ValueError, "have settings of matplotlib"),
        ({"font.size": "blue"}, ValueError, "have settings of matplotlib"),
        (3, TypeError, "be a style of matplotlib, settings by name, or a list of these, but is int"),
    ],
)
def test_other_styles_are_refused(asked, error, says) -> None:
    before = dict(mpl.rcParams)
    with pytest.raises(error, match=f"`style` must {says}"):
        made_up(("one",), seeds=(0,)).figures(style=asked)
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("metric", [*THEORY, "test accuracy"])
def test_one_panel_goes_on_the_users_axes(metric) -> None:
    comparison = made_up()
    with mpl.rc_context({"axes.labelsize": 14.0}):
        figure = Figure()
        left, right = figure.subplots(1, 2)
        left.plot([1, 2])
        assert comparison.figure(metric, right) is figure
    assert right.xaxis.label.get_size() == 14  # the user's settings rule on the user's axes
    alone = comparison.figure(metric).axes[0]
    for one, other in zip(right.lines, alone.lines, strict=True):
        np.testing.assert_array_equal(one.get_ydata(), other.get_ydata())
    assert right.get_legend() is not None
    assert len(left.lines) == 1


@pytest.mark.parametrize("layout", ["constrained", "tight", None])
@pytest.mark.parametrize("height", [2.8, 4.0])
def test_legends_on_the_users_axes_cover_nothing(layout, height) -> None:
    """Whatever stands beside them; and where there is a layout, axes end a little beyond the data."""
    comparison = made_up(("a_circuit_of_long_name", "two", "three"))
    for metric in ("parameter gap", "kernel change"):
        page = Figure(figsize=(6.8, height), layout=layout)
        left, right = page.subplots(1, 2)
        comparison.figure(metric, left)
        comparison.figure("test accuracy", right)
        page.draw_without_rendering()
        assert [fault for axes in (left, right) for fault in covered_data(axes)] == []
        if layout:
            drawn = np.concatenate([line.get_ydata() for line in left.lines])
            low, high = np.log(left.get_ylim())
            assert np.ptp(np.log(drawn)) > 0.7 * (high - low)


@pytest.mark.parametrize("name", ["drift", "losses", "kernels", "spectra"])
def test_several_panels_go_on_a_subfigure(name) -> None:
    comparison = made_up()
    page = Figure(layout="constrained", figsize=(9, 9))
    upper, lower = page.subfigures(2, 1)
    comparison.figure(name, upper)
    comparison.figure("accuracy", lower)
    page.draw_without_rendering()
    assert len(upper.axes) == len(comparison.figure(name).axes)
    assert len(lower.axes) == 1
    assert list(cut_texts(page)) == []


def test_other_values_draw_on_a_figure_of_the_user() -> None:
    params = np.array([0.3, -1.0])
    model = qlazy.Function(lambda w, x: (x @ w).unsqueeze(1), 2)
    import torch

    kernel = qlazy.tangent_kernel(model, torch.from_numpy(params), torch.eye(2, dtype=torch.float64))
    for draw in (
        lambda ax: kernel.plot(np.array([[1.0], [-1.0]]), ("no", "yes"), ax),
        made_up(("one",)).runs[0].trace.plot,
    ):
        page = Figure()
        draw(page)
        assert len(page.axes) >= 2
        page.draw_without_rendering()
        with pytest.raises(
            ValueError, match="`ax` must be a figure or a subfigure, as there are several panels"
        ):
            draw(Figure().subplots())
        with pytest.raises(ValueError, match="`ax` must have no axes yet, or be axes"):
            draw(page)
        with pytest.raises(
            TypeError, match="`ax` must be matplotlib axes, a figure or a subfigure, but is int"
        ):
            draw(3)


@pytest.mark.parametrize("projection", ["polar", "mollweide"])
def test_axes_that_are_bent_are_refused(projection: str) -> None:
    page = Figure().add_subplot(projection=projection)
    for name in ("parameter gap", "test accuracy"):
        with pytest.raises(ValueError, match=f"`ax` must be plain axes, .* but is {projection}"):
            made_up().figure(name, page)


def test_other_names_of_figures_are_refused() -> None:
    with pytest.raises(ValueError, match="`name` must be one of drift, gap, .*parameter gap.*but is 'gaps'"):
        made_up().figure("gaps")
    regression = made_up(targets=np.array([[0.3], [1.1], [-0.2], [0.7]]))
    with pytest.raises(ValueError, match="`name` must be of a figure that applies to the comparison"):
        regression.figure("accuracy")
