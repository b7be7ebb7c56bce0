"""Circuits at random angles: uniform draws of parameters, each with a row of the inputs."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from qlazy.base.errors import UnsupportedModelError, require, require_finite, require_instance, require_tensor
from qlazy.quantum.circuit import Circuit
from qlazy.quantum.torch_engine.rows import RowCircuit

EXAMPLE = 'qlazy.Circuit(qnode, weight_shapes) or qlazy.load_circuit("hardware_efficient")'


class Draws(NamedTuple):
    """Parameters (s, p), uniform on [0, 2 pi), and a row of x (s, ...) for each, taken in turn."""

    params: Tensor
    x: Tensor


def checked(circuit: Circuit, x: Tensor) -> Tensor:
    """The inputs as float64; refuses what is no exact circuit with parameters, and inputs that are none."""
    require_instance("circuit", circuit, Circuit, EXAMPLE)
    require_tensor("x", x)
    require(x.ndim >= 2 and len(x) > 0, "x", "have shape (m, d) with m at least 1", tuple(x.shape))
    require(not x.is_complex(), "x", "be real", x.dtype)
    require_finite("x", x)
    must = "be exact: shots and noise of backend='device' are no part of what is measured here"
    require(circuit.backend != "device", "circuit", must, repr(circuit), UnsupportedModelError)
    require(circuit.num_params > 0, "circuit", "have parameters", repr(circuit), UnsupportedModelError)
    return x.detach().to("cpu", torch.float64)


def draw(circuit: Circuit, x: Tensor, samples: int, generator: torch.Generator) -> Draws:
    """Independent uniform parameters, with the rows of x in turn."""
    size = (samples, circuit.num_params)
    params = 2 * math.pi * torch.rand(size, generator=generator, dtype=torch.float64)
    return Draws(params, x[torch.arange(samples) % len(x)])


def by_rows(circuit: Circuit, x: Tensor) -> RowCircuit:
    """The circuit with parameters of their own for every row. Raises UnsupportedModelError for one that measures."""
    circuit.check(torch.zeros(circuit.num_params, dtype=torch.float64), x)
    return RowCircuit(circuit.lowering(x), circuit.num_params)


def random_inputs(rows: int, features: int, generator: torch.Generator) -> Tensor:
    """Inputs (rows, features), uniform on [0, 2 pi): what is taken where none are given."""
    return 2 * math.pi * torch.rand(rows, features, generator=generator, dtype=torch.float64)
