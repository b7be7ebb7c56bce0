"""Shift rules against the derivatives of the waves that an angle's frequencies allow."""

import numpy as np
import pytest

from qlazy.quantum.program.shift_rules import shift_rule


@pytest.mark.parametrize(("controlled", "frequencies"), [(False, [0, 1]), (True, [0, 0.5, 1])])
def test_exact_for_every_wave_of_its_frequencies(controlled, frequencies):
    rule = shift_rule(controlled)
    for frequency in frequencies:
        for angle in (0.0, 0.7, -2.0):
            found = sum(weight * np.exp(1j * frequency * (angle + shift)) for weight, shift in rule)
            expected = 1j * frequency * np.exp(1j * frequency * angle)
            assert abs(found - expected) < 1e-15
    assert sum(abs(weight) for weight, _ in rule) == pytest.approx(1, abs=1e-15)
