"""What a program is differentiated by: elements of its inputs, by name and by place."""

from __future__ import annotations

import re
from itertools import takewhile

import torch
from torch import Tensor

from qlazy.base.errors import refuse, require, require_shape
from qlazy.quantum.program.expression import Element, Input
from qlazy.quantum.program.program import Program

Wrt = str | Element


def find_element(program: Program, wrt: Wrt) -> Element:
    """The input element that ``wrt`` names. Raises ValueError if there is none such."""
    pair = isinstance(wrt, tuple) and len(wrt) == 2 and isinstance(wrt[0], str)
    known = isinstance(wrt, str) or (pair and type(wrt[1]) is int)
    require(known, "wrt", "be an element, such as 'theta[2]' or ('theta', 2)", wrt, TypeError)
    name, index = _parsed(wrt)
    shapes = {**program.weights, **program.data}
    require(name in shapes, "wrt", f"name one of the inputs {', '.join(shapes) or '(there are none)'}", name)
    shape = shapes[name]
    if isinstance(index, int):
        require(0 <= index < _size(shape), "wrt", f"be an element of `{name}`, of {_size(shape)}", wrt)
        return name, index
    inside = len(index) == len(shape) and all(0 <= i < extent for i, extent in zip(index, shape, strict=True))
    example = f"{name}[{', '.join('0' * len(shape))}]" if shape else name
    require(inside, "wrt", f"be one element of `{name}` of shape {shape}, such as {example}", wrt)
    flat = 0
    for i, extent in zip(index, shape, strict=True):
        flat = flat * extent + i
    return name, flat


def elements(program: Program) -> tuple[Element, ...]:
    """Every element of the weights, in the order of the flat parameters."""
    return tuple((name, i) for name, shape in program.weights.items() for i in range(_size(shape)))


def element_text(program: Program, element: Element) -> str:
    """`theta[1, 2]` for a flat index."""
    name, index = element
    shapes = {**program.weights, **program.data}
    return str(Input(name, index, shapes[name]))


def flat_place(program: Program, element: Element) -> int:
    """Where an element stands in the flat parameters, or in a row of x."""
    name, index = element
    shapes = program.weights if name in program.weights else program.data
    before = (shape for _, shape in takewhile(lambda item: item[0] != name, shapes.items()))
    return sum(map(_size, before)) + index


def rows_of(program: Program, params: Tensor, x: Tensor | None) -> Tensor:
    """x checked, or the one empty row of a program without data."""
    require_shape("params", params, (program.num_params,))
    if x is None:
        require(program.num_features == 0, "x", f"be given, with {program.num_features} features", "absent")
        return params.new_zeros(1, 0)
    require_shape("x", x, (len(x), program.num_features))
    return x


def _size(shape: tuple[int, ...]) -> int:
    return int(torch.Size(shape).numel())


def _parsed(wrt: Wrt) -> tuple[str, int | tuple[int, ...]]:
    if not isinstance(wrt, str):
        return wrt
    match = re.fullmatch(r"\s*([^\W\d]\w*)\s*((?:\[[\d\s,]*\]\s*)*)", wrt)
    if match is None:
        refuse("wrt", "be the name of an input, or of an element of it such as theta[2]", wrt)
    return match[1], tuple(int(number) for number in re.findall(r"\d+", match[2]))
