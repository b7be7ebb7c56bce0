"""Base gates against the oracle's definitions, batched, in both precisions, under torch.func."""

import numpy as np
import pytest
import torch
from torch.func import jacrev, vmap

from qlazy.quantum.program.gates import FIXED, SIGNATURES, fixed, matrix
from tests import oracle

PARAMETRIZED = [name for name, signature in SIGNATURES.items() if signature.num_angles]


def angles(name, shape=(), dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    count = SIGNATURES[name].num_angles
    return [4 * torch.randn(shape, dtype=dtype, generator=generator) for _ in range(count)]


@pytest.mark.parametrize("name", PARAMETRIZED)
def test_matrices_are_those_of_the_definition(name):
    batch = angles(name, (2, 3))
    result = matrix(name, *batch).numpy()
    for place in np.ndindex(2, 3):
        expected = oracle.PARAMETRIZED[name](*(angle[place].item() for angle in batch))
        np.testing.assert_allclose(result[place], expected, atol=1e-14)


@pytest.mark.parametrize("name", FIXED)
def test_fixed_matrices_are_those_of_the_definition(name):
    np.testing.assert_allclose(fixed(name).numpy(), oracle.FIXED[name], atol=1e-15)


@pytest.mark.parametrize("name", PARAMETRIZED)
def test_unitary_with_the_dtype_kept(name):
    for dtype, complex_dtype, tolerance in (
        (torch.float32, torch.complex64, 1e-6),
        (torch.float64, torch.complex128, 1e-14),
    ):
        result = matrix(name, *angles(name, (4,), dtype))
        assert result.dtype == complex_dtype
        identity = torch.eye(result.shape[-1], dtype=complex_dtype).expand_as(result)
        torch.testing.assert_close(result @ result.mH, identity, atol=tolerance, rtol=0)


@pytest.mark.parametrize("name", ["rx", "ry", "rz", "p"])
def test_the_derivative_multiplies_by_the_generator(name):
    """d/dt exp(-i t G) = -i G exp(-i t G), with G = P/2, or -|1><1| for p."""
    generator = {"rx": oracle.X / 2, "ry": oracle.Y / 2, "rz": oracle.Z / 2, "p": np.diag([0, -1])}[name]
    (theta,) = angles(name, (5,))
    derivative = torch.view_as_complex(vmap(jacrev(lambda t: torch.view_as_real(matrix(name, t))))(theta))
    expected = -1j * torch.as_tensor(generator, dtype=torch.complex128) @ matrix(name, theta)
    torch.testing.assert_close(derivative, expected)


def test_refusals_name_the_gate():
    with pytest.raises(ValueError, match="`name` must be one of id, x, .* but is rzz"):
        matrix("rzz", torch.tensor(0.1))
    with pytest.raises(ValueError, match="`angles of rx` must be 1 in number, but is 2"):
        matrix("rx", torch.tensor(0.1), torch.tensor(0.1))
