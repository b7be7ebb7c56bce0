"""The figure of a benchmark: a panel for each workload, a bar for each tool."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qlazy.drawing.style import COLUMN, GUIDE, INK, grid, style

_OWN = "#0072B2"
_COLUMNS = 3


def bench_figure(times: Mapping[str, Mapping[str, float]], caption: str) -> Figure:
    """Seconds a call of each tool, by workload, the fastest on top; bars are logarithmic."""
    shown = {name: tools for name, tools in times.items() if tools}
    columns = min(_COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    longest = max(map(len, shown.values()))
    with style():
        height = 0.7 + 0.2 * longest
        figure, panels = grid(
            rows, columns, height=height, width=0.85 * COLUMN, caption="Seconds a call of each tool"
        )
        for axes, (name, tools) in zip(panels.flat, shown.items(), strict=False):
            _bars(axes, name, tools)
        for axes in panels.flat[len(shown) :]:
            axes.set_visible(False)
        figure.suptitle(f"seconds a call, median; {caption}")
    return figure


def _bars(axes: Axes, name: str, tools: Mapping[str, float]) -> None:
    order = sorted(tools, key=lambda tool: -tools[tool])
    values = [tools[tool] for tool in order]
    low = 0.4 * min(values)
    colors = [_OWN if tool == "qlazy" else GUIDE for tool in order]
    axes.barh(order, [value - low for value in values], left=low, color=colors, height=0.7)
    axes.set_xscale("log")
    axes.set_xlim(low, 8 * max(values))  # room for the numbers
    axes.grid(visible=False, axis="y")
    for place, value in enumerate(values):
        axes.text(1.1 * value, place, f"{value:.2g}", va="center", color=INK)
    axes.set_title(name)
