"""Which fifth of a training set is worth training on, when many of its labels are wrong? Rules in one loop."""

from qlazy.studies.subset.study import Settings, run

__all__ = ["Settings", "run"]
