"""Tangent kernels on disk, tile by tile: more than memory holds, resumable, on threads or a Dask cluster."""
