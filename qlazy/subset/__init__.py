"""High-value training subsets: one loop, and rules that choose, of which one is a differentiable convex program."""

from qlazy.subset.agreement import KernelAgreement
from qlazy.subset.baselines import KernelHerding, LeverageScores, RandomSubset, SmallLoss, TracIn, WholeSet
from qlazy.subset.features import DataFeatures, Features, KernelComponents
from qlazy.subset.host_cp import HostCP
from qlazy.subset.labels import flip_labels, hold_out
from qlazy.subset.result import Subset
from qlazy.subset.selection import select_subset
from qlazy.subset.selector import Batch, Selection, Selector, State, Task

__all__ = [
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
    "WholeSet",
    "flip_labels",
    "hold_out",
    "select_subset",
]
