"""How the simulator runs what has no gate of its own: states and matrices of formulas, outputs that are not linear."""
