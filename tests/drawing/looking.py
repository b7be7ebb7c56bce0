"""What is wrong with a figure to the eye, found by measuring it: a list of sentences, empty for a good one.

Texts are measured where matplotlib draws them, data in pixels.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.mathtext import MathTextParser
from matplotlib.text import Text
from numpy.typing import NDArray

from qlazy.drawing.style import caption_of

LEAST_SHARE = 0.35
"""The share of an axis that its data take at least."""
SLACK = 1.5  # pixels


def faults(figures: Mapping[str, Figure]) -> list[str]:
    """Everything that is wrong with figures by name. Older matplotlibs place texts in other ways: skips."""
    if tuple(map(int, matplotlib.__version__.split(".")[:2])) < (3, 10):
        pytest.skip("figures are measured with matplotlib 3.10 or later")
    return [f"{name}: {fault}" for name, figure in figures.items() for fault in _faults(figure)]


def _faults(figure: Figure) -> Iterator[str]:
    figure.draw_without_rendering()
    if not caption_of(figure):
        yield "no caption"
    yield from cut_texts(figure)
    yield from sizes(figure)
    yield from strange_glyphs(figure)
    yield from overlapping_texts(figure)
    yield from untrue_legends(figure)
    for axes in figure.axes:
        yield from bare_axes(axes)
        yield from empty_axes(axes)
        yield from covered_data(axes)
        yield from broken_counts(axes)


def texts(figure: Figure) -> list[Text]:
    """All that can be read, ticks within the view alone."""
    found = [text for text in figure.findobj(Text) if _is_shown(text)]
    hidden = {id(text) for axes in figure.axes for text in _ticks_out_of_view(axes)}
    return [text for text in found if id(text) not in hidden]


def _is_shown(text: Text) -> bool:
    return bool(text.get_text().strip()) and text.get_visible() and text.get_window_extent().width > 0


def _ticks_out_of_view(axes: Axes) -> Iterator[Text]:
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        slack = 1e-9 * abs(high - low)
        for tick in (*axis.majorTicks, *axis.minorTicks):
            inside = low - slack <= tick.get_loc() <= high + slack
            for label, on in (
                (tick.label1, tick.label1.get_visible()),
                (tick.label2, tick.label2.get_visible()),
            ):
                if not (inside and on and axes.get_visible() and axes.axison):
                    yield label


def cut_texts(figure: Figure) -> Iterator[str]:
    """Texts that reach out of the figure."""
    width, height = figure.bbox.size
    for text in texts(figure):
        box = text.get_window_extent()
        if min(box.x0, box.y0) < -SLACK or box.x1 > width + SLACK or box.y1 > height + SLACK:
            yield f"{text.get_text()!r} is cut at the edge"


def sizes(figure: Figure) -> Iterator[str]:
    """More than one size of letters."""
    found = {round(text.get_fontsize(), 2) for text in texts(figure)}
    if len(found) > 1:
        yield f"texts of sizes {sorted(found)}"


def strange_glyphs(figure: Figure) -> Iterator[str]:
    """Formulas whose glyphs come from fonts in which they stand for another character."""
    parser = MathTextParser("path")
    for text in texts(figure):
        if text.get_text().count("$") >= 2:
            lines = text.get_text().splitlines()
            fonts = {glyph[0].family_name for line in lines for glyph in parser.parse(line).glyphs}
            if any(font.startswith("cm") for font in fonts):
                yield f"{text.get_text()!r} would be read as another text"


def overlapping_texts(figure: Figure) -> Iterator[str]:
    """Texts on top of each other, those that lie slantwise aside."""
    level = [text for text in texts(figure) if text.get_rotation() in (0, 90)]
    boxes = [(text.get_text(), text.get_window_extent().padded(-SLACK)) for text in level]
    for (one, first), (other, second) in itertools.combinations(boxes, 2):
        if first.width > 0 and second.width > 0 and first.overlaps(second):
            yield f"{one!r} lies over {other!r}"


def _dashes(line: Line2D) -> tuple[object, ...]:
    _, pattern = line._unscaled_dash_pattern
    return () if pattern is None else tuple(pattern)


def untrue_legends(figure: Figure) -> Iterator[str]:
    """Entries of legends whose dashes no line of the figure has."""
    drawn = {_dashes(line) for axes in figure.axes for line in axes.lines if line.get_linestyle() != "None"}
    for legend in figure.findobj(Legend):
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
            if (
                isinstance(handle, Line2D)
                and handle.get_linestyle() != "None"
                and _dashes(handle) not in drawn
            ):
                yield f"no line is dashed as {text.get_text()!r} in the legend"


def bare_axes(axes: Axes) -> Iterator[str]:
    """Logarithmic axes with fewer than two numbers."""
    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() != "log" or not axes.axison:
            continue
        low, high = sorted(axis.get_view_interval())
        ticks = [tick for tick in (*axis.majorTicks, *axis.minorTicks) if low <= tick.get_loc() <= high]
        shown = [tick for tick in ticks if tick.label1.get_visible() or tick.label2.get_visible()]
        named = [tick for tick in shown if tick.label1.get_text() or tick.label2.get_text()]
        if shown and len({tick.get_loc() for tick in named}) < 2:
            yield f"{len(named)} numbers on a logarithmic axis from {low:.3g} to {high:.3g}"


COUNTED = (
    "index",
    "parameter",
    "circuit",
    "qubits n",
    "qubits m",
    "layers L",
    "rank r",
    "components m",
    "neurons m",
)


def broken_counts(axes: Axes) -> Iterator[str]:
    """Fractions on an axis of what is counted."""
    if axes.get_xlabel() in COUNTED:
        labels = [tick.label1.get_text() for tick in axes.xaxis.majorTicks if tick.label1.get_visible()]
        if any("." in label for label in labels):
            yield f"fractions of {axes.get_xlabel()!r}: {labels}"


def points(axes: Axes, *, across: bool = True) -> NDArray[np.float64]:
    """What is drawn, in pixels (n, 2): points of lines, also of those ``across`` the frame, and of error bars."""
    found = [np.zeros((0, 2))]
    for line in axes.lines:
        if not across and line.get_transform() != axes.transData:
            continue
        data = np.column_stack([np.asarray(values, dtype=float) for values in line.get_data()])
        found.append(_dense(line.get_transform().transform(data), line))
    for container in axes.containers:
        if isinstance(container, ErrorbarContainer):
            for bars in container.lines[2]:
                ends = [axes.transData.transform(segment) for segment in bars.get_segments() if len(segment)]
                found += [np.linspace(segment[0], segment[-1], 20) for segment in ends]
    for patch in axes.patches:
        if patch.get_transform().contains_branch(axes.transData) and hasattr(patch, "get_height"):
            corners = patch.get_window_extent().corners()
            found.append(np.asarray(corners))
    every = np.concatenate(found)
    return every[np.isfinite(every).all(1)]


def _dense(pixels: NDArray[np.float64], line: Line2D) -> NDArray[np.float64]:
    if line.get_linestyle() == "None" or len(pixels) < 2:
        return pixels
    shares = np.linspace(0, 1, 25)[:, None, None]
    return (pixels[:-1] * (1 - shares) + pixels[1:] * shares).reshape(-1, 2)


def covered_data(axes: Axes) -> Iterator[str]:
    """A legend within the frame that lies over what is drawn."""
    legend = axes.get_legend()
    if legend is None:
        return
    box = legend.get_window_extent()
    frame = axes.get_window_extent()
    seen = points(axes)
    inside = seen[(seen >= frame.min - SLACK).all(1) & (seen <= frame.max + SLACK).all(1)]
    over = (inside >= box.min).all(1) & (inside <= box.max).all(1)
    if over.any():
        yield f"the legend with {legend.get_texts()[0].get_text()!r} covers {over.sum()} points of what is drawn"


def empty_axes(axes: Axes) -> Iterator[str]:
    """An axis that goes far past the data; a legend takes its own room, and panels with one axis share it."""
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        low, high = axis.get_view_interval()
        short = axis.get_scale() == "log" and high / low < 7  # takes that much to have two numbers
        whole = "share" in axis.get_label_text()  # from 0 to 1 by nature
        share = max(
            _taken(one, name) for one in axes.figure.axes if _limits(one, name) == _limits(axes, name)
        )
        if 1e-6 < share < LEAST_SHARE and not short and not whole:
            yield f"data take {100 * share:.0f} % of the {name} axis of {axes.get_ylabel()!r}"


def _limits(axes: Axes, name: str) -> tuple[float, float]:
    return axes.get_xlim() if name == "x" else axes.get_ylim()


def _taken(axes: Axes, name: str) -> float:
    """The share of an axis that data and legend take; 1 for images and where there are no data."""
    seen, frame = points(axes, across=False), axes.get_window_extent()
    if len(seen) < 2 or axes.images:
        return 1.0
    legend = axes.get_legend()
    if legend is not None:
        seen = np.concatenate([seen, legend.get_window_extent().corners()])
    seen = np.clip(seen, frame.min, frame.max)
    shares = np.ptp(seen, axis=0) / (frame.width, frame.height)
    return float(shares["xy".index(name)])
