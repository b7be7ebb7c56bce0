"""What stands beside a trained model: nets and circuits of infinite size, and models without quantum parts."""

from qlazy.comparison.baselines.baseline import Baseline, baseline_table
from qlazy.comparison.baselines.fourier import FourierModel
from qlazy.comparison.baselines.infinite import InfiniteCircuit, InfiniteNet, Posterior

__all__ = ["Baseline", "FourierModel", "InfiniteCircuit", "InfiniteNet", "Posterior", "baseline_table"]
