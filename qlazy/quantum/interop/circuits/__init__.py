"""Circuits of Cirq, Amazon Braket and pytket, gate by gate."""
