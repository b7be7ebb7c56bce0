"""One run of a comparison: a model trained at one scale from one seed, beside its linearisation."""

from qlazy.comparison.run.reached import LOSSES, RUNAWAY
from qlazy.comparison.run.recorded import is_saved
from qlazy.comparison.run.run import Run

__all__ = ["LOSSES", "RUNAWAY", "Run", "is_saved"]
