"""High-value training subsets: one loop, and rules that choose, of which one is a differentiable convex program."""

from qlazy.tasks.subset.agreement import KernelAgreement
from qlazy.tasks.subset.baselines import (
    AllExamples,
    KernelHerding,
    LeverageScores,
    RandomSubset,
    SmallLoss,
    TracIn,
)
from qlazy.tasks.subset.features import DataFeatures, Features, KernelComponents
from qlazy.tasks.subset.host_cp import HostCP
from qlazy.tasks.subset.labels import flip_labels, hold_out
from qlazy.tasks.subset.result import Subset
from qlazy.tasks.subset.selection import select_subset
from qlazy.tasks.subset.selector import Batch, Selection, Selector, State, Task

__all__ = [
    "AllExamples",
    "Batch",
    "DataFeatures",
    "Features",
    "HostCP",
    "KernelAgreement",
    "KernelComponents",
    "KernelHerding",
    "LeverageScores",
    "RandomSubset",
    "Selection",
    "Selector",
    "SmallLoss",
    "State",
    "Subset",
    "Task",
    "TracIn",
    "flip_labels",
    "hold_out",
    "select_subset",
]
