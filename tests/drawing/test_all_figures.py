"""Every figure over drawn results: nothing is cut, covered, bare or unreadable; and each fault is one that is seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from qlazy.comparison.result import Comparison
from qlazy.drawing.legends import clear_legend
from qlazy.drawing.style import Plate, grid, log_axis, size_axis, style
from qlazy.kernels.figures import OUTLIERS, plot_kernel
from qlazy.kernels.spectrum import eigenvalues, rank_cutoff
from tests.comparison.test_figures import made_up
from tests.drawing.looking import bare_axes, faults

QUICK = (
    Phase.explicit,
    Phase.generate,
)  # a failing figure is not drawn again and again to find a smaller one
NAMES = ("one", "hardware_efficient:n=12,layers=10", "mlp:16,16,relu", "r", "five")


TARGETS = {
    "signs": (np.array([[-1.0], [1.0], [-1.0], [1.0]]), ["no", "yes"]),
    "classes": (np.eye(4), list("abcd")),
    "reals": (np.array([[0.3], [1.1], [-0.2], [0.7]]), []),
}


@pytest.mark.slow
@settings(max_examples=4, deadline=None, phases=QUICK)
@example(2, 0, 2, 2, "signs").via("equal values have no limits of their own")
@example(4, 0, 1, 0, "signs").via("numbers of a low panel lay over each other")
@given(
    st.integers(1, 5), st.integers(0, 3), st.integers(1, 2), st.integers(-3, 2), st.sampled_from([*TARGETS])
)
def test_figures_of_comparisons_have_no_faults(models, decades, seeds, size, kind) -> None:
    """One to five models, few or many scales, changes from tiny to huge, two or four classes or regression."""
    alphas = tuple(float(a) for a in np.geomspace(1, 10.0**decades, 2 * decades + 1))
    targets, classes = TARGETS[kind]
    made = made_up(NAMES[:models], alphas, range(seeds), moves=10.0**size, targets=targets)
    assert faults(Comparison(made.runs, {"classes": classes}).figures()) == []


def test_figures_of_a_comparison_have_no_faults() -> None:
    """The same for one of few models, which is fast."""
    made = made_up(NAMES[:2], (1.0, 10.0, 100.0), range(2))
    assert faults(Comparison(made.runs, {"classes": ["no", "yes"]}).figures()) == []


@settings(max_examples=3, deadline=None, phases=QUICK)
@given(st.integers(0, 2**32 - 1), st.integers(4, 12), st.integers(1, 4), st.sampled_from([1, 3]))
def test_kernels_are_drawn_up_to_their_rank_and_without_outliers(seed, samples, rank, outputs) -> None:
    rng = np.random.default_rng(seed)
    factor = rng.standard_normal((samples * outputs, rank))
    factor[0] *= 30  # an outlier: its entry is hundreds of times the others
    kernel = factor @ factor.T
    chosen = np.arange(samples) % max(outputs, 2)
    labels = np.where(chosen == 0, -1.0, 1.0)[:, None] if outputs == 1 else np.eye(outputs)[chosen]
    names = ("no", "yes") if outputs == 1 else ("a", "b", "c")
    figure = plot_kernel(kernel, labels, names)
    assert faults({"kernel": figure}) == []
    spectrum, energy, image, _ = figure.axes
    values = eigenvalues(torch.from_numpy(kernel))
    found = int((values > rank_cutoff(values)).sum())
    assert len(energy.lines[0].get_xdata()) == len(spectrum.lines[0].get_xdata()) == found <= rank
    assert energy.get_xlim()[1] < 6 * found
    drawn = np.abs(np.asarray(image.images[0].get_array()))
    limit = image.images[0].get_clim()[1]
    assert (drawn > limit).mean() <= OUTLIERS + 1 / drawn.size
    assert limit == pytest.approx(np.quantile(drawn, 1 - OUTLIERS))
    assert f"{100 * OUTLIERS:g} % of entries share a colour" in figure.caption
    assert tuple(label.get_text() for label in image.get_yticklabels()) == names


@settings(max_examples=6, deadline=None, phases=QUICK)
@given(st.floats(-9, 9), st.floats(0, 6))
def test_a_logarithmic_axis_has_two_numbers_and_little_beyond_the_data(start, reach) -> None:
    ends = 10 ** np.array([start, start + reach])
    with style():
        figure, panels = grid(1, 1, caption="an axis")
        panels[0, 0].plot([0, 1], ends)
        log_axis(panels[0, 0], "y", ends)
    low, high = np.log10(panels[0, 0].get_ylim())
    assert high - low <= max(0.76, 1.2 * reach)
    assert faults({"axis": figure}) == []


def test_equal_values_have_two_numbers_beside_them_wherever_they_lie() -> None:
    """The narrowest axis, at forty places of a decade."""
    with style():
        figure, panels = grid(1, 1, caption="an axis")
        for start in np.linspace(0, 1, 40, endpoint=False):
            log_axis(panels[0, 0], "y", np.array([10**start]))
            figure.draw_without_rendering()
            assert list(bare_axes(panels[0, 0])) == []


@settings(max_examples=5, deadline=None, phases=QUICK)
@given(st.lists(st.integers(1, 4096), min_size=2, max_size=4, unique=True).map(sorted))
def test_few_sizes_have_a_number_each(sizes) -> None:
    with style():
        figure, panels = grid(1, 1, caption="sizes")
        size_axis(panels[0, 0], "x", np.array(sizes))
        figure.draw_without_rendering()
    assert [label.get_text() for label in panels[0, 0].get_xticklabels()] == [f"{size:g}" for size in sizes]
    low, high = panels[0, 0].get_xlim()
    assert low < sizes[0] < sizes[-1] < high
    assert high / low < (sizes[-1] / sizes[0]) ** 1.2 * 1.3


@settings(max_examples=6, deadline=None, phases=QUICK)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 3), st.booleans())
def test_legends_cover_nothing_whatever_is_drawn(seed, lines, columns, log) -> None:
    rng = np.random.default_rng(seed)
    with style():
        figure, (panels,) = grid(1, columns, caption="walks")
        for axes in panels:
            walks = rng.standard_normal((lines, 30)).cumsum(1) * rng.uniform(0.1, 10)
            for index, walk in enumerate(walks):
                axes.plot(np.exp(walk / 5) if log else walk, label="a walk" + " of length" * index)
            if log:
                log_axis(axes, "y", np.exp(walks / 5))
            clear_legend(axes)
    assert [fault for fault in faults({"walks": figure}) if "covers" in fault] == []


def faulty(kind: str) -> Figure:
    """A figure with one fault."""
    with style():
        figure, panels = grid(1, 1, caption="" if kind == "no caption" else "a figure")
        axes = panels[0, 0]
        (line,) = axes.plot([1, 2, 3], [1.0, 2.0, 3.0], label="line")
        if kind == "is cut":
            axes.text(0.9, 1.2, "far beyond the edge of the figure", transform=axes.transAxes).set_in_layout(
                False
            )
        if kind == "sizes":
            axes.set_title("a title", fontsize=12)
        if kind == "another text":
            axes.set_ylabel("$K(x, x')$")
        if kind == "lies over":
            axes.text(0.5, 0.5, "one text", transform=axes.transAxes)
            axes.text(0.5, 0.5, "another", transform=axes.transAxes)
        if kind == "covers":
            axes.legend(loc="lower left")
        if kind == "dashed":
            axes.legend(handles=[Figure().subplots().plot([], "--", label="dashed")[0]], loc="upper left")
        if kind == "numbers on a log":
            axes.set_yscale("log")
            axes.yaxis.set_minor_formatter(NullFormatter())
        if kind == "fractions":
            axes.set_xlabel("index")
        if kind == "data take":
            axes.set_xlim(0, 300)
        assert line in axes.lines
    return figure


@pytest.mark.parametrize(
    "kind",
    [
        "no caption",
        "is cut",
        "sizes",
        "another text",
        "lies over",
        "covers",
        "dashed",
        "numbers on a log",
        "fractions",
        "data take",
    ],
)
def test_each_fault_is_seen(kind) -> None:
    assert faults({"good": faulty("none")}) == []
    assert any(kind in fault for fault in faults({"faulty": faulty(kind)}))


def test_an_axis_of_counts_has_no_negative_numbers() -> None:
    """However much room a legend takes: the axis grows upwards."""
    with style():
        figure, panels = grid(1, 1, height=1.6, caption="counts")
        axes = panels[0, 0]
        for level in (0, 4, 7):
            axes.plot([1, 2, 3], [level, level + 1, level], label=f"from {level} on, one more and back")
        axes.set_ylim(bottom=0)
        clear_legend(axes)
    assert axes.get_ylim()[0] == 0
    assert axes.get_ylim()[1] > 8.4
    assert [fault for fault in faults({"counts": figure}) if "covers" in fault] == []


def test_captions_belong_to_their_figures() -> None:
    """Two figures of one name in two results have captions of their own."""
    from qlazy.studies.control_flow.figures import control_flow_figures

    rng = np.random.default_rng(0)
    arrays = {f"loss_{name}": rng.uniform(0.1, 1, (2, 5)) for name in ("p1", "p2")}
    arrays |= {"alphas": np.array([1.0, 10.0, 100.0])}
    for metric in ("parameter_drift", "kernel_change", "output_gap"):
        for run in ("p1_last", "p2_last", "p2_parity"):
            arrays[f"{metric}_{run}"] = rng.uniform(0.1, 1, (3, 2))
    own, others = control_flow_figures(arrays)["losses"], made_up(("one",), seeds=(0,)).figures()["losses"]
    assert isinstance(own, Plate)
    assert "P1" in own.caption
    assert isinstance(others, Plate)
    assert "linearised" in others.caption
    assert faults({"losses": own}) == []
