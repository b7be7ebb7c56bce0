"""A study as a row of experiments: each is carried out once, and kept where the study has a folder.

A full study takes its time. Stopped and started again with the same settings it takes up the experiments that are
there, and leaves the bytes of an uninterrupted one.
"""

from __future__ import annotations

import abc
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from qlazy.base.execution import progress_bar, require_package
from qlazy.base.keys import key, readable
from qlazy.base.storage import load_arrays, read_as, require_writable, save_arrays
from qlazy.base.tables import Table
from qlazy.base.version import versions
from qlazy.studies.report import finish
from qlazy.studies.result import Arrays, Finding, StudyResult

KEPT = "experiments"
DECIDING = ("qlazy", "torch", "numpy", "scipy", "pennylane")
"""Libraries whose versions decide what an experiment finds."""
_TEXTS = ("experiment", "quantity", "relation", "kind")
FORMAT = 2
"""Of what is kept: experiments of an earlier one are carried out anew."""


class StudySettings(abc.ABC):
    """Sizes of the experiments of a study; its frozen dataclass has those of the full setting as defaults."""

    @classmethod
    def full(cls) -> Self:
        """The setting whose figures are quoted."""
        return cls()

    @classmethod
    @abc.abstractmethod
    def quick(cls) -> Self:
        """Well under a minute on one core, and the same claims."""


class Outcome(NamedTuple):
    """What an experiment leaves for the study's result; names of arrays are those of the study."""

    findings: list[Finding]
    arrays: Arrays
    tables: Sequence[Table] = ()


Experiments = Mapping[str, Callable[[], Outcome]]


def carry_out(
    study: str,
    settings: Any,
    experiments: Experiments,
    figures: Callable[[StudyResult], Mapping[str, Any]],
    *,
    conventions: Mapping[str, str] | None = None,
    summary: Callable[[Arrays], Sequence[Table]] = lambda arrays: (),
    out: str | os.PathLike[str] | None = None,
    progress: bool = True,
    needs: Sequence[str] = (),
) -> StudyResult:
    """Every experiment in turn, by name; table, arrays, figures and report go to the folder ``out``, if given.

    ``summary`` gives tables over all experiments, from their arrays, that stand before theirs. ``needs`` are packages.
    Raises ImportError for one that is missing, before the first experiment.
    """
    for package in needs:
        require_package(package, f"the study {study} with these settings")
    outcomes = []
    if out is not None:
        require_writable(out)
    with progress_bar(experiments.items(), progress=progress) as bar:
        for name, experiment in bar:
            bar.set_description(name)
            outcomes.append(
                experiment() if out is None else _kept(Path(out, KEPT), study, settings, name, experiment)
            )
    arrays = {key: np.asarray(array) for outcome in outcomes for key, array in outcome.arrays.items()}
    findings = tuple(finding for outcome in outcomes for finding in outcome.findings)
    tables = (*summary(arrays), *(table for outcome in outcomes for table in outcome.tables))
    return finish(StudyResult(study, settings, findings, arrays, tables, conventions or {}), out, figures)


def _kept(folder: Path, study: str, settings: Any, name: str, experiment: Callable[[], Outcome]) -> Outcome:
    """The outcome in the folder, put there first if it is not; other settings or versions have other files."""
    about = {
        "study": study, "settings": asdict(settings), "experiment": name, "versions": _libraries(), "format": FORMAT,
    }  # fmt: skip
    path = folder / f"{key(readable(name), about)}.npz"
    if not path.exists():
        done = experiment()
        texts = {
            "findings": [finding.as_json() for finding in done.findings],
            "tables": [asdict(table) for table in done.tables],
        }
        save_arrays(path, {key: np.asarray(array) for key, array in done.arrays.items()}, about | texts)
    return _read(path, about)


def _read(path: Path, about: Mapping[str, Any]) -> Outcome:
    arrays, found = load_arrays(path)
    with read_as(path, "is damaged or not an experiment"):
        own = {name: found[name] for name in about}
        if own != json.loads(json.dumps(about)):
            raise ValueError("it is that of another experiment or other settings")
        findings = [_finding(entry) for entry in found["findings"]]
        tables = [_table(entry) for entry in found["tables"]]
    return Outcome(findings, arrays, tables)


def _finding(entry: Mapping[str, Any]) -> Finding:
    """Raises TypeError for what :meth:`Finding.as_json` does not give."""
    if not isinstance(entry, Mapping):
        raise TypeError("a finding is no mapping")
    for name, value in entry.items():
        if name in _TEXTS and not isinstance(value, str):
            raise TypeError(f"the {name} of a finding is no text")
        if name not in _TEXTS and not isinstance(value, int | float | None):
            raise TypeError(f"the {name} of a finding is no number")
    values: dict[str, Any] = {name: math.nan if value is None else value for name, value in entry.items()}
    return Finding(**values)


def _table(entry: Mapping[str, Any]) -> Table:
    """Raises TypeError for what is no table of texts."""
    title, head, rows = entry["title"], tuple(entry["head"]), tuple(map(tuple, entry["rows"]))
    if not all(isinstance(text, str) for text in (title, *head, *(cell for row in rows for cell in row))):
        raise TypeError("a table holds other than texts")
    return Table(title, head, rows)


def _libraries() -> dict[str, str]:
    """What decides the numbers, loaded before or not: a study resumed must find what the first start wrote."""
    return {name: version for name, version in versions().items() if name in DECIDING}
