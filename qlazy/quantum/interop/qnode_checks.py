"""Which QNodes are circuits: of one kind of device, exact or measured as asked, with arguments that have names."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING

from qlazy.base.errors import UnsupportedModelError, require
from qlazy.quantum.backends.backend import DEVICE, INPUTS, MIXED_DEVICE, PAULIS
from qlazy.quantum.interop.kinds import refuse_circuits_of_other_tools

if TYPE_CHECKING:
    import pennylane as qml

EXACT_DEVICES = ("default.qubit", "lightning.qubit")


def require_qnode(qnode: object, backend: str) -> None:
    """Refuse what is no QNode, and one whose device or shots ``backend`` does not run."""
    import pennylane as qml

    refuse_circuits_of_other_tools("qnode", qnode)
    must = "be a pennylane.QNode (not a plain function)"
    require(isinstance(qnode, qml.QNode), "qnode", must, type(qnode).__name__, TypeError)
    assert isinstance(qnode, qml.QNode)
    if backend == DEVICE:
        must = "have one number of shots, not several"
        require(
            not qnode.shots.has_partitioned_shots, "qnode", must, f"with {qnode.shots}", UnsupportedModelError
        )
        return
    or_device = "or be given backend='device'"
    require(
        not qnode.shots, "qnode", f"be exact (shots=None), {or_device}", f"with {qnode.shots}",
        UnsupportedModelError,
    )  # fmt: skip
    if backend == PAULIS and qnode.device.name == MIXED_DEVICE:
        return
    require(
        qnode.device.name in EXACT_DEVICES, "qnode", f"run on {' or '.join(EXACT_DEVICES)}, {or_device}",
        f"on {qnode.device.name}", UnsupportedModelError,
    )  # fmt: skip


def require_signature(qnode: qml.QNode, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse a QNode that is not a function of ``inputs`` and of the weights that ``shapes`` names."""
    arguments = inspect.signature(qnode.func).parameters
    unnamed = [n for n, a in arguments.items() if a.kind in (a.VAR_POSITIONAL, a.POSITIONAL_ONLY)]
    require(
        not unnamed,
        "qnode",
        "take its arguments by name (no *weights, nothing before a /)",
        f"taking {unnamed}",
    )
    must = f"take its data as `{INPUTS}`, an argument of that name (without data `{INPUTS}=None`, x of shape (n, 0))"
    likely = next((one for one in arguments if one not in shapes), "x")
    remedy = (
        f" (`qlazy.check` takes another name, inputs={likely!r}; else call qnode.func in a QNode of yours)"
    )
    require(INPUTS in arguments, "qnode", must, f"a function of {', '.join(arguments) or 'nothing'}{remedy}")
    require(INPUTS not in shapes, "weight_shapes", f"not name `{INPUTS}`", list(shapes))
    if any(a.kind is inspect.Parameter.VAR_KEYWORD for a in arguments.values()):
        return
    weights = {n: a for n, a in arguments.items() if n != INPUTS}
    required = [n for n, a in weights.items() if a.default is inspect.Parameter.empty]
    optional = [n for n in weights if n not in required]
    unknown = sorted(set(shapes) - set(arguments))
    missing = sorted(set(required) - set(shapes))
    may = f", and may name {optional}, which have default values" if optional else ""
    must = f"name the QNode's weights {required}{may}"
    require(not unknown and not missing, "weight_shapes", must, list(shapes))
