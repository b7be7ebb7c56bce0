"""QNodes as people write them: shapes of weights by default arguments, a data argument of any name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np
import pennylane as qml

from qlazy.base.errors import refuse, require
from qlazy.quantum.backends.backend import INPUTS
from qlazy.quantum.circuit import Circuit

Shapes = Mapping[str, int | Sequence[int]]


def circuit_of(qnode: qml.QNode, shapes: Shapes | None = None, inputs: str | None = None) -> Circuit:
    """The circuit of a QNode, with weight shapes from ``shapes`` or else from the defaults of its arguments.

    ``inputs`` is the name of its data argument, if that is another. Raises ValueError that names the weights whose
    shapes are not known.
    """
    variable = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    found = inspect.signature(qnode.func).parameters
    own = {name: one for name, one in found.items() if one.kind not in variable}
    data = INPUTS if inputs is None else inputs
    if data not in own:
        name = getattr(qnode.func, "__name__", "the QNode")
        likely = next((one for one in own if one not in (shapes or {})), "x")
        must = f"name the data argument of {name}({', '.join(own)}): inputs={likely!r}, or --inputs {likely}"
        refuse("inputs", must, repr(data) if inputs else "absent, and no argument is called `inputs`")
    given = dict(shapes or {})
    for name in given:
        require(name in own and name != data, "shapes", f"name weights among {', '.join(own)}", name)
    weights = [name for name in own if name != data]
    told = {name: given[name] if name in given else shape_of(own[name].default) for name in weights}
    known = {name: shape for name, shape in told.items() if shape is not None}
    unknown = [name for name in told if name not in known]
    if unknown:
        example = ", ".join(f"{name!r}: (2, 4, 3)" for name in unknown)
        option = " ".join(f"--shapes {name}=2x4x3" for name in unknown)
        must = f"tell the shape of {', '.join(unknown)}: shapes={{{example}}}, or {option}"
        refuse("shapes", must, "absent, and there is no default argument to tell it")
    return Circuit(qnode if data == INPUTS else _renamed(qnode, data), known)


def shape_of(default: object) -> tuple[int, ...] | None:
    """The shape of a weight by its default argument; None where there is none, or one that has no shape."""
    if default is inspect.Parameter.empty or default is None or isinstance(default, str | bool):
        return None
    try:
        array = np.asarray(default.detach() if hasattr(default, "detach") else default)
    except (ValueError, TypeError, RuntimeError):
        return None
    return array.shape if array.dtype.kind in "fiu" else None


def _renamed(qnode: qml.QNode, data: str) -> qml.QNode:
    """The same QNode with its data argument called ``inputs``."""
    function = qnode.func

    @functools.wraps(function)
    def renamed(**arguments: Any) -> Any:
        return function(**{data if name == INPUTS else name: value for name, value in arguments.items()})

    own = inspect.signature(function).parameters.values()
    keyword = inspect.Parameter.KEYWORD_ONLY
    named = [
        p if p.kind is p.VAR_KEYWORD else
        p.replace(name=INPUTS if p.name == data else p.name, kind=keyword, default=p.empty)
        for p in own
    ]  # fmt: skip
    renamed.__signature__ = inspect.Signature(named)  # type: ignore[attr-defined]
    other = copy(qnode)
    other.func = renamed
    return other
