"""Second names of modules: public ones that stand for a wing below, and old ones that go on working for a release."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

PUBLIC: Mapping[str, str] = {
    "qlazy.self_training": "qlazy.tasks.self_training",
    "qlazy.subset": "qlazy.tasks.subset",
    "qlazy.tensor": "qlazy.tasks.tensor",
}

MOVED: Mapping[str, str] = {
    "qlazy.allocation": "qlazy.kernels.allocation",
    "qlazy.drift": "qlazy.training.drift",
    "qlazy.geometry": "qlazy.kernels.geometry",
    "qlazy.infinite": "qlazy.kernels.infinite_nets",
    "qlazy.lowrank": "qlazy.kernels.lowrank",
    "qlazy.quadratic": "qlazy.theory.quadratic",
    "qlazy.regimes": "qlazy.theory.regimes",
    "qlazy.shots": "qlazy.kernels.shots",
    "qlazy.spectrum": "qlazy.kernels.spectrum",
    "qlazy.tracking": "qlazy.comparison.tracking",
    "qlazy.verdict": "qlazy.comparison.verdict",
}
"""Paths that stood in the documentation before the wings were built."""


class AliasFinder(MetaPathFinder):
    """Finds the modules above, and what lies within them, under their second names."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        for names in (PUBLIC, MOVED):
            for alias, home in names.items():
                if fullname == alias or fullname.startswith(f"{alias}."):
                    actual = home + fullname.removeprefix(alias)
                    if names is MOVED:
                        message = f"{fullname} has moved to {actual}, and goes with the next release"
                        warnings.warn(message, DeprecationWarning, stacklevel=2)
                    return ModuleSpec(fullname, _AliasLoader(actual))
        return None


class _AliasLoader(Loader):
    """Puts the module itself under its second name, so that there is one of each class."""

    def __init__(self, actual: str) -> None:
        self.actual = actual

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = importlib.import_module(self.actual)


def install() -> None:
    """Once, when qlazy is imported."""
    if not any(isinstance(finder, AliasFinder) for finder in sys.meta_path):
        sys.meta_path.append(AliasFinder())
