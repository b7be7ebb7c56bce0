"""The look all figures share, and the place that they are drawn on. The user's matplotlib settings are left alone.

Figures are made without pyplot: no backend is chosen, no global state is touched, nothing needs closing.
"""

from __future__ import annotations

import io
import math
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, cast, final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Figure
from matplotlib.figure import SubFigure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from qlazy.base.errors import refuse, require

Style = str | os.PathLike[str] | Mapping[str, Any] | Sequence[Any]
"""What matplotlib takes as a style: a name, a file, settings by name, or several of them."""
Place = Axes | Figure | SubFigure
"""Where a user has a figure drawn: axes for one of a single panel, a figure or a part of one for any."""


INK = "#333333"
GUIDE = "#8a8a8a"
SIZE = 8.0  # points, of every text
COLUMN = 3.4  # inches: the width of a panel, and of a column in a two-column paper

# Okabe and Ito's palette, told apart with any colour vision, less its yellow, too faint for lines on white.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")

_SETTINGS: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": SIZE,
    "axes.titlesize": SIZE,
    "axes.labelsize": SIZE,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": SIZE,
    "ytick.labelsize": SIZE,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "legend.fontsize": SIZE,
    "legend.title_fontsize": SIZE,
    "figure.titlesize": SIZE,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "figure.dpi": 120,
    "savefig.dpi": 200,
    "svg.fonttype": "none",  # text stays text: it can be searched, and edited
    "pdf.fonttype": 42,  # fonts are embedded as TrueType, which journals ask for
    "ps.fonttype": 42,
}


class Look(NamedTuple):
    """The colour and marker of a model in every figure of a comparison."""

    color: str
    marker: str


def looks(models: Iterable[str]) -> dict[str, Look]:
    """A look for each model, by its place in the comparison."""
    return {
        model: Look(_COLORS[i % len(_COLORS)], _MARKERS[i % len(_MARKERS)]) for i, model in enumerate(models)
    }


_ASKED: ContextVar[Style | None] = ContextVar("style asked for", default=None)
_PLACE: ContextVar[Place | None] = ContextVar("place to draw on", default=None)


@contextmanager
def style(asked: Style | None = None, on: Place | None = None) -> Iterator[None]:
    """The settings that figures are drawn with, for the length of a block, and the place that they are drawn on.

    qlazy's own on top of matplotlib's defaults, and on top of these what is ``asked`` for, here or by
    :func:`drawn_in`. On a place of the user's, whose settings rule there, only what is asked for here.
    Raises ValueError for a style that matplotlib does not know, TypeError for a place that is none.
    """
    must = "be matplotlib axes, a figure or a subfigure"
    require(on is None or isinstance(on, Place), "ax", must, type(on).__name__, TypeError)
    bent = isinstance(on, Axes) and on.name != "rectilinear"
    require(not bent, "ax", "be plain axes, with a straight x and y", getattr(on, "name", ""))
    chosen = _ASKED.get() if asked is None and on is None else _as_it_is(asked)
    places, asking = _PLACE.set(on), _ASKED.set(chosen)
    try:
        with mpl.rc_context():
            if on is None:
                mpl.rcdefaults()
                mpl.rcParams.update(_SETTINGS)
            if chosen is not None:
                _use(chosen)
            mpl.rcParams["svg.hashsalt"] = "qlazy"  # ids that do not change from one run to the next
            yield
    finally:
        _PLACE.reset(places)
        _ASKED.reset(asking)


@contextmanager
def drawn_in(asked: Style | None) -> Iterator[None]:
    """The style of all figures that are drawn in a block, where the call that draws them asks for no other.

    Raises ValueError for a style that matplotlib does not know.
    """
    with style(asked):
        asking = _ASKED.get()
    token = _ASKED.set(asking)
    try:
        yield
    finally:
        _ASKED.reset(token)


def _as_it_is(asked: Style | None) -> Style | None:
    """A style that stays as it is: matplotlib's own settings change within a block."""
    if isinstance(asked, Mapping):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old settings warn where they are read
            return {name: asked[name] for name in asked if name not in _NOT_OF_A_STYLE}
    if asked is None or isinstance(asked, str | os.PathLike):
        return asked
    must = "be a style of matplotlib, settings by name, or a list of these"
    is_list = isinstance(asked, Sequence) and not isinstance(asked, bytes) and None not in asked
    require(is_list, "style", must, type(asked).__name__, TypeError)
    return tuple(_as_it_is(one) for one in asked)


_NOT_OF_A_STYLE = {"backend", "backend_fallback", "interactive", "toolbar", "timezone"}


def _use(asked: Style) -> None:
    if isinstance(asked, Mapping):
        try:
            mpl.rcParams.update(cast(Any, asked))
        except (KeyError, ValueError) as error:
            refuse("style", "have settings of matplotlib", f"{error.args[0]}")
    elif isinstance(asked, str | os.PathLike):
        from matplotlib.style import use

        try:
            use(os.fspath(asked))
        except OSError:
            refuse("style", "be a style of matplotlib, such as ggplot, or a file of one", repr(str(asked)))
    else:
        for one in asked:
            _use(one)


@final
class Plate(Figure):
    """A matplotlib figure that knows its ``caption`` and the style that it was drawn in."""

    caption: str = ""
    asked: Style | None = None

    def _repr_png_(self) -> bytes:
        """What a notebook shows where matplotlib was not told to show figures there."""
        picture = io.BytesIO()
        with style(self.asked):
            self.savefig(picture, format="png")
        return picture.getvalue()


def grid(
    rows: int,
    columns: int,
    *,
    height: float = 2.6,
    width: float = COLUMN,
    caption: str = "",
    share_y: bool = False,
) -> tuple[Figure, np.ndarray]:
    """Panels (rows, columns) on a figure of their own, sized a panel in inches, or on the place given to :func:`style`.

    To be called within :func:`style`. Raises ValueError for axes where several panels are needed, and for a figure that
    has axes already.
    """
    place = _PLACE.get()
    if place is not None:
        return _grid_on(place, rows, columns, share_y)
    figure = Plate(figsize=(width * columns, height * rows), layout="constrained")
    figure.caption, figure.asked = caption, _ASKED.get()
    return figure, figure.subplots(rows, columns, squeeze=False, sharey=share_y)


def _grid_on(place: Place, rows: int, columns: int, share_y: bool) -> tuple[Figure, np.ndarray]:
    if isinstance(place, Axes):
        must = "be a figure or a subfigure, as there are several panels"
        require(rows * columns == 1, "ax", must, "axes")
        return cast(Figure, place.figure), np.array([[place]])
    require(not place.axes, "ax", "have no axes yet, or be axes", f"a figure with {len(place.axes)}")
    if isinstance(place, Figure) and place.get_layout_engine() is None:
        place.set_layout_engine("constrained")  # makes room for what stands beside the panels
    return cast(Figure, place), place.subplots(rows, columns, squeeze=False, sharey=share_y)


def axes_asked_for() -> Axes | None:
    """The axes that :func:`style` was given to draw on, if it was."""
    place = _PLACE.get()
    return place if isinstance(place, Axes) else None


def caption_of(figure: Figure) -> str:
    """What a figure of qlazy shows, in a sentence; nothing for others."""
    return figure.caption if isinstance(figure, Plate) else ""


_LEAST_DECADES = 0.75
"""Of a logarithmic axis: two of 1, 2, 5 in any decade lie within."""


def log_axis(axes: Axes, which: str, values: np.ndarray) -> None:
    """Make an axis logarithmic with limits that hold all positive ``values``, and two numbers to read them by.

    An axis without a positive value says so instead of showing an empty frame.
    """
    positive = values[np.isfinite(values) & (values > 0)]
    if not positive.size:
        note(axes, "zero throughout")
        positive = np.ones(1)
    low, high = np.log10(positive.min()), np.log10(positive.max())
    spare = max(0.08 * (high - low), (_LEAST_DECADES - (high - low)) / 2)
    axis = axes.xaxis if which == "x" else axes.yaxis
    getattr(axes, f"set_autoscale{which}_on")(False)  # equal values have no limits of their own
    getattr(axes, f"set_{which}scale")("log")
    getattr(axes, f"set_{which}lim")(10 ** (low - spare), 10 ** (high + spare))
    axis.set_major_locator(LogLocator(numticks=8))
    axis.set_major_formatter(FuncFormatter(power_of_ten))
    few = high - low < 3
    axis.set_minor_locator(LogLocator(subs=range(2, 10), numticks=40) if few else NullLocator())
    axis.set_minor_formatter(NullFormatter())
    if math.floor(high + spare) - math.ceil(low - spare) < 1:  # fewer than two powers of ten have a label
        axis.set_minor_locator(LogLocator(subs=(2, 5), numticks=40))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("{x:g}")


def size_axis(axes: Axes, which: str, sizes: np.ndarray) -> None:
    """A logarithmic axis with a number at each of a few sizes that were run, and little beyond them."""
    places = np.unique(sizes)
    low, high = np.log10(places[0]), np.log10(places[-1])
    spare = max(0.08 * (high - low), 0.04)
    axis = axes.xaxis if which == "x" else axes.yaxis
    getattr(axes, f"set_autoscale{which}_on")(False)  # equal values have no limits of their own
    getattr(axes, f"set_{which}scale")("log")
    getattr(axes, f"set_{which}lim")(10 ** (low - spare), 10 ** (high + spare))
    axis.set_major_locator(FixedLocator(places.tolist()))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:g}"))


_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power_of_ten(value: float, position: int | None = None) -> str:
    """A decade as plain text, 10⁻³: mathtext would be set anew for every label and kind of file."""
    exponent = math.log10(value) if value > 0 else 0.5  # the axis has no place for others
    if not math.isclose(exponent, round(exponent), abs_tol=1e-9):
        return f"{value:g}"
    return "10" + str(round(exponent)).translate(_SUPERSCRIPTS)


def note(axes: Axes, text: str) -> None:
    """What a panel says where it has nothing to show."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GUIDE)
