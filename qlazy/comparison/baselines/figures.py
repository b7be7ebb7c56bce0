"""The figure of a panel of surrogates: scores with their intervals, a row for each model."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.figure import Figure

from qlazy.base.over_seeds import Interval
from qlazy.drawing.style import COLUMN, GUIDE, INK, Place, Style, grid, style

_COLORS = {"better": "#D55E00", "as well": "#E69F00", "worse": "#0072B2", "undecided": GUIDE}


_CAPTION = "Beside models without entanglement or without quantum parts: test scores, 95 % intervals"


def surrogates_figure(
    names: Sequence[str],
    scores: Sequence[Interval],
    standings: Sequence[str],
    measure: str,
    ax: Place | None = None,
    asked: Style | None = None,
) -> Figure:
    """Rows from above, the trained model first; colours say how the others stand to it."""
    with style(asked, ax):
        figure, panels = grid(1, 1, height=0.6 + 0.28 * len(names), width=1.6 * COLUMN, caption=_CAPTION)
        axes = panels[0, 0]
        for row, (score, standing) in enumerate(zip(scores, standings, strict=True)):
            color = _COLORS.get(standing, INK)
            if math.isfinite(score.low):
                axes.plot([score.low, score.high], [row, row], color=color)
            axes.plot([score.mean], [row], "o", color=color)
            if row and math.isfinite(score.low):
                axes.annotate(
                    standing,
                    (1.01, row),
                    xycoords=("axes fraction", "data"),
                    va="center",
                    color=color,
                )
        axes.axvline(scores[0].mean, color=INK, linewidth=0.8, linestyle=":")
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel(f"{measure}, 95 % intervals")
    return figure
