"""Lazy training on trial: Chizat, Oyallon, Bach (arXiv 1812.07956) for nets, and the same for circuits."""

from qlazy.studies.lazy.study import Settings, run

__all__ = ["Settings", "run"]
