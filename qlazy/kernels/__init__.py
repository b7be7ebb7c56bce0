"""Tangent kernels: the operator, its spectrum, geometry, low rank, shots, tiles."""
