"""Does control change what a circuit can learn, and how it learns? P1 and P2 of Zhu, Hung, Chakrabarti, Wu."""

from qlazy.studies.control_flow.study import Settings, run

__all__ = ["Settings", "run"]
