"""Quantum circuits as models: PennyLane QNodes and OpenQASM 3 programs."""
