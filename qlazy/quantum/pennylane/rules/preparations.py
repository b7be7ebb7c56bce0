"""States whose amplitudes are formulas, as rotations of |0...0>: those of data and of weights.

A tree of rotations about Y gives the magnitudes, each on one wire and as many as the wires before it have values;
phases are rotations about words of Z. Such a multiplexed rotation is a product of Pauli rotations, whose angles are
the Walsh transform of its own (Mottonen, Vartiainen, Bergholm, Salomaa 2005, arXiv quant-ph/0407010).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import pennylane as qml
import torch
from torch import Tensor

from qlazy.base.errors import require
from qlazy.base.torch_private import is_transformed
from qlazy.quantum.pennylane.symbolic.blocks import entries
from qlazy.quantum.pennylane.symbolic.carriers import formula
from qlazy.quantum.pennylane.symbolic.elements import NotSymbolic
from qlazy.quantum.pennylane.symbolic.tensor import Symbolic
from qlazy.quantum.program.expression import Entry, Expression
from qlazy.simulator.operations import PauliRotation

Turn = tuple[PauliRotation, Expression]

STATES = (qml.StatePrep, qml.MottonenStatePreparation)
MAX_WIRES = 10
TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-4}


def is_state(op: Any) -> bool:
    """Whether an operator prepares amplitudes that depend on weights or data."""
    return isinstance(op, STATES) and isinstance(op.data[0], Symbolic)


def is_basis_state(op: Any) -> bool:
    """Whether an operator prepares a basis state whose bits depend on weights or data."""
    return isinstance(op, qml.BasisState) and isinstance(op.data[0], Symbolic)


def prepared_bits(op: Any, wires: tuple[int, ...]) -> Iterator[Turn]:
    """X on the wires whose bits are 1, up to a phase: right whatever the state before."""
    for wire, bit in zip(wires, op.data[0], strict=True):
        [angle] = entries(op.name, _half_turn, [_unconverted(formula(bit))], 1)
        yield PauliRotation("X", (wire,)), angle


def prepared_state(op: Any, wires: tuple[int, ...]) -> Iterator[Turn]:
    """Rotations that take |0...0> to the state, up to a phase."""
    if len(wires) > MAX_WIRES:
        raise NotSymbolic(f"a state of weights or inputs on more than {MAX_WIRES} wires")
    amplitudes, words = op.data[0], list(_words(len(wires)))
    parts = list(torch.view_as_real(amplitudes).reshape(-1) if amplitudes.is_complex() else amplitudes)
    count = 2 ** len(wires) - 1
    function = partial(_angles, amplitudes.is_complex(), isinstance(op, qml.MottonenStatePreparation))
    angles = entries(op.name, function, parts, 2 * count if amplitudes.is_complex() else count)
    for (target, before), angle in zip(words, angles, strict=False):
        on = tuple(wires[w] for w in before)
        yield PauliRotation("Y" + "Z" * len(on), (wires[target], *on)), angle
    for subset, angle in enumerate(angles[count:], start=1):
        on = tuple(wire for place, wire in enumerate(reversed(wires)) if subset >> place & 1)
        yield PauliRotation("Z" * len(on), on), angle


def _words(count: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Each target, with every subset of the wires before it in the order of binary numbers, the first leading."""
    for target in range(count):
        for subset in range(2**target):
            yield target, tuple(w for w in range(target) if subset >> (target - 1 - w) & 1)


def _unconverted(bit: Expression) -> Expression:
    """What PennyLane has made an integer of, which may be no bit."""
    if isinstance(bit, Entry) and bit.block.name == "_to_copy":
        return _unconverted(bit.block.arguments[bit.index])
    return bit


def _half_turn(bit: Tensor) -> Tensor:
    is_bit = (bit == 0) | (bit == 1)
    if not is_transformed(bit):
        require(
            bool(is_bit.all()), "x", "consist of 0 and 1 where it gives a basis state", _worst(bit, is_bit)
        )
    return torch.where(is_bit, bit * math.pi, math.nan)


def _angles(is_complex: bool, is_rescaled: bool, numbers: Tensor) -> Tensor:
    """Angles (..., 2^k - 1) of the rotations about Y, then as many about words of Z for complex amplitudes."""
    norms = numbers.square().sum(-1, keepdim=True)
    fits = (norms - 1).abs() <= (2e-3 if is_rescaled else 2 * TOLERANCES[numbers.dtype])
    if not is_transformed(numbers):
        must = "give amplitudes of norm 1 (`normalize=True` sees to it)"
        require(bool(fits.all()), "x", must, f"of norm {float(_worst(norms, fits)) ** 0.5:.6g}")
    numbers = torch.where(fits, numbers, math.nan)
    if not is_complex:
        return _magnitudes(numbers)
    amplitudes = torch.complex(numbers[..., 0::2], numbers[..., 1::2])
    phases = -2 * _walsh(amplitudes.angle())[..., 1:]
    return torch.cat([_magnitudes(amplitudes.abs()), phases], -1)


def _magnitudes(amplitudes: Tensor) -> Tensor:
    levels = []
    while amplitudes.shape[-1] > 1:
        zero, one = amplitudes[..., 0::2], amplitudes[..., 1::2]
        levels.append(_walsh(2 * torch.atan2(one, zero)))
        amplitudes = torch.hypot(zero, one)
    return torch.cat(levels[::-1], -1)


def _walsh(values: Tensor) -> Tensor:
    """2^-k sum_b (-1)^(s . b) values_b, by halves."""
    count = values.shape[-1]
    for _ in range(count.bit_length() - 1):
        first, second = values[..., : count // 2], values[..., count // 2 :]
        values = torch.stack([first + second, first - second], -1).flatten(-2) / 2
    return values


def _worst(values: Tensor, fits: Tensor) -> float:
    return float(values[~fits][0]) if bool((~fits).any()) else 0.0
