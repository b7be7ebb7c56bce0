"""Circuits past the state vector: what random starts look like, and whether training is lazy there."""

from qlazy.studies.large_circuits.study import Settings, run

__all__ = ["Settings", "run"]
