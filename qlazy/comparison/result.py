"""What a comparison leaves, as a value that draws, reports and saves itself."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from qlazy.base.errors import path_of
from qlazy.base.storage import atomic_write, digest_of_file, read_json, write_json
from qlazy.comparison.baselines import Baseline
from qlazy.comparison.run import Run
from qlazy.comparison.runs import Runs
from qlazy.training.features.result import FILE as FEATURES
from qlazy.training.features.result import Features

if TYPE_CHECKING:
    import pandas as pd

    from qlazy.comparison.verdict import Verdicts
    from qlazy.drawing.style import Figure


@final
@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Runs):
    """All ``runs`` of a comparison, in order of model, scale and seed, with the ``settings`` they share.

    ``baselines`` are models with a fixed kernel beside them, ``features`` what each model learnt, where that was asked.
    """

    def figures(self, against: str = "alpha") -> dict[str, Figure]:
        """Every figure that applies, by name, as matplotlib figures to be changed and saved by hand.

        ``against="kappa"`` draws figures over scales against the inverse relative scale of each model
        (:attr:`Run.kappa`), by which a net and a circuit can be read at equal laziness.
        """
        from qlazy.comparison.figures.all import comparison_figures

        return comparison_figures(self, against)

    def frame(self) -> pd.DataFrame:
        """A pandas frame with a row a run: model, seed, scale a, every metric, and why it diverged, if it did.

        NaN stands where a metric does not apply. Raises ImportError where pandas is not installed (extra ``frames``).
        """
        try:
            import pandas as pd
        except ModuleNotFoundError as error:
            raise ImportError("a frame needs the package pandas: pip install 'qlazy-ntk[frames]'") from error
        rows = [
            {
                "model": run.model, "seed": run.seed, "alpha": run.alpha,
                **{name: math.nan if run.diverged else of(run) for name, of in self.metrics.items()},
                "diverged": run.diverged,
            }
            for run in self.runs
        ]  # fmt: skip
        return pd.DataFrame(rows)

    def verdict(self, small: float = 0.1) -> Verdicts:
        """In words: which models are lazy, from which scale, and what training buys.

        A change of at most ``small`` counts as lazy, where its 95 % interval over seeds says so.
        """
        from qlazy.comparison.verdict import verdicts

        return verdicts(self, small)

    def plot(self, folder: str | os.PathLike[str], against: str = "alpha") -> list[Path]:
        """Draw every figure into a folder, as PNG and SVG; returns the paths."""
        from qlazy.comparison.figures.all import plot_comparison

        return plot_comparison(self, folder, against)

    def report(
        self, folder: str | os.PathLike[str], command: str | None = None, against: str = "alpha"
    ) -> Path:
        """Write every figure and one self-contained ``report.html`` with a verdict in words; returns its path.

        ``command`` is what made the comparison, for those who want to run it again; ``against`` as for
        :meth:`figures`.
        """
        from qlazy.comparison.report import write_comparison

        return write_comparison(self, path_of("folder", folder), command, against)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the table, the settings and every run's arrays into a folder."""
        folder = path_of("folder", folder)
        for index, run in enumerate(self.runs):
            run.save(Path(folder, "runs", f"{index:04d}"))
        self.write_summary(folder, [f"{index:04d}" for index in range(len(self.runs))])

    def write_summary(self, folder: str | os.PathLike[str], names: Sequence[str]) -> None:
        """Write ``comparison.json``, ``table.txt``, ``table.csv`` and baselines beside runs in these folders."""
        beside = [f"{index:04d}" for index in range(len(self.baselines))]
        for name, baseline in zip(beside, self.baselines, strict=True):
            baseline.save(Path(folder, "baselines", f"{name}.npz"))
        learnt = [f"{index:04d}" for index in range(len(self.features))]
        for name, one in zip(learnt, self.features, strict=True):
            one.save(Path(folder, "features", name))
        index = {"settings": self.settings, "runs": list(names), "baselines": beside, "features": learnt}
        write_json(Path(folder, "comparison.json"), {**index, "files": _digests(folder, _files(index))})
        _write(Path(folder, "table.txt"), self.table() + "\n")
        _write(Path(folder, "table.csv"), _csv(self.rows()))

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Comparison:
        """The comparison that :meth:`save` wrote. Raises ValueError naming a damaged file."""
        folder = path_of("folder", folder)
        path = Path(folder, "comparison.json")
        index = read_json(path)
        try:
            names, settings, files = list(index["runs"]), dict(index["settings"]), dict(index["files"])
            beside, learnt = list(index["baselines"]), list(index["features"])
            wanted = _files(index)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is damaged or not a comparison: {error}") from error
        for name, own in _digests(folder, wanted).items():
            if files.get(name) != own:
                raise ValueError(f"{Path(folder, name)} is damaged or not the one that belongs to {path}")
        runs = tuple(Run.load(Path(folder, "runs", name)) for name in names)
        baselines = tuple(Baseline.load(Path(folder, "baselines", f"{name}.npz")) for name in beside)
        features = tuple(Features.load(Path(folder, "features", name)) for name in learnt)
        return cls(runs, settings, baselines, features)

    def __repr__(self) -> str:
        return f"Comparison({', '.join(self.models)}; {len(self.alphas)} scales; {len(self.runs)} runs)"

    def _repr_html_(self) -> str:
        return "".join(table.html() for table in self.tables())


def _files(index: Mapping[str, Any]) -> list[str]:
    """The files that a comparison consists of, beside its index."""
    return [
        *(f"runs/{name}/run.npz" for name in index["runs"]),
        *(f"baselines/{name}.npz" for name in index["baselines"]),
        *(f"features/{name}/{FEATURES}" for name in index["features"]),
    ]


def _digests(folder: str | os.PathLike[str], names: Sequence[str]) -> dict[str, str]:
    return {name: digest_of_file(Path(folder, name)) for name in names}


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as file:
        file.write(text.encode("utf-8"))
