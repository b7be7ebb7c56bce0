"""What a comparison leaves, as a value that draws, reports and saves itself."""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import folder_of, positive_of
from qlazy.base.storage import atomic_write, digest_of_file, read_as, read_json, require_own_files, write_json
from qlazy.base.tables import csv_text
from qlazy.comparison.baselines import Baseline
from qlazy.comparison.kernel_pairs import RIDGE
from qlazy.comparison.run import Run
from qlazy.comparison.runs import Runs
from qlazy.training.features.result import FILE as FEATURES
from qlazy.training.features.result import Features

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from qlazy.comparison.verdict import Verdicts
    from qlazy.drawing.style import Figure, Place, Style


@final
@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Runs):
    """All ``runs`` of a comparison, in order of model, scale and seed, with the ``settings`` they share.

    ``baselines`` are models with a fixed kernel beside them, ``features`` what each model learnt, where that was asked.
    """

    def figures(self, against: str = "alpha", style: Style | None = None) -> dict[str, Figure]:
        """Every figure that applies, by name, as matplotlib figures to be changed and saved by hand.

        ``against="kappa"`` draws figures over scales against the inverse relative scale of each model
        (:attr:`Run.kappa`), by which a net and a circuit can be read at equal laziness. ``style`` is what
        ``matplotlib.style.use`` takes, on top of qlazy's own look: ``{"font.size": 10}``, ``"ggplot"``, or all of your
        own settings, ``matplotlib.rcParams``. Raises ValueError for a style that matplotlib does not know.
        """
        from qlazy.comparison.figures.all import comparison_figures

        return comparison_figures(self, against, style)

    def figure(
        self, name: str, ax: Place | None = None, against: str = "alpha", style: Style | None = None
    ) -> Figure:
        """One figure of :meth:`figures` by its name, or the panel of one metric: "parameter gap", "test accuracy".

        ``ax`` is where it is drawn: axes of yours for a single panel, a figure or a subfigure for any. The settings of
        matplotlib rule there, and qlazy's own look otherwise. Raises ValueError for a name of another figure, and for
        axes where there are several panels.
        """
        from qlazy.comparison.figures.all import comparison_figure

        return comparison_figure(self, name, ax, against, style)

    def frame(self) -> pd.DataFrame:
        """A pandas frame with a row a run: model, seed, scale a, every metric, "diverged", and the "reason" if it did.

        "diverged" is True or False, "reason" a text or None. NaN stands where a metric does not apply.
        Raises ImportError where pandas is not installed.
        """
        try:
            import pandas as pd
        except ModuleNotFoundError as error:
            raise ImportError("a frame needs the package pandas: pip install pandas") from error
        rows = [
            {
                "model": run.model, "seed": run.seed, "alpha": run.alpha,
                **{name: math.nan if run.diverged else of(run) for name, of in self.metrics.items()},
                "diverged": bool(run.diverged), "reason": run.diverged or None,
            }
            for run in self.runs
        ]  # fmt: skip
        return pd.DataFrame(rows)

    def xarray(self) -> xr.Dataset:
        """An xarray data set with dimensions model, alpha, seed and, for what was recorded along training, step.

        Every metric is (model, alpha, seed); "train_loss", "test_loss" and "drift", the distance from the start, are
        (model, alpha, seed, step). NaN stands where a run diverged, where a metric does not apply, and at steps that a
        run did not record. Settings are attributes, as JSON where they are no plain values. Raises ImportError where
        xarray is not installed.
        """
        return _labelled(self)

    def verdict(self, small: float = 0.1) -> Verdicts:
        """In words: which models are lazy, from which scale, and what training buys.

        A change of at most ``small`` counts as lazy, where its 95 % interval over seeds says so.
        """
        from qlazy.comparison.verdict import verdicts

        return verdicts(self, small)

    def plot(
        self,
        folder: str | os.PathLike[str],
        against: str = "alpha",
        formats: Sequence[str] | None = None,
        style: Style | None = None,
    ) -> list[Path]:
        """Draw every figure into a folder, as PNG and SVG or as the ``formats`` named; returns the paths.

        ``formats`` are among png, svg and pdf, whose fonts are embedded as TrueType; ``style`` as for :meth:`figures`.
        Raises ValueError for another format.
        """
        from qlazy.comparison.figures.all import plot_comparison

        return plot_comparison(self, folder_of("folder", folder), against, formats, style)

    def report(
        self,
        folder: str | os.PathLike[str],
        command: str | None = None,
        against: str = "alpha",
        formats: Sequence[str] | None = None,
        style: Style | None = None,
        ridge: float = RIDGE,
    ) -> Path:
        """Write every figure and one self-contained ``report.html`` with a verdict in words; returns its path.

        ``command`` is what made the comparison, for those who want to run it again; ``against`` and ``style`` as for
        :meth:`figures`, ``formats`` as for :meth:`plot`. Geometric differences between the models, at ``ridge``, stand
        on the page and in ``geometric_differences.csv``. Raises ValueError for a ridge that is not positive.
        """
        from qlazy.comparison.report import write_comparison

        folder = folder_of("folder", folder)
        page = write_comparison(self, folder, command, against, formats, style, positive_of("ridge", ridge))
        return page.save(folder)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the table, the settings and every run's arrays into a folder."""
        folder = folder_of("folder", folder)
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
        _write(Path(folder, "table.csv"), csv_text(self.rows()))

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Comparison:
        """The comparison that :meth:`save` wrote.

        Raises ValueError naming a damaged file, FileNotFoundError for a folder to which no comparison was saved.
        """
        folder = folder_of("folder", folder)
        path = Path(folder, "comparison.json")
        if not path.exists():
            saved = (
                "no comparison was saved there, by `comparison.save(folder)` or `compare(..., out=folder)`"
            )
            raise FileNotFoundError(errno.ENOENT, saved, str(folder))
        index = read_json(path)
        with read_as(path, "is damaged or not a comparison"):
            names, settings, files = list(index["runs"]), dict(index["settings"]), dict(index["files"])
            beside, learnt = list(index["baselines"]), list(index["features"])
            wanted = _files(index)
        require_own_files(path, files, _digests(folder, wanted))
        runs = tuple(Run.load(Path(folder, "runs", name)) for name in names)
        baselines = tuple(Baseline.load(Path(folder, "baselines", f"{name}.npz")) for name in beside)
        features = tuple(Features.load(Path(folder, "features", name)) for name in learnt)
        return cls(runs, settings, baselines, features)

    def __repr__(self) -> str:
        scales, runs = (
            f"{len(all_of)} {noun}{'s' * (len(all_of) != 1)}"
            for all_of, noun in ((self.alphas, "scale"), (self.runs, "run"))
        )
        return f"Comparison({', '.join(self.models)}; {scales}; {runs})"

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


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as file:
        file.write(text.encode("utf-8"))


_DIMENSIONS = ("model", "alpha", "seed", "step")
_TRACES = ("train_loss", "test_loss", "drift")
"""What a history has at every recorded step."""


def _labelled(comparison: Runs) -> xr.Dataset:
    """All metrics and traces of a comparison. Raises ImportError where xarray is not installed."""
    try:
        import xarray as xr
    except ModuleNotFoundError as error:
        raise ImportError("labelled arrays need the package xarray: pip install xarray") from error
    seeds = tuple(sorted({run.seed for run in comparison.runs}))
    steps = np.unique(np.concatenate([run.trace.steps for run in comparison.runs]))
    labels: dict[str, Any] = {
        "model": list(comparison.models),
        "alpha": list(comparison.alphas),
        "seed": list(seeds),
        "step": steps,
    }
    shape = tuple(len(labels[name]) for name in _DIMENSIONS)
    metrics = {name: np.full(shape[:3], math.nan) for name in comparison.metrics}
    traces = {name: np.full(shape, math.nan) for name in _TRACES}
    diverged = np.zeros(shape[:3], dtype=bool)
    for run in comparison.runs:
        place = (
            comparison.models.index(run.model),
            comparison.alphas.index(run.alpha),
            seeds.index(run.seed),
        )
        diverged[place] = bool(run.diverged)
        for name, array in traces.items():
            array[place][np.searchsorted(steps, run.trace.steps)] = _trace(run, name)
        if not run.diverged:
            for name, of in comparison.metrics.items():
                metrics[name][place] = of(run)
    variables: dict[str, Any] = {name: (_DIMENSIONS[:3], array) for name, array in metrics.items()}
    variables |= {name: (_DIMENSIONS, array) for name, array in traces.items()}
    variables["diverged"] = (_DIMENSIONS[:3], diverged)
    return xr.Dataset(variables, coords=labels, attrs=_attributes(comparison))


def _trace(run: Run, name: str) -> NDArray[Any] | float:
    values = getattr(run.trace, name)
    return math.nan if values is None else values


def _attributes(comparison: Runs) -> dict[str, Any]:
    """Settings as what a NetCDF file holds: texts and numbers."""
    plain = str | int | float
    return {
        name: value if isinstance(value, plain) and not isinstance(value, bool) else json.dumps(value)
        for name, value in comparison.settings.items()
    }
