"""A function run row by row has the derivatives of the same function under torch.func."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from qlazy.models.rowwise import jacobian_by_rows, outputs_by_rows

W, X = torch.tensor([0.3, -1.2, 0.7]).double(), torch.tensor([[0.4, 1.1], [-0.2, 0.6]]).double()


def smooth(params: Tensor, row: Tensor) -> Tensor:
    """Two outputs, of which the second ignores the last parameter."""
    return torch.stack([params[0] * (row * params[1:]).sum().sin(), (params[0] * row[1]).exp() + params[1]])


def mapped(params: Tensor, x: Tensor) -> Tensor:
    return torch.func.vmap(smooth, (None, 0))(params, x)


def by_rows(params: Tensor, x: Tensor) -> Tensor:
    return outputs_by_rows(smooth, params, x)


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_values_and_first_derivatives() -> None:
    close(by_rows(W, X), mapped(W, X))
    for argnums in (0, 1):
        close(torch.func.jacrev(by_rows, argnums)(W, X), torch.func.jacrev(mapped, argnums)(W, X))
        close(torch.func.jacfwd(by_rows, argnums)(W, X), torch.func.jacfwd(mapped, argnums)(W, X))
    close(jacobian_by_rows(smooth, W, X), torch.func.jacrev(mapped)(W, X))


def test_a_direction_in_both_arguments() -> None:
    moves = (torch.ones_like(W), torch.full_like(X, 0.5))
    found, expected = (torch.func.jvp(f, (W, X), moves)[1] for f in (by_rows, mapped))
    close(found, expected)


def test_many_parameter_vectors() -> None:
    many = torch.stack([W, W.flip(0), 2 * W])
    close(torch.func.vmap(by_rows, (0, None))(many, X), torch.stack([mapped(w, X) for w in many]))
    loss = torch.func.grad(lambda w: by_rows(w, X).square().sum())
    close(torch.func.vmap(loss)(many), torch.stack([loss(w) for w in many]))


def test_second_derivatives_by_autograd_and_not_by_transforms() -> None:
    hessian = torch.autograd.functional.hessian(lambda w: by_rows(w, X).sum(), W)
    close(hessian, torch.func.hessian(lambda w: mapped(w, X).sum())(W))
    with pytest.raises(RuntimeError, match="second derivatives"):
        torch.func.hessian(lambda w: by_rows(w, X).sum())(W)


def test_numbers_of_a_row_may_be_taken_and_rows_may_be_written_into() -> None:
    def careless(params: Tensor, row: Tensor) -> Tensor:
        row[0] = 2 * row[0]
        return (params * math.sin(float(row[0]))).sum().reshape(1)

    x, kept = X.clone(), X.clone()
    expected = (2 * X[:, 0]).sin().reshape(-1, 1, 1).expand(2, 1, 3)
    close(torch.func.jacrev(lambda w: outputs_by_rows(careless, w, x))(W), expected)
    close(jacobian_by_rows(careless, W, x), expected)
    assert torch.equal(x, kept)


def test_whole_numbers_as_rows() -> None:
    def picked(params: Tensor, row: Tensor) -> Tensor:
        return params[int(row[0])].reshape(1)

    rows = torch.tensor([[2], [0]])
    expected = torch.eye(3).double()[[2, 0]].unsqueeze(1)
    close(torch.func.jacrev(lambda w: outputs_by_rows(picked, w, rows))(W), expected)
    close(torch.func.jacfwd(lambda w: outputs_by_rows(picked, w, rows))(W), expected)
