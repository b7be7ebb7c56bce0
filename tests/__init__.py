"""The tests mirror the wings of qlazy.

What tests ``qlazy/kernels/spectrum.py`` is ``tests/kernels/test_spectrum.py``.
"""
