"""Kernels from shots and under noise: what is unbiased, what error bars are worth, what noise does to laziness."""

from qlazy.studies.shots_and_noise.study import Settings, run

__all__ = ["Settings", "run"]
