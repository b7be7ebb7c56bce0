"""Closed forms of wide and deep circuits on trial, T1 to T10, and what they say about laziness."""

from qlazy.studies.wide_circuits.study import Settings, run

__all__ = ["Settings", "run"]
