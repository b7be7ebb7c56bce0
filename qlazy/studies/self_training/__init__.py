"""Does a student gain by knowing how its teacher follows? Self-training from twelve labels, for a net and a circuit."""

from qlazy.studies.self_training.study import Settings, run

__all__ = ["Settings", "run"]
