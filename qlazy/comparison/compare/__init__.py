"""Several models on the same data, over scales and seeds, each beside its linearisation."""

from qlazy.comparison.compare.job import compare

__all__ = ["compare"]
