"""How many components does a decomposition need, lazily and not? Wang, Wu, Lee, Ma, Ge on trial."""

from qlazy.studies.tensor.study import Settings, run

__all__ = ["Settings", "run"]
