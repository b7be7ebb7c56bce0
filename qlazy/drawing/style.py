"""The look all figures share, and how they are written. The user's own matplotlib settings are left alone.

Figures are made without pyplot: no backend is chosen, no global state is touched, nothing needs closing.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from qlazy.base.storage import atomic_write

INK = "#333333"
GUIDE = "#8a8a8a"
COLUMN = 3.4  # inches: the width of a panel, and of a column in a two-column paper

# Okabe and Ito's palette, told apart with any colour vision, less its yellow, too faint for lines on white.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")

_SETTINGS: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.labelsize": 8.5,
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
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "legend.fontsize": 7.5,
    "legend.title_fontsize": 7.5,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "figure.dpi": 120,
    "savefig.dpi": 200,
    "svg.fonttype": "none",  # text stays text: it can be searched, and edited
    "svg.hashsalt": "qlazy",  # ids that do not change from one run to the next
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


@contextmanager
def style() -> Iterator[None]:
    """The settings of qlazy's figures on top of matplotlib's defaults, for the length of a block."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


def grid(rows: int, columns: int, *, height: float = 2.6, width: float = COLUMN) -> tuple[Figure, np.ndarray]:
    """A figure of panels (rows, columns), sized a panel in inches. To be called within :func:`style`."""
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


@final
class Drawing:
    """A figure laid out once, and drawn once for each kind of file; equal figures give equal bytes.

    The figure's own layout engine and resolution are put back afterwards.
    """

    def __init__(self, figure: Figure) -> None:
        self.figure = figure
        self.width: float = figure.get_figwidth()  # inches

    @cached_property
    def files(self) -> Mapping[str, bytes]:
        """The contents of the files by their suffix, png and svg."""
        figure = self.figure
        engine, dpi, canvas = figure.get_layout_engine(), figure.dpi, figure.canvas
        with style():
            try:
                if engine is not None:
                    engine.execute(figure)
                    figure.set_layout_engine("none")
                # The canvases' own methods draw once, where savefig draws a second time to lay out.
                png = self._printed(
                    FigureCanvasAgg(figure).print_png, mpl.rcParams["savefig.dpi"], {"Software": None}
                )
                about = {"Date": None, "Publisher": PUBLISHER}
                svg = self._printed(FigureCanvasSVG(figure).print_svg, SVG_DPI, about)
            finally:
                figure.set_canvas(canvas)
                figure.dpi = dpi
                figure.set_layout_engine(engine)
        return {"png": png, "svg": svg}

    def _printed(self, write: Callable[..., Any], dpi: float, metadata: Mapping[str, str | None]) -> bytes:
        buffer = io.BytesIO()
        self.figure.dpi = dpi
        write(buffer, metadata=metadata)
        return buffer.getvalue()


PUBLISHER = "qlazy"
"""What every SVG says, which tells figures of qlazy from others in a folder."""
SVG_DPI = 72.0  # what matplotlib draws SVG at, whatever is asked for


def drawing(figure: Figure | Drawing) -> Drawing:
    """The figure as one drawing for all files, itself if it is one."""
    return figure if isinstance(figure, Drawing) else Drawing(figure)


def drawings(figures: Mapping[str, Figure]) -> dict[str, Drawing]:
    """Figures by name, each to be drawn once for files and page."""
    return {name: drawing(figure) for name, figure in figures.items()}


def save(figure: Figure | Drawing, folder: str | Path, name: str) -> list[Path]:
    """Write a figure as PNG and SVG; equal figures give equal bytes. Returns the paths."""
    paths = []
    for kind, contents in drawing(figure).files.items():
        paths.append(Path(folder, f"{name}.{kind}"))
        with atomic_write(paths[-1]) as file:
            file.write(contents)
    return paths


def log_axis(axes: Axes, which: str, values: np.ndarray) -> None:
    """Make an axis logarithmic with limits that hold all positive ``values`` and at least one whole decade.

    An axis without a positive value says so instead of showing an empty frame.
    """
    positive = values[np.isfinite(values) & (values > 0)]
    if not positive.size:
        note(axes, "zero throughout")
        positive = np.ones(1)
    low, high = np.log10(positive.min()), np.log10(positive.max())
    spare = max(0.08 * (high - low), (1.3 - (high - low)) / 2)
    axis = axes.xaxis if which == "x" else axes.yaxis
    getattr(axes, f"set_{which}scale")("log")
    getattr(axes, f"set_{which}lim")(10 ** (low - spare), 10 ** (high + spare))
    axis.set_major_locator(LogLocator(numticks=8))
    axis.set_major_formatter(FuncFormatter(power_of_ten))
    few = high - low < 3
    axis.set_minor_locator(LogLocator(subs=range(2, 10), numticks=40) if few else NullLocator())
    axis.set_minor_formatter(NullFormatter())
    if math.floor(high + spare) - math.ceil(low - spare) < 1:  # fewer than two powers of ten have a label
        axis.set_minor_locator(LogLocator(subs=(2, 3, 5), numticks=40))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("{x:g}")


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


def legend_below(figure: Figure, handles: list[Any], *, columns: int | None = None) -> None:
    """One legend under all panels, in as many columns as its entries leave room for."""
    longest = max(len(str(handle.get_label())) for handle in handles)
    fitting = max(1, int(figure.get_figwidth() * 15 / (longest + 6)))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(columns or len(handles), fitting))


def replace_figures(figures: Mapping[str, Figure | Drawing], folder: str | os.PathLike[str]) -> list[Path]:
    """As :func:`save_figures`, in place of all figures of qlazy in the folder: none of an earlier result stays."""
    for svg in Path(folder).glob("*.svg"):
        if svg.stem not in figures and _is_ours(svg):
            for path in (svg, svg.with_suffix(".png")):
                path.unlink(missing_ok=True)
    return save_figures(figures, folder)


def _is_ours(svg: Path) -> bool:
    with svg.open("rb") as file:
        return f"<dc:title>{PUBLISHER}</dc:title>".encode() in file.read(4096)


def save_figures(figures: Mapping[str, Figure | Drawing], folder: str | os.PathLike[str]) -> list[Path]:
    """Write figures by name into a folder, each as PNG and SVG; returns the paths."""
    return [path for name, figure in figures.items() for path in save(figure, Path(folder), name)]
