"""What a sweep found: costs, exponents, their table, and their JSON beside a figure."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qlazy.base.storage import atomic_write, read_json, write_json
from qlazy.base.tables import aligned
from qlazy.bench.scaling.curve import Curve, Point

NAME = "scaling"


@dataclass(frozen=True)
class Scaling:
    """All curves, how and where they were measured."""

    curves: tuple[Curve, ...]
    settings: Mapping[str, Any]
    machine: Mapping[str, Any]

    @property
    def caption(self) -> str:
        """What it ran on: cores, vector instructions, threads, precision."""
        cores, threads = self.machine["cores"], self.settings["threads"]
        counts = f"{cores} core{'s' * (cores > 1)}", f"{threads} thread{'s' * (threads > 1)}"
        return ", ".join(
            filter(None, [counts[0], self.machine["vectors"], counts[1], self.settings["dtype"]])
        )

    def table(self) -> str:
        """A row for each curve: its exponent with the interval, what is expected, and the costs at both ends."""
        header = ("cost of", "against", "exponent, 95 %", "expected", "fitted from to", "seconds", "stay")
        rows = [self._row(curve) for curve in self.curves]
        return f"{self.caption}; {NOTE}\n{aligned([header, *rows])}"

    def summary(self) -> str:
        """The same as Markdown."""
        header = ("cost of", "against", "exponent, 95 %", "expected", "fitted from to", "seconds", "stay")
        rows = [header, ("---",) * len(header), *map(self._row, self.curves)]
        lines = [f"| {' | '.join(row)} |" for row in rows]
        return "\n".join(lines) + f"\n\n{self.caption}; {NOTE}\n"

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write ``scaling.json`` with every single time, ``scaling.md`` and a figure. Returns the paths."""
        from qlazy.bench.scaling.figure import scaling_figure
        from qlazy.drawing.files import save

        table = Path(folder) / f"{NAME}.md"
        with atomic_write(table) as file:
            file.write(self.summary().encode())
        figure = scaling_figure(self.curves, self.caption)
        return [self.save_times(folder), table, *save(figure, Path(folder), NAME)]

    def save_times(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``scaling.json`` alone, and return its path."""
        path = Path(folder) / f"{NAME}.json"
        write_json(path, self.to_json())
        return path

    @staticmethod
    def load(folder: str | os.PathLike[str]) -> Scaling:
        """What :meth:`save` left in a folder. Raises ValueError naming a file that is damaged."""
        found = read_json(Path(folder) / f"{NAME}.json")
        return Scaling(tuple(map(_curve, found["curves"])), found["settings"], found["machine"])

    def to_json(self) -> dict[str, Any]:
        """Plain values of everything, with the fits."""
        curves = []
        for curve in self.curves:
            low, high = curve.fit.interval
            fitted = {"exponent": curve.fit.exponent, "low": low, "high": high, "offset": curve.fit.offset}
            curves.append({**asdict(curve), "fit": fitted})
        return {"machine": dict(self.machine), "settings": dict(self.settings), "curves": curves}

    def _row(self, curve: Curve) -> tuple[str, ...]:
        first, last = curve.fitted[0], curve.fitted[-1]
        return (
            curve.task, curve.law, str(curve.fit), curve.expected, f"{first.size} to {last.size}",
            f"{first.cost:.2g} to {last.cost:.2g}", curve.stay,
        )  # fmt: skip


NOTE = "seconds of the processor a call, medians over rounds; the interval is that of a line through the logarithms"


def _curve(found: Mapping[str, Any]) -> Curve:
    points = tuple(
        Point(point["size"], tuple(point["processor"]), tuple(point["seconds"])) for point in found["points"]
    )
    names = ("varied", "task", "stay", "fit_from", "theory")
    return Curve(**{name: found[name] for name in names}, points=points)
