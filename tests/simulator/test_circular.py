"""Cosines and sines of the kernels against those of the C library, at any size of the angle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from qlazy.simulator.kernels.angles import LARGEST, PI, cosine_and_sine, moderate
from qlazy.simulator.kernels.lanes import load, store
from qlazy.simulator.kernels.layout import WIDE, as_rows


@njit
def evaluate(angles, cosines, sines):
    for row in range(len(angles)):
        cos, sin = cosine_and_sine(angles, load(angles, row, 0))
        store(cosines, row, 0, cos)
        store(sines, row, 0, sin)


def cosines_and_sines(angles):
    rows = np.zeros((-(-len(angles) // 8), WIDE // angles.itemsize), angles.dtype)
    rows.flat[: len(angles)] = angles
    rows = moderate(rows)
    cosines, sines = np.empty_like(rows), np.empty_like(rows)
    evaluate(as_rows(rows), as_rows(cosines), as_rows(sines))
    return cosines.ravel()[: len(angles)], sines.ravel()[: len(angles)]


@pytest.mark.parametrize(("dtype", "error"), [(np.float64, 5e-16), (np.float32, 4e-7)])
@given(scale=st.floats(-3, 12), seed=st.integers(0, 2**32 - 1))
def test_any_angle(dtype, error, scale, seed):
    angles = (10.0**scale * np.random.default_rng(seed).standard_normal(40)).astype(dtype)
    cos, sin = cosines_and_sines(angles)
    assert cos.dtype == sin.dtype == dtype
    exact = angles.astype(np.float64)
    np.testing.assert_allclose(cos, np.cos(exact), rtol=0, atol=error)
    np.testing.assert_allclose(sin, np.sin(exact), rtol=0, atol=error)


def test_multiples_of_a_right_angle():
    angles = np.pi / 2 * np.arange(-40, 41)
    cos, sin = cosines_and_sines(angles)
    np.testing.assert_allclose(cos, np.cos(angles), rtol=0, atol=3e-16)
    np.testing.assert_allclose(sin, np.sin(angles), rtol=0, atol=3e-16)


def test_the_largest_angles_of_the_kernel_itself():
    largest = LARGEST[8]
    angles = np.nextafter(largest, 0) - np.linspace(0, 10, 64)
    cos, sin = cosines_and_sines(angles)
    np.testing.assert_allclose(cos, np.cos(angles), rtol=0, atol=5e-16)
    np.testing.assert_allclose(sin, np.sin(angles), rtol=0, atol=5e-16)


def test_a_sine_of_a_small_angle_keeps_all_its_digits():
    angles = np.array([1e-300, 1e-20, 1e-9, 1e-3, -1e-3, 0.0, -0.0, 0.5])
    np.testing.assert_array_max_ulp(cosines_and_sines(angles)[1], np.sin(angles), maxulp=1)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_has_no_cosine_is_nan_and_harms_nobody(bad):
    angles = np.array([0.1, bad, 0.3, 1e9])
    for found, exact in zip(cosines_and_sines(angles), (np.cos, np.sin), strict=True):
        assert np.isnan(found[1])
        rest = [0, 2, 3]
        np.testing.assert_allclose(found[rest], exact(angles[rest]), rtol=0, atol=5e-16)


@pytest.mark.parametrize("beside", [np.nan, np.inf, 1e9])
def test_an_angle_does_not_see_its_neighbours(beside):
    angles = 10 * np.random.default_rng(0).standard_normal(64)
    with_it = np.append(angles, beside)
    for alone, found in zip(cosines_and_sines(angles), cosines_and_sines(with_it), strict=True):
        np.testing.assert_array_equal(found[:-1], alone)


def test_the_parts_of_pi():
    digits = 3141592653589793238462643383279502884197
    parts = sum(int(part * 2**120) for part in PI)  # exact: the parts are multiples of 2**-90
    assert abs(parts * 10**39 - digits * 2**120) < 10**39 * 2**32  # 2**-88
