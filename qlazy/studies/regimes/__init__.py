"""Random features, linearised model, trained model: what each regime can learn, for two-layer nets and for circuits."""

from qlazy.studies.regimes.study import Settings, run

__all__ = ["Settings", "run"]
