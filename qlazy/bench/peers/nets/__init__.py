"""Tools that give the tangent kernels of nets."""
